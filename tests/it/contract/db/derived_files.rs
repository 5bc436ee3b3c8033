//! Derived files: made once per key, whoever tries, and gone with what they were made from.

use symdepot::db::{Insert, UnusedDerived};
use symdepot::types::{DerivedFile, DerivedKey, DerivedSort};

use super::{House, at, at_once, blob, on_both_engines, sha1};

on_both_engines! {
    a_derived_file_is_stored_once_per_key,
    sixty_four_derived_files_of_one_key_at_once_are_one_row,
    a_derived_file_goes_with_its_debug_file,
    inserting_a_derived_file_while_the_file_goes_is_never_an_error,
    what_one_tool_made_of_other_files_goes_and_other_tools_stay,
    derived_files_that_nobody_asked_for_are_told_page_by_page_and_go_unless_somebody_did_meanwhile,
    derived_bytes_are_known_and_listed,
}

fn key(debug_file_id: i64) -> DerivedKey {
    DerivedKey { debug_file_id, sort: DerivedSort::Breakpad, version: "dump-1".to_owned() }
}

async fn a_derived_file_is_stored_once_per_key(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let outcome = Ok((sha1("b1"), blob("b1")));
    let inserted = house.db.insert_derived_file(&key(file.id), &outcome, at(3)).await.unwrap();
    let Insert::Inserted(row) = inserted else { panic!("{inserted:?}") };
    let expected = DerivedFile { id: row.id, key: key(file.id), outcome, created_at: at(3), used_at: at(3) };
    assert_eq!(row, expected);
    let failed = Err("It cannot be made.".to_owned());
    assert_eq!(house.db.insert_derived_file(&key(file.id), &failed, at(4)).await.unwrap(), Insert::Taken);
    assert!(house.db.derived_file_used(row.id, at(5)).await.unwrap());
    assert!(!house.db.derived_file_used(row.id + 1, at(5)).await.unwrap(), "there is none");
    let used = DerivedFile { used_at: at(5), ..expected };
    assert_eq!(house.db.derived_file(&key(file.id)).await.unwrap(), Some(used));

    let others =
        [DerivedKey { sort: DerivedSort::Cab, ..key(file.id) }, DerivedKey { version: "2".to_owned(), ..key(file.id) }];
    for other in others {
        assert_eq!(house.db.derived_file(&other).await.unwrap(), None);
        let inserted = house.db.insert_derived_file(&other, &failed, at(5)).await.unwrap();
        assert!(matches!(inserted, Insert::Inserted(row) if row.outcome == failed), "{other:?}");
    }
}

async fn sixty_four_derived_files_of_one_key_at_once_are_one_row(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let inserted = at_once(64, |number| {
        let db = house.db.clone();
        let outcome = Ok((sha1("b"), blob(&format!("b{number}"))));
        async move { db.insert_derived_file(&key(file.id), &outcome, at(3)).await.unwrap() }
    });
    let inserted = inserted.await;
    let rows: Vec<_> = inserted.into_iter().filter(|inserted| !matches!(inserted, Insert::Taken)).collect();
    let standing = house.db.derived_file(&key(file.id)).await.unwrap().unwrap();
    assert_eq!(rows, [Insert::Inserted(standing)]);
}

async fn a_derived_file_goes_with_its_debug_file(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    house.db.insert_derived_file(&key(file.id), &Ok((sha1("b"), blob("b"))), at(3)).await.unwrap();
    let (_, keys) = house.db.delete_debug_file(file.project_id, file.id).await.unwrap().unwrap();
    assert_eq!(keys, ["b"]);
    assert_eq!(house.db.derived_file(&key(file.id)).await.unwrap(), None);
    let late = house.db.insert_derived_file(&key(file.id), &Ok((sha1("b"), blob("c"))), at(4)).await.unwrap();
    assert_eq!(late, Insert::FileGone);
}

async fn inserting_a_derived_file_while_the_file_goes_is_never_an_error(house: &House) {
    for round in 0..20 {
        let file = house.register(&house.new_file("file", 1)).await;
        let bytes = format!("b{round}");
        let (key, outcome) = (key(file.id), Ok((sha1(&bytes), blob(&bytes))));
        let insert = house.db.insert_derived_file(&key, &outcome, at(3));
        let delete = house.db.delete_debug_file(file.project_id, file.id);
        let (inserted, deleted) = tokio::join!(insert, delete);
        let (_, keys) = deleted.unwrap().unwrap();
        // Either the row came first and its bytes are named, or it never was.
        match inserted.unwrap() {
            Insert::Inserted(_) => assert_eq!(keys, [bytes]),
            other => assert_eq!((other, keys), (Insert::FileGone, Vec::new())),
        }
    }
}

async fn what_one_tool_made_of_other_files_goes_and_other_tools_stay(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let versions = ["dump-0", "dump-1", "dump-1+code", "dump-1+code+names", "dump-11", "dump-11+code"];
    for version in versions {
        let key = DerivedKey { version: version.to_owned(), ..key(file.id) };
        house.db.insert_derived_file(&key, &Ok((sha1(version), blob(version))), at(3)).await.unwrap();
    }
    let cab = DerivedKey { sort: DerivedSort::Cab, ..key(file.id) };
    house.db.insert_derived_file(&cab, &Ok((sha1("cab"), blob("cab"))), at(3)).await.unwrap();
    let current = DerivedKey { version: "dump-1+code".to_owned(), ..key(file.id) };
    let mut gone = house.db.delete_replaced_derived_files(&current, "dump-1").await.unwrap();
    gone.sort();
    assert_eq!(gone, ["dump-1", "dump-1+code+names"]);
    let left = house.db.derived_files_of(file.id, DerivedSort::Breakpad).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|row| row.key.version).collect();
    assert_eq!(left, ["dump-0", "dump-1+code", "dump-11", "dump-11+code"]);
    assert!(house.db.derived_file(&cab).await.unwrap().is_some());
}

async fn derived_files_that_nobody_asked_for_are_told_page_by_page_and_go_unless_somebody_did_meanwhile(house: &House) {
    let mut rows = Vec::new();
    for (number, second) in [(0, 5), (1, 3), (2, 3), (3, 9)] {
        let file = house.register(&house.new_file(&format!("file {number}"), number)).await;
        let outcome = match number {
            2 => Err("It cannot be made.".to_owned()),
            _ => Ok((sha1("b"), blob(&format!("b{number}")))),
        };
        let inserted = house.db.insert_derived_file(&key(file.id), &outcome, at(second)).await.unwrap();
        let Insert::Inserted(row) = inserted else { panic!("{inserted:?}") };
        rows.push(row);
    }
    let unused = |number: usize, stored_size| {
        let DerivedFile { id, used_at, .. } = rows[number];
        UnusedDerived { id, stored_size, used_at }
    };
    let all = [unused(1, 5), unused(2, 0), unused(0, 5)];
    let first = house.db.unused_derived_files(at(9), None, 2).await.unwrap();
    assert_eq!(first, all[..2], "the one that was not asked for the longest comes first");
    assert_eq!(house.db.unused_derived_files(at(9), Some(first[1]), 2).await.unwrap(), all[2..]);
    assert_eq!(house.db.unused_derived_files(at(9), Some(all[2]), 2).await.unwrap(), []);

    house.db.derived_file_used(rows[1].id, at(9)).await.unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let mut gone = house.db.delete_unused_derived_files(&ids, at(9)).await.unwrap();
    gone.sort();
    assert_eq!(gone, [(None, 0), (Some("b0".to_owned()), 5)]);
    let mut left = Vec::new();
    for row in &rows {
        left.extend(house.db.derived_file(&row.key).await.unwrap().map(|row| row.id));
    }
    assert_eq!(left, [rows[1].id, rows[3].id]);
}

async fn derived_bytes_are_known_and_listed(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let other = house.register(&house.new_file("other", 2)).await;
    house.db.insert_derived_file(&key(file.id), &Ok((sha1("b1"), blob("b1"))), at(3)).await.unwrap();
    house.db.insert_derived_file(&key(other.id), &Err("no".to_owned()), at(3)).await.unwrap();
    let cab = DerivedKey { sort: DerivedSort::Cab, ..key(other.id) };
    house.db.insert_derived_file(&cab, &Ok((sha1("b2"), blob("b2"))), at(3)).await.unwrap();
    let page = house.db.derived_bytes_after("", 1).await.unwrap();
    assert_eq!(page.len(), 1);
    let rest = house.db.derived_bytes_after(&page[0].2.key, 10).await.unwrap();
    let bytes: Vec<_> = page.into_iter().chain(rest).map(|(_, sha1, blob)| (sha1, blob)).collect();
    assert_eq!(bytes, [(sha1("b1"), blob("b1")), (sha1("b2"), blob("b2"))]);
    let rows = house.db.blob_rows("", 10).await.unwrap();
    assert_eq!(rows, [("b1".to_owned(), 5), ("b2".to_owned(), 5)]);
    assert_eq!(house.db.blob_rows("b1", 10).await.unwrap(), rows[1..]);
    let known = house.db.known_blob_keys(&["b1".to_owned(), "b3".to_owned()]).await.unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ["b1"]);
    let row = house.db.derived_file(&cab).await.unwrap().unwrap();
    assert_eq!(house.db.delete_derived_file(row.id).await.unwrap().as_deref(), Some("b2"));
    assert_eq!(house.db.delete_derived_file(row.id).await.unwrap(), None);
}
