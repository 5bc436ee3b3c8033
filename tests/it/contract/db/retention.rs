//! Rules of retention over rows: what they find, what they take, and what is left of it.

use chrono::{DateTime, TimeDelta, Utc};
use symdepot::db::{Departed, Leaving, Reason, SharedChunk};
use symdepot::types::{CodeId, NewDebugFile, Policy, Quota, Retention};

use super::{House, at, at_once, debug_id, key, malformed, on_both_engines, ready, sha1};

on_both_engines! {
    what_holds_for_a_project_is_kept_as_it_was_said,
    old_and_idle_files_are_told_page_by_page,
    the_builds_of_a_name_are_counted_from_the_newest,
    a_file_that_was_renewed_used_or_whose_rules_changed_does_not_go,
    what_went_is_weighed_and_noted,
    what_pollers_would_still_hear_of_a_file_is_forgotten_with_it,
    renewals_and_uses_reach_live_files_alone,
    files_renewed_and_taken_at_once_either_stay_or_are_known_to_be_gone,
}

async fn registered(house: &House, text: &str, id: u32, second: i64) -> i64 {
    let new = house.new_file(text, id);
    super::created(house.db.register_debug_file(&new, None, None, |_| Vec::new(), at(second)).await.unwrap()).id
}

fn reason<'a>(words: &'a str, before: DateTime<Utc>, retention: Option<&'a Retention>) -> Reason<'a> {
    Reason { words, uploaded_before: before, used_before: at(0) + TimeDelta::days(9999), retention }
}

fn ids(found: &[Leaving]) -> Vec<i64> {
    found.iter().map(|file| file.id).collect()
}

fn gone(departed: &Departed) -> Vec<i64> {
    departed.files.iter().map(|file| file.id).collect()
}

async fn what_holds_for_a_project_is_kept_as_it_was_said(house: &House) {
    let (db, id) = (&house.db, house.project.id);
    assert_eq!(db.policy(id).await.unwrap(), Policy::default());
    assert_eq!(db.retaining_projects(0, 10).await.unwrap(), []);
    let quota = Quota { bytes: Some(1 << 50), files: None };
    let policy = Policy { retention: "newest:3 90d".parse().unwrap(), quota };
    db.set_policy(id, &policy).await.unwrap();
    assert_eq!(db.policy(id).await.unwrap(), policy);
    let retaining = db.retaining_projects(0, 10).await.unwrap();
    assert_eq!(
        (retaining.len(), retaining[0].path.as_str(), &retaining[0].retention),
        (1, "acme/game", &policy.retention)
    );
    assert_eq!(db.retaining_projects(id, 10).await.unwrap(), []);
    let own = Quota { bytes: None, files: Some(7) };
    db.set_organization_quota(house.organization.id, own).await.unwrap();
    assert_eq!(db.organization_quota(house.organization.id).await.unwrap(), own);
    let (rival, _) = house.neighbour().await;
    assert_eq!(db.organization_quota(rival.id).await.unwrap(), Quota::default());
}

async fn old_and_idle_files_are_told_page_by_page(house: &House) {
    let (db, project) = (&house.db, house.project.id);
    let (a, b, c) =
        (registered(house, "a", 1, 1).await, registered(house, "b", 2, 1).await, registered(house, "c", 3, 2).await);
    db.touch_files(&[a, 4711], at(5), at(9)).await.unwrap();
    db.touch_files(&[b], at(1), at(9)).await.unwrap();
    let first = db.files_uploaded_before(project, at(3), None, 2).await.unwrap();
    assert_eq!(ids(&first), [a, b]);
    let second = db.files_uploaded_before(project, at(3), first.last().copied(), 2).await.unwrap();
    assert_eq!(ids(&second), [c]);
    assert_eq!(ids(&db.files_uploaded_before(project, at(2), None, 9).await.unwrap()), [a, b]);
    assert_eq!(ids(&db.files_used_before(project, at(9), None, 9).await.unwrap()), [b, c], "b was used just before");
    assert_eq!(ids(&db.files_used_before(project, at(10), None, 9).await.unwrap()), [b, c, a]);
    let (_, theirs) = house.neighbour().await;
    assert_eq!(db.files_uploaded_before(theirs.id, at(99), None, 9).await.unwrap(), []);
}

async fn the_builds_of_a_name_are_counted_from_the_newest(house: &House) {
    let (db, project) = (&house.db, house.project.id);
    let put = async |content: &str, id: u32, cpu: &str, second| {
        let file = NewDebugFile {
            object_name: "app".to_owned(),
            cpu_name: cpu.to_owned(),
            sha1: sha1(content),
            ..house.new_file("app", id)
        };
        super::created(db.register_debug_file(&file, None, None, |_| Vec::new(), at(second)).await.unwrap()).id
    };
    let first = [put("1a", 1, "x86", 1).await, put("1b", 1, "x86", 2).await];
    let second = put("2", 2, "x86", 3).await;
    put("3", 3, "x86", 4).await;
    put("4", 4, "arm", 1).await;
    registered(house, "alone", 5, 1).await;
    assert_eq!(db.crowded_names(project, 2, "", 9).await.unwrap(), ["app"]);
    assert_eq!(db.crowded_names(project, 5, "", 9).await.unwrap(), [""; 0]);
    assert_eq!(db.crowded_names(project, 0, "app", 9).await.unwrap(), [""; 0]);
    assert_eq!(db.crowded_names(project, 0, "", 1).await.unwrap(), ["alone.so"]);
    let names = ["app".to_owned()];
    let older = async |builds, before| ids(&db.older_builds(project, &names, builds, before).await.unwrap());
    assert_eq!(older(2, at(99)).await, first);
    assert_eq!(older(1, at(99)).await, [first[0], first[1], second]);
    assert_eq!(older(1, at(2)).await, first[..1]);
    assert_eq!(older(3, at(99)).await, [0; 0]);
    db.renew_files(&first[..1], at(9)).await.unwrap();
    assert_eq!(older(2, at(99)).await, [second], "one file of a build is enough to make it the newest");
}

async fn a_file_that_was_renewed_used_or_whose_rules_changed_does_not_go(house: &House) {
    let (db, project) = (&house.db, house.project.id);
    for number in 1..=4 {
        registered(house, &number.to_string(), number, 1).await;
    }
    let rules: Retention = "90d".parse().unwrap();
    let found = db.files_uploaded_before(project, at(5), None, 9).await.unwrap();
    let because = reason("90d", at(5), Some(&rules));
    assert!(db.expire_files(project, &found, &because, at(9)).await.unwrap().files.is_empty(), "there is no such rule");
    db.set_policy(project, &Policy { retention: rules.clone(), ..Policy::default() }).await.unwrap();
    let (_, theirs) = house.neighbour().await;
    let none = db.expire_files(theirs.id, &found, &reason("x", at(5), None), at(9)).await.unwrap();
    assert!(none.files.is_empty(), "another project's");

    db.renew_files(&[found[0].id], at(1)).await.unwrap();
    db.touch_files(&[found[1].id], at(9), at(8)).await.unwrap();
    let before = Reason { used_before: at(8), ..because.clone() };
    assert_eq!(gone(&db.expire_files(project, &found, &before, at(9)).await.unwrap()), [found[2].id, found[3].id]);
    assert_eq!(
        gone(&db.expire_files(project, &found, &because, at(9)).await.unwrap()),
        [found[1].id],
        "no rule on uses"
    );
    assert!(db.debug_file(project, found[0].id).await.unwrap().is_some(), "renewed, though its time is the same");
}

async fn what_went_is_weighed_and_noted(house: &House) {
    let (db, project) = (&house.db, house.project.id);
    let (own, shared) = (house.chunk("own").await, house.chunk("shared").await);
    let first = NewDebugFile {
        chunk_ids: vec![own.id, shared.id, own.id],
        debug_id_alias: Some(debug_id(7).parse().unwrap()),
        ..house.new_file("first", 1)
    };
    let first = house.register(&first).await;
    let second = house.register(&NewDebugFile { chunk_ids: vec![shared.id], ..house.new_file("second", 2) }).await;
    db.insert_symcache(&ready(key(first.id), "symcaches/1"), at(1)).await.unwrap();
    db.insert_symcache(&malformed(key(second.id), "bad"), at(1)).await.unwrap();
    let chunk = |id, here, everywhere| SharedChunk { id, stored_size: 5, here, everywhere };
    let weight = db.weigh_files(&[first.id]).await.unwrap();
    assert_eq!((weight.made, weight.freed()), (5, 10));
    assert_eq!(weight.chunks, [chunk(own.id, 1, 1), chunk(shared.id, 1, 2)]);
    let both = db.weigh_files(&[first.id, second.id]).await.unwrap();
    assert_eq!(both.chunks, [chunk(own.id, 1, 1), chunk(shared.id, 2, 2)]);

    let found = db.files_uploaded_before(project, at(9), None, 9).await.unwrap();
    let departed = db.expire_files(project, &found[..1], &reason("90d", at(9), None), at(20)).await.unwrap();
    assert_eq!((gone(&departed), departed.keys.as_slice()), (vec![first.id], &["symcaches/1".to_owned()][..]));
    assert_eq!(departed.weight, weight);
    let ids = |ids: &[u32]| ids.iter().map(|id| debug_id(*id).parse().unwrap()).collect::<Vec<_>>();
    for (debug_ids, code_ids) in [(vec![1], vec![]), (vec![7], vec![]), (vec![], vec![CodeId::new("c0de0001")])] {
        let notes = db.expired_files(project, &ids(&debug_ids), &code_ids, 9).await.unwrap();
        assert_eq!((notes.len(), notes[0].rule.as_str(), notes[0].expired_at), (1, "90d", at(20)));
        assert_eq!((notes[0].object_name.as_str(), notes[0].debug_id.as_str()), ("first.so", debug_id(1).as_str()));
    }
    assert_eq!(db.expired_files(project, &ids(&[2]), &[], 9).await.unwrap(), []);
    assert_eq!(db.forget_expired_files(at(20), 9).await.unwrap(), 0);
    assert_eq!(db.forget_expired_files(at(21), 9).await.unwrap(), 1);
    assert_eq!(db.expired_files(project, &ids(&[1]), &[], 9).await.unwrap(), []);
}

async fn what_pollers_would_still_hear_of_a_file_is_forgotten_with_it(house: &House) {
    let (db, project) = (&house.db, house.project.id);
    fn newest(files: &[symdepot::types::DebugFile]) -> Vec<i64> {
        files[1..].iter().map(|file| file.id).collect()
    }
    let older = house.register(&house.new_file("older", 1)).await;
    db.register_debug_file(&house.new_file("newer", 1), None, None, newest, at(2)).await.unwrap();
    let failed = house.claimed("newer", "lease").await;
    db.fail_assembly(failed.id, "lease", "bad", "v1", at(2)).await.unwrap();
    let found = db.files_uploaded_before(project, at(9), None, 9).await.unwrap();
    let departed = db.expire_files(project, &found, &reason("x", at(9), None), at(9)).await.unwrap();
    assert_eq!(departed.files.len(), 1);
    let known = async || db.known_files(project, &[sha1("older"), sha1("newer")], super::CONVERTER).await.unwrap();
    assert_eq!(known().await[0].file.id, older.id);
    db.forget_traces(project, &departed.files).await.unwrap();
    assert_eq!(known().await, []);
    assert_eq!(db.assemblies(project, &[sha1("newer")]).await.unwrap(), []);
}

async fn renewals_and_uses_reach_live_files_alone(house: &House) {
    let (db, project) = (&house.db, house.project.id);
    let a = registered(house, "a", 1, 1).await;
    let there = db.renew_files(&[a, 4711], at(7)).await.unwrap();
    assert_eq!(there.into_iter().collect::<Vec<_>>(), [a]);
    db.begin_deletes(project, at(8)).await.unwrap();
    let known = db.known_files(project, &[sha1("a")], super::CONVERTER).await.unwrap();
    assert_eq!((known[0].uploaded_at, known[0].deletes_at), (at(7), Some(at(8))));
    house.raw(&format!("update debug_files set retired_at = uploaded_at where id = {a}")).await.unwrap();
    assert!(db.renew_files(&[a], at(9)).await.unwrap().is_empty());
    assert!(db.renew_files(&[], at(9)).await.unwrap().is_empty());
    db.touch_files(&[], at(9), at(9)).await.unwrap();
}

async fn files_renewed_and_taken_at_once_either_stay_or_are_known_to_be_gone(house: &House) {
    let project = house.project.id;
    for round in 0..20 {
        let mut files = Vec::new();
        for number in 0..8u32 {
            files.push(registered(house, &format!("{round} {number}"), number, 1).await);
        }
        let found = house.db.files_uploaded_before(project, at(5), None, 99).await.unwrap();
        let results = at_once(4, |number| {
            let (db, files, found) = (house.db.clone(), files.clone(), found.clone());
            async move {
                if number % 2 == 0 {
                    return Ok(db.renew_files(&files, at(9)).await.unwrap());
                }
                let because = reason("x", at(5), None);
                Err(db.expire_files(project, &found, &because, at(9)).await.unwrap().files.len())
            }
        });
        let results = results.await;
        let mut left = Vec::new();
        for id in files {
            left.extend(house.db.debug_file(project, id).await.unwrap().map(|file| file.id));
        }
        for there in results.iter().filter_map(|result| result.as_ref().ok()) {
            assert!(there.iter().all(|id| left.contains(id)), "what was renewed stays");
        }
        let taken: usize = results.iter().filter_map(|result| result.as_ref().err()).sum();
        assert_eq!(taken + left.len(), 8);
        let rest = house.db.files_uploaded_before(project, at(99), None, 99).await.unwrap();
        house.db.expire_files(project, &rest, &reason("x", at(99), None), at(99)).await.unwrap();
    }
}
