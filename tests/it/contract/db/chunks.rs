//! Chunks and their owners.

use std::collections::HashSet;

use symdepot::db::OwnedChunk;
use symdepot::types::{BlobRef, Chunk, Sha1};

use super::{House, at, at_once, blob, key, malformed, on_both_engines, ready, sha1};

on_both_engines! {
    the_first_bytes_of_a_chunk_stay_its_bytes,
    a_chunk_is_told_only_to_its_owners,
    sixty_four_uploads_of_one_chunk_at_once_store_it_once,
    a_chunk_that_vanishes_while_it_is_added_is_added_all_the_same,
    lost_bytes_are_replaced_by_one_of_those_who_try,
    lost_bytes_stay_until_they_are_replaced,
    processes_of_the_version_before_and_of_this_one_agree_on_what_is_lost,
    an_empty_chunk_can_be_lost,
    a_chunk_that_is_part_of_a_file_cannot_go,
    three_thousand_chunks_are_one_question,
    blob_keys_are_known_whoever_speaks_of_them,
}

async fn the_first_bytes_of_a_chunk_stay_its_bytes(house: &House) {
    let (db, acme) = (&house.db, house.organization.id);
    let first = db.add_chunk(acme, sha1("a"), &blob("k1"), at(1)).await.unwrap();
    assert_eq!(first, Chunk { id: first.id, sha1: sha1("a"), blob: blob("k1"), lost: false });
    assert_eq!(db.add_chunk(acme, sha1("a"), &blob("k2"), at(2)).await.unwrap(), first);
    assert_eq!(db.add_chunk(acme, sha1("a"), &blob("k1"), at(3)).await.unwrap(), first, "the same call again");

    let owned = db.owned_chunks(acme, &[sha1("a")]).await.unwrap();
    assert_eq!(owned[&sha1("a")], OwnedChunk { chunk: first, stored_at: at(1), wanted_at: at(3) });
}

async fn a_chunk_is_told_only_to_its_owners(house: &House) {
    let (rival, _) = house.neighbour().await;
    let ours = house.chunk("a").await;
    assert!(house.db.owned_chunks(rival.id, &[sha1("a")]).await.unwrap().is_empty());
    let theirs = house.db.add_chunk(rival.id, sha1("a"), &blob("other"), at(1)).await.unwrap();
    assert_eq!(theirs, ours, "stored once for both");
    assert_eq!(house.db.owned_chunks(rival.id, &[sha1("a"), sha1("b")]).await.unwrap().len(), 1);
    assert!(house.db.owned_chunks(rival.id, &[]).await.unwrap().is_empty());
}

async fn sixty_four_uploads_of_one_chunk_at_once_store_it_once(house: &House) {
    let owners = [house.organization.id, house.neighbour().await.0.id];
    let chunks = at_once(64, |number| {
        let db = house.db.clone();
        async move { db.add_chunk(owners[number % 2], sha1("a"), &blob(&format!("k{number}")), at(1)).await.unwrap() }
    });
    let chunks = chunks.await;
    assert!(chunks.iter().all(|chunk| *chunk == chunks[0]));
    let rows = house.db.blob_rows("", 100).await.unwrap();
    assert_eq!(rows, [(chunks[0].blob.key.clone(), 5)]);
    for owner in owners {
        assert_eq!(house.db.owned_chunks(owner, &[sha1("a")]).await.unwrap().len(), 1);
    }
}

async fn a_chunk_that_vanishes_while_it_is_added_is_added_all_the_same(house: &House) {
    let (db, acme) = (house.db.clone(), house.organization.id);
    let adding = at_once(8, |task| {
        let db = db.clone();
        async move {
            for turn in 0..20 {
                let key = format!("k{task}-{turn}");
                let chunk = db.add_chunk(acme, sha1("a"), &blob(&key), at(1)).await.unwrap();
                assert_eq!(chunk.sha1, sha1("a"));
            }
        }
    });
    let deleting = async {
        for _ in 0..20 {
            house.raw("delete from chunks").await.unwrap();
        }
    };
    tokio::join!(adding, deleting);
    let chunk = house.chunk("a").await;
    assert_eq!(house.db.owned_chunks(acme, &[sha1("a")]).await.unwrap()[&sha1("a")].chunk, chunk);
}

async fn lost_bytes_are_replaced_by_one_of_those_who_try(house: &House) {
    let chunk = house.chunk("a").await;
    let lost = chunk.blob.key.clone();
    let replaced = at_once(16, |number| {
        let (db, lost) = (house.db.clone(), lost.clone());
        async move { db.replace_chunk_bytes(chunk.id, &lost, &blob(&format!("new{number}")), at(9)).await.unwrap() }
    });
    let replaced = replaced.await;
    assert_eq!(replaced.iter().filter(|replaced| **replaced).count(), 1);
    let winner = replaced.iter().position(|replaced| *replaced).unwrap();

    let owned = house.db.owned_chunks(house.organization.id, &[sha1("a")]).await.unwrap();
    let expected = Chunk { blob: blob(&format!("new{winner}")), ..chunk };
    assert_eq!(owned[&sha1("a")], OwnedChunk { chunk: expected, stored_at: at(9), wanted_at: at(9) });
}

async fn lost_bytes_stay_until_they_are_replaced(house: &House) {
    let (db, acme) = (&house.db, house.organization.id);
    let chunk = house.chunk("a").await;
    assert!(!db.lose_chunk(chunk.id, "other bytes", at(1)).await.unwrap());
    assert_eq!(house.chunk("a").await, chunk, "these are not the ones that were meant");
    assert!(db.lose_chunk(chunk.id, &chunk.blob.key, at(1)).await.unwrap());
    assert!(db.owned_chunks(acme, &[sha1("a")]).await.unwrap().is_empty());
    let lost = BlobRef { stored_size: 0, ..chunk.blob.clone() };
    let again = house.chunk("a").await;
    assert_eq!((again.blob, again.lost), (lost, true), "whoever brings it again sees that it was lost");
    assert_eq!(db.renew_chunk(acme, sha1("a"), at(2)).await.unwrap(), None);
    assert!(db.replace_chunk_bytes(chunk.id, &chunk.blob.key, &blob("new"), at(9)).await.unwrap());
    let owned = &db.owned_chunks(acme, &[sha1("a")]).await.unwrap()[&sha1("a")];
    assert_eq!((&owned.chunk.blob, owned.stored_at), (&blob("new"), at(9)));
}

async fn processes_of_the_version_before_and_of_this_one_agree_on_what_is_lost(house: &House) {
    const MIGRATION: &str = include_str!("../../../../migrations/postgres/0012_lost_chunks.sql");
    let (db, acme) = (&house.db, house.organization.id);
    let (chunk, other) = (house.chunk("a").await, house.chunk("b").await);
    let owned = async || db.owned_chunks(acme, &[sha1("a"), sha1("b")]).await.unwrap().len();
    // An older process marks a chunk as lost, before and after the migration.
    house.raw(&format!("update chunks set stored_size = 0 where id = {}", chunk.id)).await.unwrap();
    assert_eq!((owned().await, house.chunk("a").await.lost), (1, true));
    let convert = MIGRATION.split(';').find(|statement| statement.trim_start().starts_with("update")).unwrap();
    assert_eq!(house.raw(convert).await.unwrap(), 1);
    assert_eq!((owned().await, house.chunk("a").await.lost), (1, true));
    // It replaces the bytes and knows nothing of the mark.
    let replace = format!("update chunks set blob_key = 'new', stored_size = 5 where id = {}", chunk.id);
    house.raw(&replace).await.unwrap();
    assert_eq!((owned().await, house.chunk("a").await.lost), (2, false));
    // What this version marks the older one sees too.
    assert!(db.lose_chunk(other.id, &other.blob.key, at(1)).await.unwrap());
    assert_eq!(
        house.raw("update chunks set wanted_at = wanted_at where stored_size = 0 and size > 0").await.unwrap(),
        1
    );
}

async fn an_empty_chunk_can_be_lost(house: &House) {
    let (db, acme) = (&house.db, house.organization.id);
    let empty = BlobRef { size: 0, stored_size: 0, ..blob("empty") };
    let chunk = db.add_chunk(acme, sha1(""), &empty, at(1)).await.unwrap();
    assert_eq!((chunk.lost, db.owned_chunks(acme, &[sha1("")]).await.unwrap().len()), (false, 1));
    assert!(db.lose_chunk(chunk.id, "empty", at(2)).await.unwrap());
    assert!(db.owned_chunks(acme, &[sha1("")]).await.unwrap().is_empty());
    let new = BlobRef { key: "new".to_owned(), ..empty };
    assert!(db.replace_chunk_bytes(chunk.id, "empty", &new, at(3)).await.unwrap());
    assert!(!db.owned_chunks(acme, &[sha1("")]).await.unwrap()[&sha1("")].chunk.lost);
}

async fn a_chunk_that_is_part_of_a_file_cannot_go(house: &House) {
    let used = house.chunk("a").await;
    let unused = house.chunk("b").await;
    let mut file = house.new_file("a", 1);
    file.chunk_ids = vec![used.id];
    let file = house.register(&file).await;

    let error = house.raw(&format!("delete from chunks where id = {}", used.id)).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("foreign key constraint"), "{error}");
    assert_eq!(house.raw(&format!("delete from chunks where id = {}", unused.id)).await.unwrap(), 1);

    house.db.delete_debug_file(house.project.id, file.id).await.unwrap().unwrap();
    assert_eq!(house.raw(&format!("delete from chunks where id = {}", used.id)).await.unwrap(), 1);
    assert!(house.db.owned_chunks(house.organization.id, &[sha1("a")]).await.unwrap().is_empty());
}

async fn three_thousand_chunks_are_one_question(house: &House) {
    let sha1s: Vec<Sha1> = (0..3000).map(|number| sha1(&number.to_string())).collect();
    house.chunk("17").await;
    house.chunk("2999").await;
    let owned = house.db.owned_chunks(house.organization.id, &sha1s).await.unwrap();
    let found: HashSet<Sha1> = owned.into_keys().collect();
    assert_eq!(found, HashSet::from([sha1("17"), sha1("2999")]));
}

async fn blob_keys_are_known_whoever_speaks_of_them(house: &House) {
    let (db, acme) = (&house.db, house.organization.id);
    for name in ["b", "d", "a-1", "Z"] {
        db.add_chunk(acme, sha1(name), &blob(name), at(0)).await.unwrap();
    }
    let file = house.register(&house.new_file("f", 1)).await;
    db.insert_symcache(&ready(key(file.id), "c"), at(0)).await.unwrap();
    let mut other = key(file.id);
    other.format_version = 9;
    db.insert_symcache(&malformed(other, "no bytes"), at(0)).await.unwrap();

    let asked = ["a-1", "c", "nobody", "\"quoted\\", ""].map(str::to_owned);
    assert_eq!(db.known_blob_keys(&asked).await.unwrap(), HashSet::from(["a-1".to_owned(), "c".to_owned()]));
    assert!(db.known_blob_keys(&[]).await.unwrap().is_empty());

    let mut walked = Vec::new();
    let mut after = String::new();
    loop {
        let page = db.blob_rows(&after, 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after.clone_from(last);
        walked.extend(page);
    }
    let expected = ["Z", "a-1", "b", "c", "d"].map(|key| (key.to_owned(), 5));
    assert_eq!(walked, expected, "byte by byte, on every engine");
}
