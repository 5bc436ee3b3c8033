//! The unit of work that registers a debug file.

use symdepot::db::Registered;
use symdepot::types::{CodeId, DebugFile, Features, NewDebugFile, SymcacheState};

use super::{CONVERTER, House, at, at_once, blob, closing, created, key, malformed, on_both_engines, ready, sha1};
use crate::support::claims::ClaimAssembly as _;

on_both_engines! {
    a_registration_stores_file_chunks_and_symcache_and_ends_the_assembly,
    a_failed_conversion_is_stored_with_its_reason,
    the_same_content_under_the_same_id_is_registered_once,
    the_same_content_under_another_id_is_another_file,
    a_lost_lease_writes_nothing,
    a_missing_chunk_writes_nothing,
    a_registration_forgets_what_was_remembered_of_the_content,
    redundant_files_are_retired_and_do_not_block_a_new_registration,
    the_domain_sees_live_files_of_the_same_id_newest_first,
    sixteen_registrations_of_one_file_at_once_make_one_row,
    registrations_of_one_debug_id_at_once_see_each_other,
    ten_thousand_repeats_of_a_chunk_come_back_in_order,
}

fn keep_all(_: &[DebugFile]) -> Vec<i64> {
    Vec::new()
}

fn keep_newest(files: &[DebugFile]) -> Vec<i64> {
    files[1..].iter().map(|file| file.id).collect()
}

async fn known(house: &House, text: &str) -> Vec<DebugFile> {
    let known = house.db.known_files(house.project.id, &[sha1(text)], CONVERTER).await.unwrap();
    known.into_iter().map(|known| known.file).collect()
}

async fn a_registration_stores_file_chunks_and_symcache_and_ends_the_assembly(house: &House) {
    let (a, b) = (house.chunk("a").await, house.chunk("b").await);
    let job = house.claimed("file", "lease").await;
    let new = NewDebugFile {
        debug_id_alias: Some("3249d99d-0c40-4931-8610-f4e4fb0b6936-a".parse().unwrap()),
        note: Some("split DWARF".to_owned()),
        supplement_id: Some(CodeId::new("0123456789abcdef")),
        is_supplement: true,
        size: 5_000_000_000,
        chunk_ids: vec![b.id, a.id, b.id],
        ..house.new_file("file", 1)
    };
    let symcache = ready(key(0), "symcaches/1");
    let closing = closing(&job, "lease");
    let registered =
        house.db.register_debug_file(&new, Some(&symcache), Some(&closing), keep_all, at(7)).await.unwrap();
    let file = created(registered);
    let expected = DebugFile {
        id: file.id,
        project_id: new.project_id,
        sha1: new.sha1,
        size: new.size,
        debug_id: new.debug_id,
        debug_id_alias: new.debug_id_alias,
        code_id: new.code_id,
        object_name: new.object_name,
        cpu_name: new.cpu_name,
        format: new.format,
        kind: new.kind,
        features: new.features,
        note: new.note,
        supplement_id: new.supplement_id,
        is_supplement: new.is_supplement,
        created_at: at(7),
    };
    assert_eq!(file, expected);
    assert_eq!(house.db.debug_file(house.project.id, file.id).await.unwrap(), Some(expected));

    let pieces = house.db.debug_file_pieces(file.id).await.unwrap();
    assert_eq!(pieces, [b.blob.clone(), a.blob, b.blob]);
    let stored = house.db.symcache(&key(file.id)).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.detail, stored.sha1), (SymcacheState::Ready, None, Some(sha1("symcaches/1"))));
    assert_eq!(stored.blob, Some(blob("symcaches/1")));
    assert_eq!(house.db.assemblies(house.project.id, &[sha1("file")]).await.unwrap(), []);
}

async fn a_failed_conversion_is_stored_with_its_reason(house: &House) {
    let symcache = malformed(key(0), "unit 3 is \0 broken");
    let new = house.new_file("file", 1);
    let file = created(house.db.register_debug_file(&new, Some(&symcache), None, keep_all, at(7)).await.unwrap());
    let stored = house.db.symcache(&key(file.id)).await.unwrap().unwrap();
    assert_eq!((stored.state, stored.sha1, stored.blob), (SymcacheState::Malformed, None, None));
    assert_eq!(stored.detail.as_deref(), Some("unit 3 is \u{fffd} broken"));
}

async fn the_same_content_under_the_same_id_is_registered_once(house: &House) {
    let first = house.register(&house.new_file("file", 1)).await;
    let job = house.claimed("file", "lease").await;
    let again = NewDebugFile { object_name: "renamed.so".to_owned(), ..house.new_file("file", 1) };
    let symcache = ready(key(0), "unused");
    let closing = closing(&job, "lease");
    let register = |symcache| house.db.register_debug_file(&again, symcache, Some(&closing), keep_newest, at(9));
    assert_eq!(register(Some(&symcache)).await.unwrap(), Registered::Existing(first.clone()));
    assert_eq!(house.db.symcaches_of(&[first.id]).await.unwrap(), [], "nothing of it was stored");
    assert!(house.db.renew_assembly_lease(job.id, "lease", at(99)).await.unwrap(), "its symcache is still to come");
    assert_eq!(register(None).await.unwrap(), Registered::Existing(first.clone()));
    assert_eq!(house.db.assemblies(house.project.id, &[sha1("file")]).await.unwrap(), [], "ended all the same");
    assert_eq!(known(house, "file").await, [first]);
}

async fn the_same_content_under_another_id_is_another_file(house: &House) {
    let first = house.register(&house.new_file("file", 1)).await;
    let second = house.register(&house.new_file("file", 2)).await;
    assert_eq!(known(house, "file").await, [second, first]);
    let (_, theirs) = house.neighbour().await;
    house.register(&NewDebugFile { project_id: theirs.id, ..house.new_file("file", 1) }).await;
}

async fn a_lost_lease_writes_nothing(house: &House) {
    let older = house.register(&house.new_file("older", 1)).await;
    let job = house.claimed("file", "dead").await;
    let taken = house.db.claim_assembly(&[], "heir", at(99), at(60)).await.unwrap().unwrap();

    let new = house.new_file("file", 1);
    let symcache = ready(key(0), "unused");
    let closing_dead = closing(&job, "dead");
    let register = house.db.register_debug_file(&new, Some(&symcache), Some(&closing_dead), keep_newest, at(61));
    assert_eq!(register.await.unwrap(), Registered::LeaseLost);
    assert_eq!(known(house, "file").await, []);
    assert_eq!(house.db.assemblies(house.project.id, &[sha1("file")]).await.unwrap(), std::slice::from_ref(&taken));
    assert_eq!(house.db.debug_file(house.project.id, older.id).await.unwrap(), Some(older));
    assert!(house.db.known_blob_keys(&["unused".to_owned()]).await.unwrap().is_empty());

    let closing_heir = closing(&taken, "heir");
    let registered = house.db.register_debug_file(&new, None, Some(&closing_heir), keep_newest, at(62)).await.unwrap();
    let file = created(registered);
    let again = house.db.register_debug_file(&new, None, Some(&closing_heir), keep_newest, at(63)).await.unwrap();
    assert_eq!(again, Registered::LeaseLost, "a lease ends one registration");
    assert_eq!(known(house, "file").await, [file]);
}

async fn a_missing_chunk_writes_nothing(house: &House) {
    let chunk = house.chunk("a").await;
    let job = house.claimed("file", "lease").await;
    let new = NewDebugFile { chunk_ids: vec![chunk.id, 4711], ..house.new_file("file", 1) };
    let closing = closing(&job, "lease");
    let symcache = ready(key(0), "unused");
    let registered = house.db.register_debug_file(&new, Some(&symcache), Some(&closing), keep_all, at(7)).await;
    assert!(registered.is_err());
    assert_eq!(known(house, "file").await, []);
    assert!(house.db.known_blob_keys(&["unused".to_owned()]).await.unwrap().is_empty());
    assert!(house.db.renew_assembly_lease(job.id, "lease", at(99)).await.unwrap(), "the job is still ours");
}

async fn a_registration_forgets_what_was_remembered_of_the_content(house: &House) {
    let failed = house.claimed("file", "lease").await;
    house.db.fail_assembly(failed.id, "lease", "bad", "v1", at(2)).await.unwrap();
    let (_, theirs) = house.neighbour().await;
    let other = symdepot::db::NewAssembly { project_id: theirs.id, ..house.wanted("file") };
    house.db.queue_assemblies(&[other], at(1)).await.unwrap();

    house.register(&house.new_file("file", 1)).await;
    assert_eq!(house.db.assemblies(house.project.id, &[sha1("file")]).await.unwrap(), []);
    assert_eq!(house.db.assemblies(theirs.id, &[sha1("file")]).await.unwrap().len(), 1, "of this project only");

    house.db.claim_assembly(&[], "theirs", at(99), at(1)).await.unwrap().unwrap();
    let job = house.claimed("other", "lease").await;
    house.register(&house.new_file("other", 2)).await;
    assert!(house.db.renew_assembly_lease(job.id, "lease", at(99)).await.unwrap(), "who works on it ends it");
}

async fn redundant_files_are_retired_and_do_not_block_a_new_registration(house: &House) {
    let old = house.register(&house.new_file("old", 1)).await;
    let register = async |text: &str, second| {
        let new = house.new_file(text, 1);
        created(house.db.register_debug_file(&new, None, None, keep_newest, at(second)).await.unwrap())
    };
    let new = register("new", 10).await;
    assert_eq!(house.db.debug_file(house.project.id, old.id).await.unwrap(), None, "not served any more");
    let told = house.db.known_files(house.project.id, &[sha1("old")], CONVERTER).await.unwrap();
    assert_eq!((told[0].file.clone(), told[0].retired_at), (old.clone(), Some(at(10))), "but pollers are told");

    let back = register("old", 20).await;
    assert_ne!(back.id, old.id);
    assert_eq!(
        house.db.debug_files_by_id(house.project.id, std::slice::from_ref(&old.debug_id)).await.unwrap(),
        std::slice::from_ref(&back)
    );
    let told = house.db.known_files(house.project.id, &[sha1("old"), sha1("new")], CONVERTER).await.unwrap();
    let told: Vec<_> = told.into_iter().map(|known| (known.file.id, known.retired_at)).collect();
    assert_eq!(told, [(back.id, None), (new.id, Some(at(20))), (old.id, Some(at(10)))]);
}

async fn the_domain_sees_live_files_of_the_same_id_newest_first(house: &House) {
    fn check(files: &[DebugFile]) -> Vec<i64> {
        let names: Vec<_> = files.iter().map(|file| file.object_name.as_str()).collect();
        assert_eq!(names, ["third.so", "second.so", "first.so"]);
        vec![files[1].id]
    }
    house.register(&house.new_file("first", 1)).await;
    house.register(&house.new_file("unrelated", 2)).await;
    house.register(&house.new_file("second", 1)).await;
    let (_, theirs) = house.neighbour().await;
    house.register(&NewDebugFile { project_id: theirs.id, ..house.new_file("foreign", 1) }).await;

    let third = NewDebugFile { features: Features::UNWIND, ..house.new_file("third", 1) };
    created(house.db.register_debug_file(&third, None, None, check, at(3)).await.unwrap());
    let live = house.db.debug_files_by_id(house.project.id, std::slice::from_ref(&third.debug_id)).await.unwrap();
    assert_eq!(live.iter().map(|file| file.object_name.as_str()).collect::<Vec<_>>(), ["third.so", "first.so"]);
    assert_eq!(live[0].features, Features::UNWIND);
}

async fn sixteen_registrations_of_one_file_at_once_make_one_row(house: &House) {
    let chunk = house.chunk("a").await;
    let registered = at_once(16, |number| {
        let db = house.db.clone();
        let new = NewDebugFile { chunk_ids: vec![chunk.id], ..house.new_file("file", 1) };
        async move {
            let symcache = ready(key(0), &format!("k{number}"));
            db.register_debug_file(&new, Some(&symcache), None, keep_newest, at(1)).await.unwrap()
        }
    });
    let registered = registered.await;
    let new: Vec<_> = registered.iter().filter(|one| matches!(one, Registered::Created(_))).collect();
    assert_eq!(new.len(), 1, "{registered:?}");
    let rows = known(house, "file").await;
    assert_eq!(rows.len(), 1);
    assert!(registered.iter().all(|one| match one {
        Registered::Created(file) | Registered::Existing(file) => *file == rows[0],
        Registered::LeaseLost => false,
    }));
    assert_eq!(house.db.symcaches_of(&[rows[0].id]).await.unwrap().len(), 1);
}

async fn registrations_of_one_debug_id_at_once_see_each_other(house: &House) {
    let registered = at_once(16, |number| {
        let (db, new) = (house.db.clone(), house.new_file(&number.to_string(), 1));
        async move { created(db.register_debug_file(&new, None, None, keep_newest, at(1)).await.unwrap()) }
    });
    let mut files = registered.await;
    files.sort_by_key(|file| file.id);
    let live = house.db.debug_files_by_id(house.project.id, &[files[0].debug_id.clone()]).await.unwrap();
    assert_eq!(live, files[15..], "only the newest is left");
}

async fn ten_thousand_repeats_of_a_chunk_come_back_in_order(house: &House) {
    let (a, b) = (house.chunk("a").await, house.chunk("b").await);
    let mut chunk_ids = vec![a.id; 10_000];
    chunk_ids[1234] = b.id;
    let file = house.register(&NewDebugFile { chunk_ids, ..house.new_file("file", 1) }).await;
    let pieces = house.db.debug_file_pieces(file.id).await.unwrap();
    assert_eq!(pieces.len(), 10_000);
    assert_eq!(pieces.iter().position(|piece| *piece == b.blob), Some(1234));
}
