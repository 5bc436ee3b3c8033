-- Organizations take turns with the workers: what is due in each, and how much of each is worked on. An index over all that
-- is due would lead past the rows of the others.
drop index assemblies_due;
create index assemblies_waiting on assemblies (organization_id, due_at, id) where state <> 'error';
create index assemblies_running on assemblies (organization_id, due_at) where state = 'assembling';
