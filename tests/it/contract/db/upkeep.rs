//! What keeping house asks of the rows.

use std::collections::HashSet;

use symdepot::db::{OldChunk, SymcacheBytes, SymcacheKey};

use super::{House, at, blob, key, on_both_engines, ready, sha1};
use crate::support::claims::ClaimAssembly as _;

on_both_engines! {
    old_chunks_are_told_page_by_page_with_whether_a_file_has_them,
    a_chunk_that_files_are_made_of_is_passed_over_until_one_of_them_goes,
    a_chunk_that_is_wrongly_said_to_be_in_use_is_released,
    symcaches_are_told_version_by_version,
    only_a_chunk_that_is_still_idle_is_deleted,
    what_assemblies_wait_for_is_told_and_renewed,
    everything_with_bytes_is_walked_by_key,
    a_lost_chunk_is_not_there_and_its_files_are_unknown_until_it_is_mended,
}

async fn old_chunks_are_told_page_by_page_with_whether_a_file_has_them(house: &House) {
    let (a, b, c) = (house.chunk("a").await, house.chunk("b").await, house.chunk("c").await);
    let mut file = house.new_file("f", 1);
    file.chunk_ids = vec![b.id, b.id];
    house.register(&file).await;
    house.db.renew_chunks(&[c.id], at(9)).await.unwrap();
    let old = |id, wanted_at, idle| OldChunk { id, wanted_at, stored_size: 5, idle };
    let (a, b, c) = (old(a.id, at(0), true), old(b.id, at(0), false), old(c.id, at(9), true));
    assert_eq!(house.db.old_chunks(at(9), None, 10).await.unwrap(), [a.clone(), b.clone()]);
    assert_eq!(house.db.old_chunks(at(9), None, 1).await.unwrap(), [a]);
    assert_eq!(house.db.old_chunks(at(10), Some(&b), 10).await.unwrap(), [c]);
}

async fn a_chunk_that_files_are_made_of_is_passed_over_until_one_of_them_goes(house: &House) {
    let (idle, used) = (house.chunk("a").await, house.chunk("b").await);
    let mut file = house.new_file("f", 1);
    file.chunk_ids = vec![used.id, used.id];
    let (first, second) = (house.register(&file).await, {
        file.sha1 = sha1("g");
        house.register(&file).await
    });
    let told = || async {
        let page = house.db.old_chunks(at(9), None, 10).await.unwrap();
        page.into_iter().map(|chunk| (chunk.id, chunk.idle)).collect::<Vec<_>>()
    };
    house.db.chunks_in_use(&[idle.id, used.id, 4711]).await.unwrap();
    assert_eq!(told().await, [(idle.id, true)], "what no file is made of is not in use, whatever is said");
    house.db.delete_debug_file(house.project.id, first.id).await.unwrap().unwrap();
    assert_eq!(told().await, [(idle.id, true), (used.id, false)], "it is looked at again");
    house.db.chunks_in_use(&[used.id]).await.unwrap();
    assert_eq!(told().await, [(idle.id, true)]);
    house.db.delete_debug_file(house.project.id, second.id).await.unwrap().unwrap();
    assert_eq!(told().await, [(idle.id, true), (used.id, true)]);
}

async fn a_chunk_that_is_wrongly_said_to_be_in_use_is_released(house: &House) {
    let (idle, used) = (house.chunk("a").await, house.chunk("b").await);
    let mut file = house.new_file("f", 1);
    file.chunk_ids = vec![used.id];
    house.register(&file).await;
    house.raw("update chunks set in_use = 1").await.unwrap();
    assert_eq!(house.db.old_chunks(at(9), None, 10).await.unwrap(), []);
    assert_eq!(house.db.release_chunks().await.unwrap(), 1);
    let old = house.db.old_chunks(at(9), None, 10).await.unwrap();
    assert_eq!(old.iter().map(|chunk| chunk.id).collect::<Vec<_>>(), [idle.id]);
    assert_eq!(house.db.release_chunks().await.unwrap(), 0);
}

async fn symcaches_are_told_version_by_version(house: &House) {
    assert_eq!(house.db.symcache_versions().await.unwrap(), []);
    let (one, other) = (house.register(&house.new_file("f", 1)).await, house.register(&house.new_file("g", 2)).await);
    let versions = [(7, "symbolic-9"), (8, "symbolic-1"), (8, "symbolic-2"), (9, "symbolic-1")];
    for (file, time) in [(&one, 1), (&other, 5)] {
        for (format_version, converter) in versions {
            let key = SymcacheKey { format_version, converter_version: converter.to_owned(), ..key(file.id) };
            let name = format!("{format_version}{converter}{time}");
            house.db.insert_symcache(&ready(key, &name), at(time)).await.unwrap();
        }
    }
    let told = house.db.symcache_versions().await.unwrap();
    assert_eq!(told, versions.map(|(format, converter)| (format, converter.to_owned())));
    let page = async |after| {
        let page = house.db.symcaches_of_version((8, "symbolic-2"), (10, "today"), at(9), after, 1).await.unwrap();
        page.first().copied()
    };
    let (first, size) = page(0).await.unwrap();
    let (second, _) = page(first).await.unwrap();
    assert_eq!((size, page(second).await), (5, None));
    let young = house.db.symcaches_of_version((8, "symbolic-2"), (10, "today"), at(5), first, 9).await.unwrap();
    assert_eq!(young, [], "what was made later stays");

    // Of the format of today those go that have a successor.
    let of = async |version, current, before| {
        let page = house.db.symcaches_of_version(version, current, before, 0, 9).await.unwrap();
        page.len()
    };
    let (earlier, later) = ((8, "symbolic-1"), (8, "symbolic-2"));
    assert_eq!(of(earlier, later, at(9)).await, 2);
    assert_eq!(of(earlier, later, at(5)).await, 1, "a young successor may be one of a version that is taken back");
    assert_eq!(of(later, earlier, at(9)).await, 0, "what a later version made stays");
    assert_eq!(of(earlier, (8, "symbolic-3"), at(9)).await, 0, "it is served until its successor is made");
}

async fn only_a_chunk_that_is_still_idle_is_deleted(house: &House) {
    let (idle, used, renewed) = (house.chunk("a").await, house.chunk("b").await, house.chunk("c").await);
    let mut file = house.new_file("f", 1);
    file.chunk_ids = vec![used.id];
    house.register(&file).await;
    let there = house.db.renew_chunks(&[renewed.id, 4711], at(9)).await.unwrap();
    assert_eq!(there, HashSet::from([renewed.id]), "what is not there is not told");
    let deleted = house.db.delete_idle_chunks(&[idle.id, used.id, renewed.id], at(9)).await.unwrap();
    assert_eq!(deleted, [("chunks/a".to_owned(), 5)]);
    let left: Vec<_> = house.db.chunks_after("", 10).await.unwrap().into_iter().map(|chunk| chunk.id).collect();
    assert_eq!(left, [used.id, renewed.id]);
}

async fn what_assemblies_wait_for_is_told_and_renewed(house: &House) {
    let chunk = house.chunk("waiting").await;
    house.db.queue_assemblies(&[house.wanted("waiting"), house.wanted("working")], at(1)).await.unwrap();
    house.db.claim_assembly(&[], "lease", at(31), at(1)).await.unwrap().unwrap();
    let (first, second) = (sha1("waiting"), sha1("working"));
    let awaited = house.db.awaited_chunks(0, 10).await.unwrap();
    assert_eq!(awaited.iter().map(|(_, chunks)| chunks[0]).collect::<HashSet<_>>(), HashSet::from([first, second]));
    assert_eq!(house.db.awaited_chunks(awaited[0].0, 10).await.unwrap().len(), 1);
    house.db.renew_awaited_chunks(&[first, second], at(5), at(9)).await.unwrap();
    assert_eq!(house.db.old_chunks(at(9), None, 10).await.unwrap(), []);
    assert_eq!(house.db.old_chunks(at(10), None, 10).await.unwrap()[0].id, chunk.id);
}

async fn everything_with_bytes_is_walked_by_key(house: &House) {
    let (a, b) = (house.chunk("a").await, house.chunk("b").await);
    assert_eq!(house.db.chunks_after("", 1).await.unwrap(), std::slice::from_ref(&a));
    assert_eq!(house.db.chunks_after(&a.blob.key, 10).await.unwrap(), [b]);
    let file = house.register(&house.new_file("f", 1)).await;
    house.db.insert_symcache(&ready(key(file.id), "symcaches/x"), at(0)).await.unwrap();
    let walked = house.db.symcache_bytes_after("", 10).await.unwrap();
    let SymcacheBytes { blob: found, .. } = &walked[0];
    assert_eq!((walked.len(), found.key.as_str()), (1, "symcaches/x"));
    assert_eq!(house.db.symcache_bytes_after(&found.key, 10).await.unwrap(), []);
}

async fn a_lost_chunk_is_not_there_and_its_files_are_unknown_until_it_is_mended(house: &House) {
    let (db, acme) = (&house.db, house.organization.id);
    let chunk = house.chunk("a").await;
    let mut file = house.new_file("f", 1);
    file.chunk_ids = vec![chunk.id];
    let stored = house.register(&file).await;
    let known = || async { db.known_files(house.project.id, &[sha1("f")], "symbolic-1").await.unwrap().len() };
    assert!(!db.lose_chunk(chunk.id, "other bytes", at(3)).await.unwrap());
    assert_eq!(known().await, 1);
    assert!(db.lose_chunk(chunk.id, &chunk.blob.key, at(3)).await.unwrap());
    assert_eq!(known().await, 0);
    assert_eq!(db.damaged_files(&[stored.id, 4711]).await.unwrap(), HashSet::from([stored.id]));
    assert!(db.owned_chunks(acme, &[sha1("a")]).await.unwrap().is_empty());
    assert_eq!(db.files_of_chunk(chunk.id).await.unwrap(), std::slice::from_ref(&stored));
    assert_eq!(db.mend_files().await.unwrap(), 0, "it is not mended yet");
    db.replace_chunk_bytes(chunk.id, &chunk.blob.key, &blob("chunks/new"), at(4)).await.unwrap();
    assert_eq!(db.mend_files().await.unwrap(), 1);
    assert!(db.damaged_files(&[stored.id]).await.unwrap().is_empty());
    assert_eq!(known().await, 1);
}
