//! Organizations, projects and tokens.

use symdepot::db::NewToken;
use symdepot::types::{Scope, Scopes, Token};

use super::{House, at, at_once, on_both_engines};
use crate::support::database::{Engine, TestDatabase};

on_both_engines! {
    an_empty_database_says_so_until_it_has_an_organization,
    making_an_organization_or_project_again_gives_the_first_one,
    the_same_slug_made_many_times_at_once_is_one_row,
    a_slug_wins_over_an_id_and_unknown_words_find_nothing,
    projects_come_in_pages,
    a_token_is_found_by_its_hash_with_everything_it_was_made_of,
    a_token_is_never_stored_with_fewer_projects_than_asked_for,
    the_last_use_is_known_to_the_minute,
    a_token_is_taken_back_once_and_for_all,
}

fn token(house: &House, secret: u8) -> NewToken {
    NewToken {
        organization_id: house.organization.id,
        name: "pipeline".to_owned(),
        scopes: Scopes(vec![Scope::OrgCi, Scope::SymbolsRead]),
        project_ids: Vec::new(),
        secret_sha256: vec![secret; 32],
        expires_at: None,
    }
}

async fn an_empty_database_says_so_until_it_has_an_organization(house: &House) {
    assert!(!house.db.is_empty().await.unwrap());
    let engine = if house.db.engine() == "sqlite" { Engine::Sqlite } else { Engine::Postgres };
    let fresh = TestDatabase::migrated(engine).await;
    let db = fresh.connect().await;
    assert!(db.is_empty().await.unwrap());
    db.create_organization("default", at(0)).await.unwrap();
    assert!(!db.is_empty().await.unwrap());
}

async fn making_an_organization_or_project_again_gives_the_first_one(house: &House) {
    let organization = house.db.create_organization("acme", at(9)).await.unwrap();
    assert_eq!(organization, house.organization);
    assert_eq!(organization.created_at, at(0));
    let project = house.db.create_project(organization.id, "game", at(9)).await.unwrap();
    assert_eq!(project, house.project);

    let (rival, theirs) = house.neighbour().await;
    assert_ne!(rival.id, organization.id);
    assert_ne!(theirs.id, project.id, "a slug is unique in its organization only");
    assert!(house.db.create_project(4711, "game", at(0)).await.is_err(), "no project without its organization");
}

async fn the_same_slug_made_many_times_at_once_is_one_row(house: &House) {
    let made = at_once(16, |_| {
        let db = house.db.clone();
        async move {
            let organization = db.create_organization("crowd", at(1)).await.unwrap();
            let project = db.create_project(organization.id, "app", at(1)).await.unwrap();
            (organization, project)
        }
    });
    let made = made.await;
    assert!(made.iter().all(|pair| *pair == made[0]));
}

async fn a_slug_wins_over_an_id_and_unknown_words_find_nothing(house: &House) {
    let (db, acme) = (&house.db, &house.organization);
    let tricky = db.create_organization(&acme.id.to_string(), at(0)).await.unwrap();
    assert_eq!(db.organization("acme").await.unwrap().as_ref(), Some(acme));
    assert_eq!(db.organization(&acme.id.to_string()).await.unwrap(), Some(tricky.clone()));
    assert_eq!(db.organization(&tricky.id.to_string()).await.unwrap(), Some(tricky));
    assert_eq!(db.organization_by_id(acme.id).await.unwrap().as_ref(), Some(acme));
    assert_eq!(db.organization_by_id(4711).await.unwrap(), None);

    let game = &house.project;
    assert_eq!(db.project(acme.id, "game").await.unwrap().as_ref(), Some(game));
    assert_eq!(db.project(acme.id, &game.id.to_string()).await.unwrap().as_ref(), Some(game));
    let (rival, theirs) = house.neighbour().await;
    assert_eq!(db.project(acme.id, &theirs.id.to_string()).await.unwrap(), None, "an id of another organization");
    assert_eq!(db.project(rival.id, "game").await.unwrap(), Some(theirs));

    for word in ["", "ACME", "acme ", "-1", "+1", "1.0", "99999999999999999999", "a\0b", "'; drop table tokens"] {
        assert_eq!(db.organization(word).await.unwrap(), None, "{word:?}");
        assert_eq!(db.project(acme.id, word).await.unwrap(), None, "{word:?}");
    }
}

async fn projects_come_in_pages(house: &House) {
    let mut all = vec![house.project.clone()];
    for slug in ["b", "a", "c"] {
        all.push(house.db.create_project(house.organization.id, slug, at(1)).await.unwrap());
    }
    house.neighbour().await;
    let page = |after, limit| house.db.projects(house.organization.id, after, limit);
    assert_eq!(page(0, 10).await.unwrap(), all);
    assert_eq!(page(0, 2).await.unwrap(), all[..2]);
    assert_eq!(page(all[1].id, 2).await.unwrap(), all[2..]);
    assert_eq!(page(all[3].id, 2).await.unwrap(), []);
}

async fn a_token_is_found_by_its_hash_with_everything_it_was_made_of(house: &House) {
    let second = house.db.create_project(house.organization.id, "tool", at(0)).await.unwrap();
    let limited = NewToken {
        project_ids: vec![second.id, house.project.id, second.id],
        expires_at: Some(at(3600)),
        ..token(house, 1)
    };
    let id = house.db.insert_token(&limited, at(5)).await.unwrap();
    let expected = Token {
        id,
        organization_id: house.organization.id,
        name: "pipeline".to_owned(),
        scopes: Scopes(vec![Scope::OrgCi, Scope::SymbolsRead]),
        project_ids: vec![house.project.id, second.id],
        secret_sha256: vec![1; 32],
        created_at: at(5),
        expires_at: Some(at(3600)),
        last_used_at: None,
        revoked_at: None,
    };
    assert_eq!(house.db.token_by_hash(&[1; 32]).await.unwrap().as_ref(), Some(&expected));
    assert_eq!(house.db.token_by_hash(&[2; 32]).await.unwrap(), None);

    let unlimited = house.db.insert_token(&token(house, 2), at(6)).await.unwrap();
    let listed = house.db.tokens(house.organization.id).await.unwrap();
    assert_eq!(listed.iter().map(|token| token.id).collect::<Vec<_>>(), [unlimited, id]);
    assert!(listed[0].project_ids.is_empty(), "all of them");
    assert_eq!(listed[1], expected);
    let (rival, _) = house.neighbour().await;
    assert_eq!(house.db.tokens(rival.id).await.unwrap(), []);

    assert!(house.db.insert_token(&token(house, 2), at(7)).await.is_err(), "a hash belongs to one token");
}

async fn a_token_is_never_stored_with_fewer_projects_than_asked_for(house: &House) {
    let (_, theirs) = house.neighbour().await;
    for projects in [vec![theirs.id], vec![house.project.id, 4711]] {
        let bad = NewToken { project_ids: projects, ..token(house, 1) };
        assert!(house.db.insert_token(&bad, at(0)).await.is_err());
        assert_eq!(house.db.token_by_hash(&[1; 32]).await.unwrap(), None);
    }
}

async fn the_last_use_is_known_to_the_minute(house: &House) {
    let id = house.db.insert_token(&token(house, 1), at(0)).await.unwrap();
    for (now, noted) in [(100, 100), (159, 100), (160, 160), (161, 160)] {
        house.db.touch_token(id, at(now)).await.unwrap();
        let token = house.db.token_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!(token.last_used_at, Some(at(noted)), "presented at {now}");
    }
}

async fn a_token_is_taken_back_once_and_for_all(house: &House) {
    let id = house.db.insert_token(&token(house, 1), at(0)).await.unwrap();
    assert!(house.db.revoke_token(id, at(10)).await.unwrap());
    assert!(house.db.revoke_token(id, at(20)).await.unwrap(), "again is no error");
    let token = house.db.token_by_hash(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(token.revoked_at, Some(at(10)));
    assert!(!house.db.revoke_token(4711, at(10)).await.unwrap());
}
