//! Other symbol servers of a project, and what they said.

use symdepot::types::{Upstream, UpstreamAnswer, UpstreamKind};

use super::{House, at, debug_id, on_both_engines};

on_both_engines! {
    an_upstream_is_named_once_and_removed_with_what_it_said,
    an_answer_takes_the_place_of_the_one_before,
    a_new_file_clears_the_answers_for_each_of_its_ids_in_its_project_alone,
    old_answers_are_forgotten,
}

async fn upstream(house: &House, url: &str) -> i64 {
    house.db.add_upstream(house.project.id, UpstreamKind::Debuginfod, url, at(1)).await.unwrap()
}

fn answer(upstream_id: i64, file_id: &str, misses: u64) -> UpstreamAnswer {
    UpstreamAnswer {
        upstream_id,
        path: format!("buildid/{file_id}/debuginfo"),
        file_id: file_id.to_owned(),
        trouble: misses == 1,
        reason: "it answers 503".to_owned(),
        misses,
        asked_at: at(1),
        next_at: at(1 + misses.cast_signed()),
    }
}

async fn an_upstream_is_named_once_and_removed_with_what_it_said(house: &House) {
    let first = upstream(house, "https://me:secret@a.example/").await;
    let second = upstream(house, "https://b.example/").await;
    assert_eq!(upstream(house, "https://me:secret@a.example/").await, first);
    let (_, theirs) = house.neighbour().await;
    assert_ne!(
        house.db.add_upstream(theirs.id, UpstreamKind::Ssqp, "https://b.example/", at(2)).await.unwrap(),
        second
    );
    let expected = Upstream {
        id: first,
        project_id: house.project.id,
        kind: UpstreamKind::Debuginfod,
        url: "https://me:secret@a.example/".to_owned(),
        created_at: at(1),
    };
    let listed = house.db.upstreams(house.project.id).await.unwrap();
    assert_eq!((&listed[0], listed[1].id, listed.len()), (&expected, second, 2), "in the order of their naming");
    house.db.put_upstream_answer(&answer(first, "ab", 1)).await.unwrap();
    assert!(house.db.remove_upstream(first).await.unwrap());
    assert!(!house.db.remove_upstream(first).await.unwrap());
    house.db.put_upstream_answer(&answer(first, "ab", 2)).await.unwrap();
    assert!(house.db.upstream_answers(&[first], &["buildid/ab/debuginfo"]).await.unwrap().is_empty());
    assert_eq!(house.db.upstreams(house.project.id).await.unwrap().len(), 1);
    assert!(house.db.add_upstream(4711, UpstreamKind::Ssqp, "https://b.example/", at(2)).await.is_err());
}

async fn an_answer_takes_the_place_of_the_one_before(house: &House) {
    let (first, second) = (upstream(house, "https://a.example/").await, upstream(house, "https://b.example/").await);
    for said in [answer(first, "ab", 1), answer(first, "ab", 2), answer(first, "cd", 1), answer(second, "ab", 1)] {
        house.db.put_upstream_answer(&said).await.unwrap();
    }
    let found = house.db.upstream_answers(&[first, 4711], &["buildid/ab/debuginfo", "other"]).await.unwrap();
    assert_eq!(found, [answer(first, "ab", 2)]);
    let of_files = house.db.upstream_answers_of_files(house.project.id, &["ab", "zz"]).await.unwrap();
    assert_eq!(of_files.len(), 2);
    let (_, theirs) = house.neighbour().await;
    assert!(house.db.upstream_answers_of_files(theirs.id, &["ab"]).await.unwrap().is_empty());
}

async fn a_new_file_clears_the_answers_for_each_of_its_ids_in_its_project_alone(house: &House) {
    let (_, theirs) = house.neighbour().await;
    let ours = upstream(house, "https://a.example/").await;
    let other = house.db.add_upstream(theirs.id, UpstreamKind::Ssqp, "https://a.example/", at(1)).await.unwrap();
    let ids = [debug_id(1), debug_id(2), "c0de0001".to_owned(), debug_id(3)];
    for (upstream, id) in [ours, other].iter().flat_map(|upstream| ids.iter().map(move |id| (*upstream, id))) {
        house.db.put_upstream_answer(&answer(upstream, id, 1)).await.unwrap();
    }
    let mut file = house.new_file("f", 1);
    file.debug_id_alias = Some(debug_id(2).parse().unwrap());
    house.register(&file).await;
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let left = house.db.upstream_answers_of_files(house.project.id, &ids).await.unwrap();
    assert_eq!(left, [answer(ours, &debug_id(3), 1)]);
    assert_eq!(house.db.upstream_answers_of_files(theirs.id, &ids).await.unwrap().len(), 4);
}

async fn old_answers_are_forgotten(house: &House) {
    let upstream = upstream(house, "https://a.example/").await;
    house.db.put_upstream_answer(&answer(upstream, "ab", 1)).await.unwrap();
    house.db.put_upstream_answer(&answer(upstream, "cd", 5)).await.unwrap();
    assert_eq!(house.db.forget_upstream_answers(at(3)).await.unwrap(), 1);
    assert_eq!(house.db.upstream_answers_of_files(house.project.id, &["ab", "cd"]).await.unwrap().len(), 1);
}
