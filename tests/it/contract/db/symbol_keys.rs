//! Keys of the symbol server, and which projects are public.

use symdepot::types::SymbolKey;

use super::{House, at, on_both_engines};

on_both_engines! {
    a_key_is_found_by_its_hash_with_everything_it_was_made_of,
    the_last_use_of_a_key_is_known_to_the_minute,
    a_key_is_taken_back_once_and_for_all,
    a_project_is_private_until_it_is_said_to_be_public,
}

async fn insert(house: &House, secret: u8) -> i64 {
    house.db.insert_symbol_key(house.project.id, "gdb\0", Some("sdkey_ab"), &[secret; 32], at(1)).await.unwrap()
}

async fn found(house: &House, secret: u8) -> Option<SymbolKey> {
    house.db.symbol_key_by_hash(&[secret; 32]).await.unwrap()
}

async fn a_key_is_found_by_its_hash_with_everything_it_was_made_of(house: &House) {
    let (_, theirs) = house.neighbour().await;
    let id = insert(house, 1).await;
    let key = SymbolKey {
        id,
        project_id: house.project.id,
        name: "gdb\u{fffd}".to_owned(),
        prefix: Some("sdkey_ab".to_owned()),
        secret_sha256: vec![1; 32],
        created_at: at(1),
        last_used_at: None,
        revoked_at: None,
    };
    assert_eq!(found(house, 1).await, Some(key.clone()));
    assert_eq!(found(house, 2).await, None);
    let refused =
        async |project, secret| house.db.insert_symbol_key(project, "", None, &[secret; 32], at(1)).await.is_err();
    assert!(refused(theirs.id, 1).await, "a secret opens one project");
    assert!(refused(4711, 3).await, "no key without its project");
    let older = house.db.insert_symbol_key(theirs.id, "", None, &[4; 32], at(1)).await.unwrap();
    assert_eq!(found(house, 4).await.map(|key| (key.id, key.prefix)), Some((older, None)));
    let second = insert(house, 2).await;
    let ids: Vec<_> = house.db.symbol_keys(house.project.id).await.unwrap().iter().map(|key| key.id).collect();
    assert_eq!(ids, [second, id], "newest first");
    assert_eq!(house.db.symbol_keys(theirs.id).await.unwrap().len(), 1);
}

async fn the_last_use_of_a_key_is_known_to_the_minute(house: &House) {
    let id = insert(house, 1).await;
    for (used, known) in [(10, 10), (69, 10), (70, 70)] {
        house.db.touch_symbol_key(id, at(used)).await.unwrap();
        assert_eq!(found(house, 1).await.unwrap().last_used_at, Some(at(known)), "used at {used}");
    }
}

async fn a_key_is_taken_back_once_and_for_all(house: &House) {
    let id = insert(house, 1).await;
    assert!(house.db.revoke_symbol_key(id, at(5)).await.unwrap());
    assert!(house.db.revoke_symbol_key(id, at(9)).await.unwrap());
    assert_eq!(found(house, 1).await.unwrap().revoked_at, Some(at(5)));
    assert!(!house.db.revoke_symbol_key(4711, at(5)).await.unwrap());
}

async fn a_project_is_private_until_it_is_said_to_be_public(house: &House) {
    let (organization, project) = (house.organization.id, house.project.id);
    let more = house.db.create_project(organization, "more", at(0)).await.unwrap();
    assert!(!house.project.public_symbols);
    assert_eq!(house.db.symbol_projects(organization).await.unwrap(), [(project, false), (more.id, false)]);
    house.db.set_public_symbols(project, true).await.unwrap();
    assert_eq!(house.db.symbol_projects(organization).await.unwrap(), [(project, true), (more.id, false)]);
    assert!(house.db.project(organization, "game").await.unwrap().unwrap().public_symbols);
    assert!(house.db.create_project(organization, "game", at(9)).await.unwrap().public_symbols, "as it was");
    house.db.set_public_symbols(project, false).await.unwrap();
    assert!(!house.db.project(organization, "game").await.unwrap().unwrap().public_symbols);
}
