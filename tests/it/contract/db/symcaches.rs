//! Symcaches: made once per key, whoever tries.

use symdepot::db::{Claimed, Finish, NewJob, NewSymcache, SymcacheInsert, SymcacheKey};
use symdepot::types::child_protocol::Statistics;
use symdepot::types::{JobKind, JobLease, Symcache, SymcacheState};

use super::{CONVERTER, House, at, at_once, blob, key, malformed, on_both_engines, ready, sha1};

on_both_engines! {
    a_symcache_is_stored_once_per_key,
    a_failure_takes_the_key_too,
    a_file_that_is_gone_gets_no_symcache,
    sixty_four_symcaches_of_one_key_at_once_are_one_row,
    inserting_while_the_file_goes_is_never_an_error,
    all_symcaches_of_several_files_are_one_question,
    a_deleted_row_names_its_bytes_once,
    replaced_name_maps_go_and_other_versions_stay,
    the_result_of_a_job_is_stored_with_its_end_or_not_at_all,
}

async fn a_symcache_is_stored_once_per_key(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let mut counted = Statistics { functions: 7, ..Statistics::default() };
    counted.leave_out("functions in the dark", 2);
    let new = NewSymcache { statistics: Some(counted.clone()), ..ready(key(file.id), "k1") };
    let inserted = house.db.insert_symcache(&new, at(3)).await.unwrap();
    let stored = house.db.symcache(&key(file.id)).await.unwrap().unwrap();
    assert_eq!(inserted, SymcacheInsert::Inserted(stored.clone()));
    let expected = Symcache {
        id: stored.id,
        debug_file_id: file.id,
        format_version: 8,
        converter_version: CONVERTER.to_owned(),
        mappings: String::new(),
        state: SymcacheState::Ready,
        detail: None,
        sha1: Some(sha1("k1")),
        blob: Some(blob("k1")),
        statistics: Some(counted),
    };
    assert_eq!(stored, expected);
    let again = house.db.insert_symcache(&ready(key(file.id), "k2"), at(4)).await.unwrap();
    assert_eq!(again, SymcacheInsert::Taken);
    assert_eq!(house.db.symcache(&key(file.id)).await.unwrap(), Some(expected));

    let others = [
        SymcacheKey { format_version: 9, ..key(file.id) },
        SymcacheKey { converter_version: "symbolic-2".to_owned(), ..key(file.id) },
        SymcacheKey { mappings: sha1("map").to_string(), ..key(file.id) },
    ];
    for (number, other) in others.into_iter().enumerate() {
        assert_eq!(house.db.symcache(&other).await.unwrap(), None);
        let inserted = house.db.insert_symcache(&ready(other.clone(), &format!("o{number}")), at(5)).await.unwrap();
        assert!(matches!(inserted, SymcacheInsert::Inserted(_)), "{other:?}");
    }
}

async fn a_failure_takes_the_key_too(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let inserted = house.db.insert_symcache(&malformed(key(file.id), "no line table"), at(3)).await.unwrap();
    let SymcacheInsert::Inserted(row) = inserted else { panic!("{inserted:?}") };
    assert_eq!((row.state, row.detail.as_deref()), (SymcacheState::Malformed, Some("no line table")));
    assert_eq!((row.sha1, row.blob), (None, None));
    let taken = house.db.insert_symcache(&ready(key(file.id), "k"), at(4)).await.unwrap();
    assert_eq!(taken, SymcacheInsert::Taken);
    assert_eq!(house.db.delete_symcache(row.id).await.unwrap(), None, "there are no bytes");
    let inserted = house.db.insert_symcache(&ready(key(file.id), "k"), at(5)).await.unwrap();
    assert!(matches!(inserted, SymcacheInsert::Inserted(_)));
}

async fn a_file_that_is_gone_gets_no_symcache(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    house.db.delete_debug_file(house.project.id, file.id).await.unwrap().unwrap();
    let inserted = house.db.insert_symcache(&ready(key(file.id), "k"), at(3)).await.unwrap();
    assert_eq!(inserted, SymcacheInsert::FileGone);
    assert!(house.db.known_blob_keys(&["k".to_owned()]).await.unwrap().is_empty());
}

async fn sixty_four_symcaches_of_one_key_at_once_are_one_row(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let inserted = at_once(64, |number| {
        let db = house.db.clone();
        async move { db.insert_symcache(&ready(key(file.id), &format!("k{number}")), at(3)).await.unwrap() }
    });
    let mut rows = Vec::new();
    for outcome in inserted.await {
        match outcome {
            SymcacheInsert::Inserted(row) => rows.push(row),
            other => assert_eq!(other, SymcacheInsert::Taken),
        }
    }
    assert_eq!(rows, house.db.symcaches_of(&[file.id]).await.unwrap());
    assert_eq!(rows.len(), 1);
}

async fn inserting_while_the_file_goes_is_never_an_error(house: &House) {
    for round in 0..20 {
        let file = house.register(&house.new_file("file", 1)).await;
        let bytes = format!("k{round}");
        let symcache = ready(key(file.id), &bytes);
        let insert = house.db.insert_symcache(&symcache, at(3));
        let delete = house.db.delete_debug_file(file.project_id, file.id);
        let (inserted, deleted) = tokio::join!(insert, delete);
        let (_, keys) = deleted.unwrap().unwrap();
        // Either the row came first and its bytes are named, or it never was.
        match inserted.unwrap() {
            SymcacheInsert::Inserted(_) => assert_eq!(keys, [bytes]),
            other => assert_eq!((other, keys), (SymcacheInsert::FileGone, Vec::new())),
        }
    }
}

async fn all_symcaches_of_several_files_are_one_question(house: &House) {
    let mut files = Vec::new();
    for number in 1..=3 {
        let file = house.register(&house.new_file(&number.to_string(), number)).await;
        house.db.insert_symcache(&ready(key(file.id), &format!("k{number}")), at(3)).await.unwrap();
        files.push(file.id);
    }
    let next = SymcacheKey { format_version: 9, ..key(files[0]) };
    house.db.insert_symcache(&malformed(next, "no"), at(3)).await.unwrap();
    let found = house.db.symcaches_of(&[files[1], files[0], 4711, files[1]]).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|row| (row.debug_file_id, row.format_version)).collect();
    assert_eq!(found, [(files[0], 8), (files[1], 8), (files[0], 9)]);
    assert_eq!(house.db.symcaches_of(&[]).await.unwrap(), []);
}

async fn a_deleted_row_names_its_bytes_once(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    house.db.insert_symcache(&ready(key(file.id), "k1"), at(3)).await.unwrap();
    let row = house.db.symcache(&key(file.id)).await.unwrap().unwrap();
    let deleted = at_once(8, |_| {
        let db = house.db.clone();
        async move { db.delete_symcache(row.id).await.unwrap() }
    });
    let deleted: Vec<_> = deleted.await.into_iter().flatten().collect();
    assert_eq!(deleted, ["k1"]);
    assert_eq!(house.db.symcache(&key(file.id)).await.unwrap(), None);
}

async fn replaced_name_maps_go_and_other_versions_stay(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let other_file = house.register(&house.new_file("other", 2)).await;
    let mapped = |key: SymcacheKey| SymcacheKey { mappings: sha1("a map").to_string(), ..key };
    house.db.insert_symcache(&ready(mapped(key(other_file.id)), "theirs"), at(3)).await.unwrap();
    house.db.insert_symcache(&ready(key(file.id), "current"), at(3)).await.unwrap();
    house.db.insert_symcache(&ready(mapped(key(file.id)), "replaced"), at(3)).await.unwrap();
    let format = SymcacheKey { format_version: 7, ..mapped(key(file.id)) };
    house.db.insert_symcache(&ready(format, "format"), at(3)).await.unwrap();
    let converter = SymcacheKey { converter_version: "symbolic-2".to_owned(), ..mapped(key(file.id)) };
    house.db.insert_symcache(&ready(converter, "converter"), at(3)).await.unwrap();

    assert_eq!(house.db.delete_replaced_symcaches(&key(file.id)).await.unwrap(), ["replaced"]);
    let left = house.db.symcaches_of(&[file.id, other_file.id]).await.unwrap();
    let left: Vec<_> = left.into_iter().filter_map(|row| row.blob).map(|blob| blob.key).collect();
    assert_eq!(left, ["theirs", "current", "format", "converter"]);
}

/// A job of the house that is held.
async fn held_job(house: &House) -> JobLease {
    let job = NewJob {
        kind: JobKind::Symcache,
        organization_id: house.organization.id,
        project_id: Some(house.project.id),
        dedup_key: Some("job".to_owned()),
        lane: None,
        payload: "{}".to_owned(),
    };
    house.db.queue_jobs(&[job], at(1), at(1)).await.unwrap();
    let claimed = house.db.claim(&[], "lease", at(99), at(1)).await.unwrap();
    let Some(Claimed::Job(job)) = claimed else { panic!("{claimed:?}") };
    JobLease { job_id: job.id, token: "lease".to_owned() }
}

async fn the_result_of_a_job_is_stored_with_its_end_or_not_at_all(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let lease = held_job(house).await;
    let open = async || house.db.open_jobs(house.organization.id, 9).await.unwrap();
    let thief = JobLease { token: "another".to_owned(), ..lease.clone() };
    let finish = async |symcache, lease| house.db.finish_symcache(&symcache, None, lease, at(3)).await.unwrap();
    assert_eq!(finish(ready(key(file.id), "k0"), &thief).await, Finish::LeaseLost);
    assert_eq!(finish(ready(key(file.id + 99), "k0"), &lease).await, Finish::FileGone);
    house.db.insert_symcache(&ready(key(file.id), "k1"), at(3)).await.unwrap();
    assert_eq!(finish(ready(key(file.id), "k2"), &lease).await, Finish::Taken);
    assert_eq!(open().await, 1, "the job goes on");

    let lost = house.db.symcache(&key(file.id)).await.unwrap().unwrap();
    let finished = house.db.finish_symcache(&ready(key(file.id), "k3"), Some(lost.id), &lease, at(4)).await.unwrap();
    let stored = house.db.symcache(&key(file.id)).await.unwrap().unwrap();
    assert_eq!(stored.blob.as_ref().map(|blob| blob.key.as_str()), Some("k3"));
    assert_eq!(finished, Finish::Stored { row: stored, replaced: Some("k1".to_owned()) });
    assert_eq!(open().await, 0);
    assert_eq!(finish(ready(key(file.id), "k4"), &lease).await, Finish::LeaseLost);
}
