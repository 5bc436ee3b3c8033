//! Assemblies: the rows that are the queue.

use std::collections::HashSet;

use symdepot::db::NewAssembly;
use symdepot::types::{Assembly, AssemblyState, Sha1};

use super::{House, at, at_once, on_both_engines, sha1};
use crate::support::claims::ClaimAssembly as _;

on_both_engines! {
    a_wanted_file_is_queued_once_and_remembers_what_was_wanted,
    a_failed_file_is_queued_anew_with_what_is_wanted_now,
    a_batch_of_three_thousand_with_repeats_is_one_statement,
    a_long_list_of_chunks_comes_back_in_order,
    sixty_four_requests_for_one_file_at_once_queue_it_once,
    batches_in_opposite_order_never_wait_for_each_other_for_ever,
    the_one_that_waited_longest_is_taken_first,
    thirty_two_workers_at_once_take_each_job_once,
    a_dead_workers_job_is_taken_over_and_its_lease_is_worth_nothing,
    a_lease_that_ran_out_but_was_not_taken_can_be_renewed,
    a_job_handed_back_waits_until_it_is_due,
    a_job_given_back_is_taken_at_once_as_if_it_had_never_been_begun,
    a_failure_is_kept_with_its_reason_until_it_is_forgotten,
    a_forgotten_failure_is_never_one_that_was_queued_again,
    names_are_kept_as_they_are,
}

async fn one(house: &House, text: &str) -> Option<Assembly> {
    house.db.assemblies(house.project.id, &[sha1(text)]).await.unwrap().pop()
}

async fn a_wanted_file_is_queued_once_and_remembers_what_was_wanted(house: &House) {
    let wanted = NewAssembly {
        debug_id: Some("ABC-1".to_owned()),
        chunks: vec![sha1("x"), sha1("y"), sha1("x")],
        ..house.wanted("a")
    };
    assert_eq!(house.db.queue_assemblies(std::slice::from_ref(&wanted), at(1)).await.unwrap(), [sha1("a")]);
    let row = one(house, "a").await.unwrap();
    let expected = Assembly {
        id: row.id,
        project_id: house.project.id,
        organization_id: house.organization.id,
        sha1: sha1("a"),
        state: AssemblyState::Created,
        detail: None,
        name: "a.so".to_owned(),
        debug_id: Some("ABC-1".to_owned()),
        chunks: wanted.chunks.clone(),
        attempt: 0,
        lease_token: None,
        converter_version: None,
        updated_at: at(1),
    };
    assert_eq!(row, expected);

    let again = NewAssembly { name: "other".to_owned(), ..wanted };
    assert_eq!(house.db.queue_assemblies(std::slice::from_ref(&again), at(2)).await.unwrap(), []);
    assert_eq!(one(house, "a").await.unwrap(), expected, "waiting already");
    house.db.claim_assembly(&[], "lease", at(31), at(3)).await.unwrap().unwrap();
    assert_eq!(house.db.queue_assemblies(&[again], at(4)).await.unwrap(), []);
    assert_eq!(one(house, "a").await.unwrap().state, AssemblyState::Assembling, "in work already");

    assert_eq!(house.db.assemblies(house.project.id, &[]).await.unwrap(), []);
    let (_, theirs) = house.neighbour().await;
    assert_eq!(house.db.assemblies(theirs.id, &[sha1("a")]).await.unwrap(), []);
    let unknown = NewAssembly { project_id: 4711, ..house.wanted("b") };
    assert!(house.db.queue_assemblies(&[unknown], at(5)).await.is_err(), "no such project");
}

async fn a_failed_file_is_queued_anew_with_what_is_wanted_now(house: &House) {
    let failed = house.claimed("a", "lease").await;
    assert!(house.db.fail_assembly(failed.id, "lease", "too bad", "v1", at(2)).await.unwrap());
    let anew = NewAssembly {
        name: "new.so".to_owned(),
        debug_id: Some("D".to_owned()),
        chunks: vec![sha1("1"), sha1("2")],
        ..house.wanted("a")
    };
    assert_eq!(house.db.queue_assemblies(&[anew], at(9)).await.unwrap(), [sha1("a")]);
    let expected = Assembly {
        state: AssemblyState::Created,
        detail: None,
        name: "new.so".to_owned(),
        debug_id: Some("D".to_owned()),
        chunks: vec![sha1("1"), sha1("2")],
        attempt: 0,
        lease_token: None,
        converter_version: None,
        updated_at: at(9),
        ..failed
    };
    assert_eq!(one(house, "a").await.unwrap(), expected);
}

async fn a_batch_of_three_thousand_with_repeats_is_one_statement(house: &House) {
    let mut wanted: Vec<NewAssembly> = (0..3000).map(|number| house.wanted(&number.to_string())).collect();
    wanted.push(NewAssembly { name: "second of the same".to_owned(), ..house.wanted("7") });
    let sha1s: Vec<Sha1> = wanted.iter().map(|file| file.sha1).collect();
    let queued = house.db.queue_assemblies(&wanted, at(1)).await.unwrap();
    assert_eq!(queued.len(), 3000);
    assert_eq!(queued.iter().copied().collect::<HashSet<_>>(), sha1s.iter().copied().collect());
    assert_eq!(house.db.assemblies(house.project.id, &sha1s).await.unwrap().len(), 3000);
    assert_eq!(one(house, "7").await.unwrap().name, "7.so", "the first of two that are the same");
    assert_eq!(house.db.open_assemblies().await.unwrap(), 3000);
    assert_eq!(house.db.queue_assemblies(&wanted, at(2)).await.unwrap(), []);
    assert_eq!(house.db.queue_assemblies(&[], at(2)).await.unwrap(), []);
}

async fn a_long_list_of_chunks_comes_back_in_order(house: &House) {
    let chunks: Vec<Sha1> = (0..10_000).map(|number| sha1(&(number % 7).to_string())).collect();
    let wanted = NewAssembly { chunks: chunks.clone(), ..house.wanted("a") };
    house.db.queue_assemblies(&[wanted, NewAssembly { chunks: Vec::new(), ..house.wanted("b") }], at(1)).await.unwrap();
    assert_eq!(one(house, "a").await.unwrap().chunks, chunks);
    assert_eq!(one(house, "b").await.unwrap().chunks, []);
}

async fn sixty_four_requests_for_one_file_at_once_queue_it_once(house: &House) {
    // Once when there is no row, once when there is one that failed.
    for round in 0..2 {
        let queued = at_once(64, |_| {
            let (db, wanted) = (house.db.clone(), house.wanted("a"));
            async move { db.queue_assemblies(&[wanted], at(1)).await.unwrap() }
        });
        let queued: Vec<Sha1> = queued.await.into_iter().flatten().collect();
        assert_eq!(queued, [sha1("a")], "round {round}");
        let claimed = house.db.claim_assembly(&[], "lease", at(31), at(1)).await.unwrap().unwrap();
        assert_eq!(house.db.claim_assembly(&[], "other", at(31), at(1)).await.unwrap(), None);
        assert!(house.db.fail_assembly(claimed.id, "lease", "bad", "v1", at(2)).await.unwrap());
    }
}

async fn batches_in_opposite_order_never_wait_for_each_other_for_ever(house: &House) {
    let wanted: Vec<NewAssembly> = (0..300).map(|number| house.wanted(&number.to_string())).collect();
    let queued = at_once(8, |number| {
        let (db, mut wanted) = (house.db.clone(), wanted.clone());
        if number % 2 == 1 {
            wanted.reverse();
        }
        async move { db.queue_assemblies(&wanted, at(1)).await.unwrap().len() }
    });
    assert_eq!(queued.await.iter().sum::<usize>(), 300);
}

async fn the_one_that_waited_longest_is_taken_first(house: &House) {
    for (text, second) in [("late", 30), ("early", 10), ("middle", 20)] {
        house.db.queue_assemblies(&[house.wanted(text)], at(second)).await.unwrap();
    }
    assert_eq!(house.db.claim_assembly(&[], "l", at(90), at(9)).await.unwrap(), None, "nothing is due yet");
    for text in ["early", "middle", "late"] {
        let claimed = house.db.claim_assembly(&[], text, at(90), at(30)).await.unwrap().unwrap();
        assert_eq!(claimed.sha1, sha1(text));
        assert_eq!(claimed.state, AssemblyState::Assembling);
        assert_eq!(claimed.lease_token.as_deref(), Some(text));
        assert_eq!((claimed.attempt, claimed.updated_at), (1, at(30)));
        assert_eq!(one(house, text).await.unwrap(), claimed);
    }
    assert_eq!(house.db.claim_assembly(&[], "l", at(90), at(30)).await.unwrap(), None);
    assert_eq!(house.db.open_assemblies().await.unwrap(), 3);
}

async fn thirty_two_workers_at_once_take_each_job_once(house: &House) {
    let wanted: Vec<NewAssembly> = (0..24).map(|number| house.wanted(&number.to_string())).collect();
    house.db.queue_assemblies(&wanted, at(1)).await.unwrap();
    let taken = at_once(32, |number| {
        let db = house.db.clone();
        async move {
            // A worker asks until there is nothing: somebody may hold the row that it saw.
            let mut taken = Vec::new();
            while let Some(job) = db.claim_assembly(&[], &format!("lease{number}"), at(31), at(1)).await.unwrap() {
                taken.push(job.sha1);
            }
            taken
        }
    });
    let taken: Vec<Sha1> = taken.await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 24);
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), wanted.iter().map(|file| file.sha1).collect());
}

async fn a_dead_workers_job_is_taken_over_and_its_lease_is_worth_nothing(house: &House) {
    let db = &house.db;
    let job = house.claimed("a", "dead").await;
    assert!(db.renew_assembly_lease(job.id, "dead", at(40)).await.unwrap());
    assert_eq!(db.claim_assembly(&[], "heir", at(99), at(39)).await.unwrap(), None, "renewed until 40");
    let taken = db.claim_assembly(&[], "heir", at(99), at(40)).await.unwrap().unwrap();
    assert_eq!((taken.id, taken.attempt, taken.lease_token.as_deref()), (job.id, 2, Some("heir")));

    assert!(!db.renew_assembly_lease(job.id, "dead", at(200)).await.unwrap());
    assert!(!db.retry_assembly(job.id, "dead", "x", at(200), at(50)).await.unwrap());
    assert!(!db.fail_assembly(job.id, "dead", "x", "v1", at(50)).await.unwrap());
    assert_eq!(one(house, "a").await.unwrap(), taken, "nothing was written");

    assert!(db.fail_assembly(job.id, "heir", "x", "v1", at(50)).await.unwrap());
    assert!(!db.fail_assembly(job.id, "heir", "y", "v1", at(60)).await.unwrap());
    assert_eq!(db.open_assemblies().await.unwrap(), 0);
}

async fn a_lease_that_ran_out_but_was_not_taken_can_be_renewed(house: &House) {
    let job = house.claimed("a", "slow").await;
    assert!(house.db.renew_assembly_lease(job.id, "slow", at(100)).await.unwrap());
    assert_eq!(house.db.claim_assembly(&[], "other", at(99), at(60)).await.unwrap(), None);
}

async fn a_job_handed_back_waits_until_it_is_due(house: &House) {
    let db = &house.db;
    let job = house.claimed("a", "first").await;
    assert!(db.retry_assembly(job.id, "first", "disk full", at(20), at(5)).await.unwrap());
    let row = one(house, "a").await.unwrap();
    assert_eq!((row.state, row.detail.as_deref()), (AssemblyState::Created, Some("disk full")));
    assert_eq!((row.lease_token, row.attempt, row.updated_at), (None, 1, at(5)));
    assert_eq!(db.queue_assemblies(&[house.wanted("a")], at(6)).await.unwrap(), [], "waiting already");
    assert!(!db.renew_assembly_lease(job.id, "first", at(99)).await.unwrap(), "handed back is handed back");
    assert_eq!(db.claim_assembly(&[], "second", at(50), at(19)).await.unwrap(), None);
    let taken = db.claim_assembly(&[], "second", at(50), at(20)).await.unwrap().unwrap();
    assert_eq!(taken.attempt, 2);
}

async fn a_job_given_back_is_taken_at_once_as_if_it_had_never_been_begun(house: &House) {
    let db = &house.db;
    let job = house.claimed("a", "first").await;
    assert!(db.retry_assembly(job.id, "first", "disk full", at(5), at(5)).await.unwrap());
    for round in 0..10 {
        let taken = db.claim_assembly(&[], "second", at(50), at(6)).await.unwrap().unwrap();
        assert_eq!(taken.attempt, 2, "round {round}");
        assert!(!db.give_back_assembly(job.id, "first", at(6)).await.unwrap(), "not ours any more");
        assert!(db.give_back_assembly(job.id, "second", at(6)).await.unwrap());
        assert!(!db.give_back_assembly(job.id, "second", at(6)).await.unwrap(), "once");
    }
    let row = one(house, "a").await.unwrap();
    assert_eq!((row.state, row.attempt, row.lease_token), (AssemblyState::Created, 1, None));
    assert_eq!((row.detail.as_deref(), row.updated_at), (Some("disk full"), at(6)), "why it failed before is kept");
}

async fn a_failure_is_kept_with_its_reason_until_it_is_forgotten(house: &House) {
    let db = &house.db;
    let job = house.claimed("a", "lease").await;
    assert!(db.fail_assembly(job.id, "lease", "Reported checksum mismatch", "v1", at(5)).await.unwrap());
    let expected = Assembly {
        state: AssemblyState::Error,
        detail: Some("Reported checksum mismatch".to_owned()),
        lease_token: None,
        converter_version: Some("v1".to_owned()),
        updated_at: at(5),
        ..job
    };
    assert_eq!(one(house, "a").await.unwrap(), expected);
    assert_eq!(db.open_assemblies().await.unwrap(), 0);
    assert_eq!(db.claim_assembly(&[], "other", at(999), at(998)).await.unwrap(), None, "nobody works on a failure");
    assert!(!db.fail_assembly(job.id, "lease", "twice", "v1", at(6)).await.unwrap());

    house.db.queue_assemblies(&[house.wanted("waiting")], at(1)).await.unwrap();
    assert_eq!(db.forget_failed_assemblies(at(5), 10).await.unwrap(), 0, "not older than that");
    assert_eq!(db.forget_failed_assemblies(at(6), 0).await.unwrap(), 0);
    assert_eq!(db.forget_failed_assemblies(at(6), 10).await.unwrap(), 1);
    assert_eq!(one(house, "a").await, None);
    assert!(one(house, "waiting").await.is_some());
}

async fn a_forgotten_failure_is_never_one_that_was_queued_again(house: &House) {
    for _ in 0..10 {
        let job = house.claimed("a", "lease").await;
        house.db.fail_assembly(job.id, "lease", "bad", "v1", at(2)).await.unwrap();
        let forget = house.db.forget_failed_assemblies(at(9), 10);
        let wanted = [house.wanted("a")];
        let queue = house.db.queue_assemblies(&wanted, at(9));
        let (_, queued) = tokio::join!(forget, queue);
        assert_eq!(queued.unwrap(), [sha1("a")]);
        let row = one(house, "a").await.expect("what was queued is there");
        house.raw(&format!("delete from assemblies where id = {}", row.id)).await.unwrap();
    }
}

async fn names_are_kept_as_they_are(house: &House) {
    let names = ["", "../../x", "a'b\"c\\d", "Grüße/日本.so", "{}[],:", "\u{1}\n\t", &"long".repeat(2000)];
    for (number, name) in names.into_iter().enumerate() {
        let text = number.to_string();
        let wanted = NewAssembly {
            name: name.to_owned(),
            debug_id: Some(name.to_owned()).filter(|name| name.len() < 100),
            ..house.wanted(&text)
        };
        house.db.queue_assemblies(std::slice::from_ref(&wanted), at(1)).await.unwrap();
        let row = one(house, &text).await.unwrap();
        assert_eq!((row.name, row.debug_id), (wanted.name, wanted.debug_id));
    }
    let zero = NewAssembly { name: "a\0b".to_owned(), ..house.wanted("zero") };
    house.db.queue_assemblies(&[zero], at(1)).await.unwrap();
    assert_eq!(one(house, "zero").await.unwrap().name, "a\u{fffd}b", "the one character that not every engine has");
}
