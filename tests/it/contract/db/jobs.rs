//! The queue of background jobs: one row per key, fair per organization over both tables, held under leases.

use chrono::{DateTime, Utc};
use symdepot::db::{Claimed, HEAD_START, JobEnd, NewJob};
use symdepot::types::{Job, JobKind, JobLease};

use super::{House, at, at_once, on_both_engines};

on_both_engines! {
    a_job_is_queued_once_per_key_and_comes_back_as_it_was,
    a_job_without_a_key_is_never_the_same_as_another,
    a_job_that_is_caused_again_while_it_runs_runs_once_more,
    a_job_that_a_client_waits_for_comes_before_those_of_no_client,
    a_client_brings_a_waiting_job_forward_and_not_one_that_failed,
    sixty_four_who_queue_the_same_thousand_make_a_thousand_rows,
    thirty_two_workers_at_once_take_each_of_the_jobs_once,
    a_dead_workers_lease_on_a_job_is_worth_nothing,
    a_failed_job_waits_and_says_why,
    a_released_job_keeps_its_place_and_its_attempts,
    organizations_share_the_workers_over_assemblies_and_jobs,
    of_a_lane_one_job_runs_at_a_time,
    jobs_and_leases_of_a_clock_that_was_ahead_are_pulled_in,
    open_jobs_are_counted_up_to_a_limit,
}

fn job(house: &House, key: &str) -> NewJob {
    NewJob {
        kind: JobKind::Symcache,
        organization_id: house.organization.id,
        project_id: Some(house.project.id),
        dedup_key: Some(key.to_owned()),
        lane: None,
        payload: format!(r#"{{"what": "{key}"}}"#),
    }
}

async fn queue(house: &House, keys: &[&str], due: DateTime<Utc>) {
    let jobs: Vec<_> = keys.iter().map(|key| job(house, key)).collect();
    house.db.queue_jobs(&jobs, due, at(1)).await.unwrap();
}

/// The next job, held until the end of the hour.
async fn take(house: &House, token: &str, now: DateTime<Utc>) -> Option<(Job, JobLease)> {
    match house.db.claim(&[], token, at(3600), now).await.unwrap()? {
        Claimed::Job(job) => {
            let lease = JobLease { job_id: job.id, token: token.to_owned() };
            Some((job, lease))
        }
        Claimed::Assembly(assembly) => panic!("{assembly:?}"),
    }
}

async fn key_of_next(house: &House, now: DateTime<Utc>) -> Option<String> {
    take(house, "lease", now).await.and_then(|(job, _)| job.dedup_key)
}

async fn a_job_is_queued_once_per_key_and_comes_back_as_it_was(house: &House) {
    queue(house, &["a", "a", "b"], at(1)).await;
    queue(house, &["b", "a"], at(2)).await;
    assert_eq!(house.db.open_jobs(house.organization.id, 10).await.unwrap(), 2);
    let (taken, lease) = take(house, "one", at(3)).await.unwrap();
    let payload: serde_json::Value = serde_json::from_str(&taken.payload).unwrap();
    assert_eq!(payload, serde_json::json!({ "what": "a" }));
    let expected = Job {
        id: lease.job_id,
        kind: JobKind::Symcache,
        organization_id: house.organization.id,
        project_id: Some(house.project.id),
        dedup_key: Some("a".to_owned()),
        payload: taken.payload.clone(),
        attempt: 1,
        created_at: at(1),
    };
    assert_eq!(taken, expected);
    assert_eq!(house.db.end_job(&lease, at(4)).await.unwrap(), JobEnd::Done);
    assert_eq!(house.db.end_job(&lease, at(4)).await.unwrap(), JobEnd::LeaseLost);
    assert_eq!(key_of_next(house, at(4)).await.as_deref(), Some("b"));
    assert_eq!(key_of_next(house, at(4)).await, None);
}

async fn a_job_without_a_key_is_never_the_same_as_another(house: &House) {
    let keyless = NewJob { dedup_key: None, project_id: None, ..job(house, "x") };
    house.db.queue_jobs(&[keyless.clone(), keyless.clone()], at(1), at(1)).await.unwrap();
    house.db.queue_jobs(&[keyless], at(1), at(1)).await.unwrap();
    assert_eq!(house.db.open_jobs(house.organization.id, 10).await.unwrap(), 3);
    let (taken, _) = take(house, "one", at(1)).await.unwrap();
    assert_eq!((taken.dedup_key, taken.project_id), (None, None));
}

async fn a_job_that_is_caused_again_while_it_runs_runs_once_more(house: &House) {
    queue(house, &["a"], at(1)).await;
    let (_, lease) = take(house, "one", at(2)).await.unwrap();
    queue(house, &["a"], at(3)).await;
    queue(house, &["a"], at(3)).await;
    assert_eq!(key_of_next(house, at(4)).await, None, "it is held");
    assert_eq!(house.db.end_job(&lease, at(5)).await.unwrap(), JobEnd::Again);
    let (again, lease) = take(house, "two", at(5)).await.unwrap();
    assert_eq!((again.dedup_key.as_deref(), again.attempt), (Some("a"), 1));
    assert_eq!(house.db.end_job(&lease, at(6)).await.unwrap(), JobEnd::Done, "once more, not twice");
}

async fn a_job_that_a_client_waits_for_comes_before_those_of_no_client(house: &House) {
    queue(house, &["background 1", "background 2"], at(10)).await;
    queue(house, &["client"], at(20) - HEAD_START).await;
    let mut order = Vec::new();
    while let Some(key) = key_of_next(house, at(30)).await {
        order.push(key);
    }
    assert_eq!(order, ["client", "background 1", "background 2"]);
}

async fn a_client_brings_a_waiting_job_forward_and_not_one_that_failed(house: &House) {
    queue(house, &["failed"], at(1)).await;
    let (_, lease) = take(house, "one", at(2)).await.unwrap();
    assert!(house.db.retry_job(&lease, "no disk", at(100)).await.unwrap());
    queue(house, &["first", "second"], at(10)).await;
    queue(house, &["second", "failed"], at(10) - HEAD_START).await;
    assert_eq!(key_of_next(house, at(30)).await.as_deref(), Some("second"));
    assert_eq!(key_of_next(house, at(30)).await.as_deref(), Some("first"));
    assert_eq!(key_of_next(house, at(30)).await, None, "the pause of the failed one stays");
    assert_eq!(key_of_next(house, at(100)).await.as_deref(), Some("failed"));
}

async fn sixty_four_who_queue_the_same_thousand_make_a_thousand_rows(house: &House) {
    let jobs: Vec<_> = (0..1000).map(|number| job(house, &format!("job {number}"))).collect();
    at_once(64, |number| {
        let (db, mut jobs) = (house.db.clone(), jobs.clone());
        jobs.rotate_left(number * 13);
        async move { db.queue_jobs(&jobs, at(1), at(1)).await.unwrap() }
    })
    .await;
    assert_eq!(house.db.open_jobs(house.organization.id, 5000).await.unwrap(), 1000);
    let keys: Vec<_> = ["job 7", "job 1000", "job 999"].map(str::to_owned).into();
    let mut queued = house.db.queued_jobs(JobKind::Symcache, &keys, at(1)).await.unwrap();
    queued.sort_by(|one, other| one.dedup_key.cmp(&other.dedup_key));
    let keys: Vec<_> = queued.iter().map(|job| job.dedup_key.as_str()).collect();
    assert_eq!(keys, ["job 7", "job 999"]);
    assert!(queued.iter().all(|job| job.attempt == 0 && !job.running && job.last_error.is_none()));
}

async fn thirty_two_workers_at_once_take_each_of_the_jobs_once(house: &House) {
    let jobs: Vec<_> = (0..100).map(|number| job(house, &format!("job {number:03}"))).collect();
    house.db.queue_jobs(&jobs, at(1), at(1)).await.unwrap();
    let taken = at_once(32, |number| {
        let db = house.db.clone();
        async move {
            let mut taken = Vec::new();
            while let Some(claimed) = db.claim(&[], &format!("lease {number}"), at(31), at(1)).await.unwrap() {
                let Claimed::Job(job) = claimed else { panic!("{claimed:?}") };
                taken.push(job.dedup_key.unwrap());
            }
            taken
        }
    });
    let mut taken: Vec<_> = taken.await.into_iter().flatten().collect();
    taken.sort();
    // A worker that finds the last one taken by another looks again a moment later; here it does not.
    taken.dedup();
    let mut left = Vec::new();
    while let Some(key) = key_of_next(house, at(1)).await {
        left.push(key);
    }
    assert_eq!(taken.len() + left.len(), 100);
    assert!(left.iter().all(|key| !taken.contains(key)));
}

async fn a_dead_workers_lease_on_a_job_is_worth_nothing(house: &House) {
    queue(house, &["a"], at(1)).await;
    let Some(Claimed::Job(job)) = house.db.claim(&[], "dead", at(20), at(2)).await.unwrap() else { panic!("no job") };
    let dead = JobLease { job_id: job.id, token: "dead".to_owned() };
    assert!(house.db.renew_job_lease(&dead, at(40)).await.unwrap());
    assert!(take(house, "heir", at(39)).await.is_none(), "renewed until 40");
    let (taken, heir) = take(house, "heir", at(40)).await.unwrap();
    assert_eq!(taken.attempt, 2);
    assert!(!house.db.renew_job_lease(&dead, at(99)).await.unwrap());
    assert!(!house.db.retry_job(&dead, "late", at(99)).await.unwrap());
    assert!(!house.db.release_job(&dead, None).await.unwrap());
    assert_eq!(house.db.end_job(&dead, at(41)).await.unwrap(), JobEnd::LeaseLost);
    assert_eq!(house.db.end_job(&heir, at(41)).await.unwrap(), JobEnd::Done);
}

async fn a_failed_job_waits_and_says_why(house: &House) {
    queue(house, &["a"], at(1)).await;
    let (_, lease) = take(house, "one", at(2)).await.unwrap();
    let stands =
        || async { house.db.queued_jobs(JobKind::Symcache, &["a".to_owned()], at(3)).await.unwrap().pop().unwrap() };
    assert!(stands().await.running);
    assert!(house.db.retry_job(&lease, &"x\0".repeat(2000), at(50)).await.unwrap());
    let failed = stands().await;
    assert_eq!((failed.attempt, failed.running, failed.due_at), (1, false, at(50)));
    assert_eq!(failed.last_error.map(|reason| reason.chars().count()), Some(1000));
    assert_eq!(key_of_next(house, at(49)).await, None);
    let (again, _) = take(house, "two", at(50)).await.unwrap();
    assert_eq!(again.attempt, 2);
}

async fn a_released_job_keeps_its_place_and_its_attempts(house: &House) {
    queue(house, &["a"], at(1)).await;
    queue(house, &["b"], at(2)).await;
    let (_, lease) = take(house, "one", at(3)).await.unwrap();
    assert!(house.db.release_job(&lease, None).await.unwrap());
    let (again, lease) = take(house, "two", at(3)).await.unwrap();
    assert_eq!((again.dedup_key.as_deref(), again.attempt), (Some("a"), 1));
    assert!(house.db.release_job(&lease, Some(at(30))).await.unwrap());
    assert_eq!(key_of_next(house, at(29)).await.as_deref(), Some("b"));
    assert_eq!(key_of_next(house, at(29)).await, None);
    assert_eq!(key_of_next(house, at(30)).await.as_deref(), Some("a"));
}

async fn organizations_share_the_workers_over_assemblies_and_jobs(house: &House) {
    let other = house.db.create_organization("other", at(0)).await.unwrap();
    let jobs: Vec<_> = (0..20).map(|number| job(house, &format!("job {number:02}"))).collect();
    house.db.queue_jobs(&jobs, at(1), at(1)).await.unwrap();
    house.db.queue_assemblies(&[house.wanted("an upload")], at(5)).await.unwrap();
    let theirs = NewJob { organization_id: other.id, project_id: None, ..job(house, "theirs") };
    house.db.queue_jobs(&[theirs], at(9), at(9)).await.unwrap();

    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(house.db.claim(&[], "lease", at(99), at(10)).await.unwrap().unwrap());
    }
    let [Claimed::Assembly(_), Claimed::Job(second), Claimed::Job(third)] = &order[..] else { panic!("{order:?}") };
    assert_eq!(second.organization_id, other.id, "it has nothing under way; the other one has an upload");
    assert_eq!((third.organization_id, third.dedup_key.as_deref()), (house.organization.id, Some("job 00")));
    let next = house.db.claim(&[house.organization.id], "lease", at(99), at(10)).await.unwrap();
    assert!(matches!(next, Some(Claimed::Job(job)) if job.dedup_key.as_deref() == Some("job 01")));
}

async fn of_a_lane_one_job_runs_at_a_time(house: &House) {
    let lane = |key| NewJob { lane: Some("rule 1".to_owned()), ..job(house, key) };
    house.db.queue_jobs(&[lane("a"), lane("b"), job(house, "free")], at(1), at(1)).await.unwrap();
    let (first, lease) = take(house, "one", at(2)).await.unwrap();
    assert_eq!(first.dedup_key.as_deref(), Some("a"));
    assert_eq!(key_of_next(house, at(2)).await.as_deref(), Some("free"));
    assert_eq!(key_of_next(house, at(2)).await, None, "its lane is taken");
    house.db.end_job(&lease, at(3)).await.unwrap();
    assert_eq!(key_of_next(house, at(3)).await.as_deref(), Some("b"));
}

async fn jobs_and_leases_of_a_clock_that_was_ahead_are_pulled_in(house: &House) {
    queue(house, &["held"], at(1)).await;
    take(house, "gone", at(2)).await.unwrap();
    queue(house, &["far"], at(90_000)).await;
    queue(house, &["near"], at(50)).await;
    assert_eq!(house.db.pull_in_jobs(at(100), at(60)).await.unwrap(), 2);
    assert_eq!(key_of_next(house, at(50)).await.as_deref(), Some("near"));
    assert_eq!(key_of_next(house, at(59)).await, None);
    let mut late = [key_of_next(house, at(60)).await, key_of_next(house, at(60)).await];
    late.sort();
    assert_eq!(late, [Some("far".to_owned()), Some("held".to_owned())]);
}

async fn open_jobs_are_counted_up_to_a_limit(house: &House) {
    queue(house, &["a", "b", "c"], at(1)).await;
    assert_eq!(house.db.open_jobs(house.organization.id, 2).await.unwrap(), 2);
    assert_eq!(house.db.open_jobs(house.organization.id, 9).await.unwrap(), 3);
    assert_eq!(house.db.open_jobs(house.organization.id + 1, 9).await.unwrap(), 0);
}
