//! What was looked for in vain.

use symdepot::types::{ArtifactKind, CodeId, Features, Kind, Miss, MissedId, NewDebugFile, RequestedKinds};

use super::{House, at, debug_id, on_both_engines};

on_both_engines! {
    misses_of_one_id_add_up_and_the_newest_come_first,
    a_miss_is_marked_as_found_by_each_id_of_a_file,
    kinds_of_one_id_add_up_and_each_file_takes_away_what_it_has,
    the_names_of_missed_ids_are_found,
    a_project_keeps_the_newest_misses_and_those_with_a_credential,
    old_misses_are_forgotten,
}

fn miss(house: &House, id: MissedId, times: u64, second: i64) -> Miss {
    Miss {
        project_id: house.project.id,
        id,
        name: None,
        kinds: RequestedKinds::ANY,
        asker: "test".to_owned(),
        times,
        first_at: at(second),
        last_at: at(second),
        found_at: None,
    }
}

async fn misses_of_one_id_add_up_and_the_newest_come_first(house: &House) {
    let (debug, code) = (MissedId::Debug("d".to_owned()), MissedId::Code("d".to_owned()));
    let named = Miss { name: Some("a.pdb".to_owned()), ..miss(house, debug.clone(), 3, 1) };
    house.db.add_misses(&[named.clone(), miss(house, code.clone(), 1, 1)]).await.unwrap();
    house.db.add_misses(&[miss(house, debug.clone(), 2, 5)]).await.unwrap();
    house.db.add_misses(&[]).await.unwrap();
    let expected = [Miss { times: 5, last_at: at(5), ..named }, miss(house, code, 1, 1)];
    assert_eq!(house.db.misses(house.project.id, 10).await.unwrap(), expected);
    assert_eq!(house.db.misses(house.project.id, 1).await.unwrap(), expected[..1]);
    let (_, other) = house.neighbour().await;
    assert!(house.db.misses(other.id, 10).await.unwrap().is_empty());
}

async fn a_miss_is_marked_as_found_by_each_id_of_a_file(house: &House) {
    let mut file = house.new_file("f", 1);
    file.debug_id_alias = Some(debug_id(2).parse().unwrap());
    let ids = [
        MissedId::Debug(debug_id(1)),
        MissedId::Debug(debug_id(2)),
        MissedId::Code("c0de0001".to_owned()),
        MissedId::Code(debug_id(1)),
    ];
    let misses: Vec<_> = ids.iter().map(|id| miss(house, id.clone(), 1, 1)).collect();
    house.db.add_misses(&misses).await.unwrap();
    house.register(&file).await;
    let found: Vec<_> = house.db.misses(house.project.id, 10).await.unwrap();
    let found: Vec<_> = found.iter().filter(|miss| miss.found_at == Some(at(2))).map(|miss| &miss.id).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(!found.contains(&&ids[3]), "a code id is no debug id");
    house.db.add_misses(&misses[..1]).await.unwrap();
    let again = house.db.misses(house.project.id, 10).await.unwrap();
    assert_eq!(again.iter().filter(|miss| miss.found_at.is_some()).count(), 2, "missed again");
}

async fn kinds_of_one_id_add_up_and_each_file_takes_away_what_it_has(house: &House) {
    let id = MissedId::Debug(debug_id(1));
    let of = |kinds: RequestedKinds| Miss { kinds, ..miss(house, id.clone(), 1, 1) };
    let (executable, debug_info) = (ArtifactKind::Executable.into(), RequestedKinds::from(ArtifactKind::DebugInfo));
    house.db.add_misses(&[of(executable)]).await.unwrap();
    house.db.add_misses(&[of(debug_info)]).await.unwrap();
    let state = async || {
        let missed = house.db.misses(house.project.id, 10).await.unwrap().remove(0);
        (missed.kinds, missed.found_at)
    };
    assert_eq!(state().await, (debug_info.union(executable), None));
    let stripped = NewDebugFile { kind: Kind::Executable, features: Features::UNWIND, ..house.new_file("a", 1) };
    house.register(&stripped).await;
    assert_eq!(state().await, (debug_info, None));
    let companion = NewDebugFile { kind: Kind::Debug, features: Features::DEBUG, ..house.new_file("b", 1) };
    house.register(&companion).await;
    assert_eq!(state().await, (RequestedKinds::ANY, Some(at(2))));
}

async fn the_names_of_missed_ids_are_found(house: &House) {
    let (debug, code) = (MissedId::Debug(debug_id(1)), MissedId::Code("c0de".to_owned()));
    let named = |id: &MissedId, name: &str, at| Miss { name: Some(name.to_owned()), ..miss(house, id.clone(), 1, at) };
    let nameless = miss(house, MissedId::Debug(debug_id(2)), 1, 1);
    house.db.add_misses(&[named(&debug, "a.pdb", 1), nameless]).await.unwrap();
    house.db.add_misses(&[named(&code, "b.so", 2)]).await.unwrap();
    let debug_ids = [debug_id(1).parse().unwrap(), debug_id(2).parse().unwrap()];
    let names =
        async |project, limit| house.db.missed_names(project, &debug_ids, &[CodeId::new("c0de")], limit).await.unwrap();
    assert_eq!(names(house.project.id, 5).await, ["b.so", "a.pdb"]);
    assert_eq!(names(house.project.id, 1).await, ["b.so"]);
    let (_, other) = house.neighbour().await;
    assert!(names(other.id, 5).await.is_empty());
}

async fn a_project_keeps_the_newest_misses_and_those_with_a_credential(house: &House) {
    let id = |number: i64| MissedId::Debug(format!("{number:05}"));
    let missed = |numbers: std::ops::Range<i64>, second| -> Vec<Miss> {
        numbers.map(|number| miss(house, id(number), 1, second)).collect()
    };
    let (_, other) = house.neighbour().await;
    let of_other = Miss { project_id: other.id, ..miss(house, id(0), 1, 1) };
    house.db.add_misses(&[of_other]).await.unwrap();
    house.db.add_misses(&missed(0..10, 1)).await.unwrap();
    house.db.add_anonymous_misses(&missed(10..10_000, 2)).await.unwrap();
    house.db.add_anonymous_misses(&missed(9..11, 3)).await.unwrap();
    house.db.add_anonymous_misses(&missed(20_000..20_005, 4)).await.unwrap();
    let kept: Vec<_> =
        house.db.misses(house.project.id, 20_000).await.unwrap().into_iter().map(|miss| miss.id).collect();
    assert_eq!(kept.len(), 10_000);
    assert!((0..11).all(|number| kept.contains(&id(number))), "with a credential, or the newest of the others");
    assert!((11..16).all(|number| !kept.contains(&id(number))), "the oldest without one are deleted");
    assert!((20_000..20_005).all(|number| kept.contains(&id(number))));
    assert_eq!(house.db.misses(other.id, 10).await.unwrap().len(), 1, "another project keeps its own");
}

async fn old_misses_are_forgotten(house: &House) {
    let misses = [miss(house, MissedId::Debug("old".to_owned()), 1, 1)];
    house.db.add_misses(&misses).await.unwrap();
    house.db.add_misses(&[miss(house, MissedId::Debug("new".to_owned()), 1, 5)]).await.unwrap();
    assert_eq!(house.db.forget_misses(at(5)).await.unwrap(), 1);
    assert_eq!(house.db.misses(house.project.id, 10).await.unwrap().len(), 1);
}
