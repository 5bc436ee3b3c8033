//! Finding debug files, and their end.

use symdepot::db::NewAssembly;
use symdepot::types::{CodeId, DebugId, NewDebugFile, Sha1};

use super::{CONVERTER, House, at, at_once, closing, created, key, malformed, on_both_engines, ready, sha1};
use crate::support::claims::ClaimAssembly as _;

on_both_engines! {
    pollers_hear_of_what_the_current_converter_cannot_do,
    a_file_without_a_symcache_is_unsettled_while_an_assembly_has_something_to_say,
    three_thousand_contents_are_one_question,
    a_file_is_found_by_either_spelling_of_its_id,
    a_uuid_is_found_with_whatever_age,
    a_file_belongs_to_one_project,
    files_of_many_projects_are_found_by_either_id,
    a_deleted_file_is_forgotten_in_every_form,
    with_a_deleted_file_go_the_retired_ones_of_its_id,
    a_file_deleted_many_times_at_once_goes_once,
    deleting_and_registering_the_same_file_at_once_never_fails,
    retired_files_are_purged_oldest_first,
}

async fn pollers_hear_of_what_the_current_converter_cannot_do(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    let told = async |converter: &str| {
        let known = house.db.known_files(house.project.id, &[sha1("file")], converter).await.unwrap();
        assert_eq!((known.len(), &known[0].file, known[0].retired_at), (1, &file, None));
        known[0].malformed.clone()
    };
    assert_eq!(told(CONVERTER).await, None);
    house.db.insert_symcache(&malformed(key(file.id), "no line table"), at(3)).await.unwrap();
    assert_eq!(told(CONVERTER).await.as_deref(), Some("no line table"));
    assert_eq!(told("symbolic-2").await, None, "another converter may do better");

    let mut mapped = key(file.id);
    mapped.mappings = sha1("map").to_string();
    house.db.insert_symcache(&ready(mapped, "k"), at(4)).await.unwrap();
    assert_eq!(told(CONVERTER).await, None, "what came last counts");
}

async fn a_file_without_a_symcache_is_unsettled_while_an_assembly_has_something_to_say(house: &House) {
    let unsettled = async |converter: &str| {
        let known = house.db.known_files(house.project.id, &[sha1("file")], converter).await.unwrap();
        known.iter().map(|known| known.unsettled).collect::<Vec<_>>()
    };
    let file = house.register(&house.new_file("file", 1)).await;
    assert_eq!(unsettled(CONVERTER).await, [false], "nobody wants more of it");
    let (_, theirs) = house.neighbour().await;
    let elsewhere = NewAssembly { project_id: theirs.id, ..house.wanted("file") };
    house.db.queue_assemblies(&[elsewhere, house.wanted("another")], at(1)).await.unwrap();
    assert_eq!(unsettled(CONVERTER).await, [false], "not even in this project");
    while house.db.claim_assembly(&[], "theirs", at(99), at(1)).await.unwrap().is_some() {}

    let job = house.claimed("file", "lease").await;
    assert_eq!(unsettled(CONVERTER).await, [true], "worked on");
    house.db.insert_symcache(&ready(key(file.id), "bytes"), at(3)).await.unwrap();
    assert_eq!(unsettled(CONVERTER).await, [false], "there it is");
    assert_eq!(unsettled("symbolic-2").await, [true], "but not of this converter");
    assert!(house.db.fail_assembly(job.id, "lease", "too bad", CONVERTER, at(4)).await.unwrap());
    assert_eq!(unsettled(CONVERTER).await, [false], "somebody else made it");
    assert_eq!(unsettled("symbolic-2").await, [false], "what another converter failed at");
    let row = house.db.symcache(&key(file.id)).await.unwrap().unwrap();
    house.db.delete_symcache(row.id).await.unwrap();
    assert_eq!(unsettled(CONVERTER).await, [true], "failed");
    house.db.insert_symcache(&malformed(key(file.id), "no line table"), at(5)).await.unwrap();
    assert_eq!(unsettled(CONVERTER).await, [false], "a reason is an end too");
}

async fn three_thousand_contents_are_one_question(house: &House) {
    let sha1s: Vec<Sha1> = (0..3000).map(|number| sha1(&number.to_string())).collect();
    let first = house.register(&house.new_file("17", 1)).await;
    let second = house.register(&house.new_file("2999", 2)).await;
    house.register(&house.new_file("unasked", 3)).await;
    let known = house.db.known_files(house.project.id, &sha1s, CONVERTER).await.unwrap();
    assert_eq!(known.into_iter().map(|known| known.file).collect::<Vec<_>>(), [second, first]);
    assert_eq!(house.db.known_files(house.project.id, &[], CONVERTER).await.unwrap(), []);
}

async fn a_file_is_found_by_either_spelling_of_its_id(house: &House) {
    let alias: DebugId = "3249d99d-0c40-4931-8610-f4e4fb0b6936".parse().unwrap();
    let wasm = house.register(&NewDebugFile { debug_id_alias: Some(alias.clone()), ..house.new_file("wasm", 1) }).await;
    let plain = house.register(&NewDebugFile { debug_id: alias.clone(), ..house.new_file("plain", 2) }).await;
    let own = wasm.debug_id.clone();
    let by_id = async |ids: &[DebugId]| house.db.debug_files_by_id(house.project.id, ids).await.unwrap();
    assert_eq!(by_id(std::slice::from_ref(&own)).await, std::slice::from_ref(&wasm));
    assert_eq!(by_id(std::slice::from_ref(&alias)).await, [plain.clone(), wasm.clone()]);
    assert_eq!(by_id(&[own, alias.clone(), alias]).await, [plain, wasm], "each once");
    assert_eq!(by_id(&["3249d99d-0c40-4931-8610-f4e4fb0b6936-1".parse().unwrap()]).await, [], "an age is part of it");
    assert_eq!(by_id(&[]).await, []);
}

async fn a_uuid_is_found_with_whatever_age(house: &House) {
    let uuid = "3249d99d-0c40-4931-8610-f4e4fb0b6936";
    let ids = [uuid, "3249d99d-0c40-4931-8610-f4e4fb0b6936-1", "3249d99d-0c40-4931-8610-f4e4fb0b6936-fffffffe"];
    let neighbours = ["3249d99d-0c40-4931-8610-f4e4fb0b6935-1", "3249d99d-0c40-4931-8610-f4e4fb0b6937"];
    for (number, id) in ids.iter().chain(&neighbours).enumerate() {
        let file = NewDebugFile { debug_id: id.parse().unwrap(), ..house.new_file(id, number as u32) };
        house.register(&file).await;
    }
    let found = async |project_ids: &[i64], id: &str| {
        let files = house.db.debug_files_of_any_age(project_ids, &id.parse().unwrap()).await.unwrap();
        files.into_iter().map(|file| file.debug_id.to_string()).collect::<Vec<_>>()
    };
    let newest_first: Vec<_> = ids.iter().rev().copied().collect();
    assert_eq!(found(&[house.project.id], uuid).await, newest_first);
    assert_eq!(found(&[house.project.id], ids[1]).await, newest_first);
    assert_eq!(found(&[house.project.id + 1], uuid).await, [""; 0], "another project has nothing");
    assert_eq!(found(&[], uuid).await, [""; 0]);
}

async fn a_file_belongs_to_one_project(house: &House) {
    let (_, theirs) = house.neighbour().await;
    let file = house.register(&house.new_file("file", 1)).await;
    let db = &house.db;
    assert_eq!(db.debug_file(theirs.id, file.id).await.unwrap(), None);
    assert_eq!(db.debug_files_by_id(theirs.id, std::slice::from_ref(&file.debug_id)).await.unwrap(), []);
    assert_eq!(db.known_files(theirs.id, &[file.sha1], CONVERTER).await.unwrap(), []);
    assert_eq!(db.delete_debug_file(theirs.id, file.id).await.unwrap(), None);
    assert_eq!(db.debug_file(house.project.id, file.id).await.unwrap(), Some(file));
}

async fn files_of_many_projects_are_found_by_either_id(house: &House) {
    let db = &house.db;
    let (_, theirs) = house.neighbour().await;
    let more = db.create_project(house.organization.id, "more", at(0)).await.unwrap();
    let mine = house.register(&house.new_file("mine", 1)).await;
    let also = house.register(&NewDebugFile { project_id: more.id, ..house.new_file("also", 1) }).await;
    let foreign = house.register(&NewDebugFile { project_id: theirs.id, ..house.new_file("foreign", 1) }).await;
    let alias: DebugId = "3249d99d-0c40-4931-8610-f4e4fb0b6936".parse().unwrap();
    let wasm = NewDebugFile { debug_id_alias: Some(alias.clone()), code_id: None, ..house.new_file("wasm", 2) };
    let wasm = house.register(&wasm).await;
    let replace = |files: &[symdepot::types::DebugFile]| files[1..].iter().map(|file| file.id).collect();
    for text in ["retired", "newer"] {
        created(db.register_debug_file(&house.new_file(text, 3), None, None, replace, at(2)).await.unwrap());
    }

    let ours = [house.project.id, more.id];
    let find = async |projects: &[i64], debug_ids: &[DebugId], code_ids: &[&str]| {
        let code_ids: Vec<_> = code_ids.iter().map(|id| CodeId::new(id)).collect();
        db.debug_files_of_projects(projects, debug_ids, &code_ids).await.unwrap()
    };
    let id = std::slice::from_ref(&mine.debug_id);
    assert_eq!(find(&ours, id, &[]).await, [also.clone(), mine.clone()], "newest first");
    assert_eq!(find(&ours, &[], &["c0de0001", "c0de9999"]).await, [also.clone(), mine.clone()]);
    assert_eq!(find(&ours, id, &["c0de0001"]).await, [also, mine.clone()], "each once");
    assert_eq!(find(&[house.project.id], id, &["c0de0001"]).await, std::slice::from_ref(&mine));
    assert_eq!(find(&[theirs.id], id, &[]).await, [foreign]);
    assert_eq!(find(&ours, &[alias], &[]).await, [wasm]);
    let live = find(&ours, &[], &["c0de0003"]).await;
    assert_eq!(live.iter().map(|file| file.sha1).collect::<Vec<_>>(), [sha1("newer")]);
    assert_eq!(find(&ours, &[], &[]).await, []);
    assert_eq!(find(&[], id, &["c0de0001"]).await, []);
}

async fn a_deleted_file_is_forgotten_in_every_form(house: &House) {
    let db = &house.db;
    // The same content: once retired, once live, once under another id; and a request of somebody who missed it all.
    let retired = house.register(&house.new_file("file", 1)).await;
    db.insert_symcache(&ready(key(retired.id), "old bytes"), at(3)).await.unwrap();
    let newer = house.new_file("newer", 1);
    created(db.register_debug_file(&newer, None, None, |files| vec![files[1].id], at(4)).await.unwrap());
    let other = house.register(&house.new_file("file", 2)).await;
    let live = house.register(&house.new_file("file", 1)).await;
    db.insert_symcache(&ready(key(live.id), "bytes"), at(3)).await.unwrap();
    let mut next = key(live.id);
    next.format_version = 9;
    db.insert_symcache(&malformed(next, "no bytes"), at(3)).await.unwrap();
    let job = house.claimed("file", "lease").await;

    let (gone, mut keys) = db.delete_debug_file(house.project.id, live.id).await.unwrap().unwrap();
    keys.sort();
    assert_eq!((gone, keys), (live.clone(), vec!["bytes".to_owned(), "old bytes".to_owned()]));
    let known = db.known_files(house.project.id, &[sha1("file")], CONVERTER).await.unwrap();
    assert_eq!(known.into_iter().map(|known| known.file).collect::<Vec<_>>(), [other], "the other id stays");
    assert_eq!(db.assemblies(house.project.id, &[sha1("file")]).await.unwrap(), []);
    assert_eq!(db.symcaches_of(&[live.id, retired.id]).await.unwrap(), []);
    assert_eq!(db.debug_file_pieces(live.id).await.unwrap(), []);
    assert_eq!(db.delete_debug_file(house.project.id, live.id).await.unwrap(), None);

    let closing = closing(&job, "lease");
    let late = db.register_debug_file(&house.new_file("file", 1), None, Some(&closing), |_| Vec::new(), at(9)).await;
    assert_eq!(late.unwrap(), symdepot::db::Registered::LeaseLost, "work begun before does not bring it back");
}

async fn with_a_deleted_file_go_the_retired_ones_of_its_id(house: &House) {
    let db = &house.db;
    let replace = |files: &[symdepot::types::DebugFile]| files[1..].iter().map(|file| file.id).collect();
    for text in ["older", "newer"] {
        let symcache = ready(key(0), text);
        created(db.register_debug_file(&house.new_file(text, 1), Some(&symcache), None, replace, at(2)).await.unwrap());
    }
    for text in ["elsewhere older", "elsewhere"] {
        created(db.register_debug_file(&house.new_file(text, 2), None, None, replace, at(2)).await.unwrap());
    }
    let all = ["older", "newer", "elsewhere older", "elsewhere"].map(sha1);
    let known = db.known_files(house.project.id, &all, CONVERTER).await.unwrap();
    let newer = known.iter().find(|known| known.file.sha1 == sha1("newer")).unwrap().file.clone();

    let (gone, mut keys) = db.delete_debug_file(house.project.id, newer.id).await.unwrap().unwrap();
    keys.sort();
    assert_eq!((gone, keys), (newer, vec!["newer".to_owned(), "older".to_owned()]));
    let known = db.known_files(house.project.id, &all, CONVERTER).await.unwrap();
    let known: Vec<_> = known.into_iter().map(|known| known.file.sha1).collect();
    assert_eq!(known, [sha1("elsewhere"), sha1("elsewhere older")], "another id keeps what it replaced");
}

async fn a_file_deleted_many_times_at_once_goes_once(house: &House) {
    let file = house.register(&house.new_file("file", 1)).await;
    house.db.insert_symcache(&ready(key(file.id), "bytes"), at(3)).await.unwrap();
    let deleted = at_once(16, |_| {
        let db = house.db.clone();
        async move { db.delete_debug_file(file.project_id, file.id).await.unwrap() }
    });
    let deleted: Vec<_> = deleted.await.into_iter().flatten().collect();
    assert_eq!(deleted, [(file, vec!["bytes".to_owned()])]);
}

async fn deleting_and_registering_the_same_file_at_once_never_fails(house: &House) {
    let done = at_once(8, |number| {
        let (db, new, wanted) = (house.db.clone(), house.new_file("file", 1), house.wanted("file"));
        async move {
            for _ in 0..10 {
                db.queue_assemblies(std::slice::from_ref(&wanted), at(1)).await.unwrap();
                if number % 2 == 0 {
                    let retire = |files: &[symdepot::types::DebugFile]| files[1..].iter().map(|file| file.id).collect();
                    db.register_debug_file(&new, None, None, retire, at(2)).await.unwrap();
                } else {
                    let known = db.known_files(new.project_id, &[new.sha1], CONVERTER).await.unwrap();
                    for known in known {
                        db.delete_debug_file(new.project_id, known.file.id).await.unwrap();
                    }
                }
            }
        }
    });
    done.await;
    assert!(house.db.known_files(house.project.id, &[sha1("file")], CONVERTER).await.unwrap().len() <= 1);
}

async fn retired_files_are_purged_oldest_first(house: &House) {
    let db = &house.db;
    let chunk = house.chunk("a").await;
    for (second, text) in [(10, "a"), (20, "b"), (30, "c"), (40, "live")] {
        let new = NewDebugFile { chunk_ids: vec![chunk.id], ..house.new_file(text, 1) };
        let symcache = ready(key(0), text);
        let redundant = |files: &[symdepot::types::DebugFile]| files[1..].iter().map(|file| file.id).collect();
        created(db.register_debug_file(&new, Some(&symcache), None, redundant, at(second)).await.unwrap());
    }
    let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
    assert_eq!(db.purge_retired(at(20), 10).await.unwrap(), (keys(&[]), 0), "`a` was retired at 20");
    assert_eq!(db.purge_retired(at(99), 1).await.unwrap(), (keys(&["a"]), 1));
    let (mut purged, files) = db.purge_retired(at(99), 10).await.unwrap();
    purged.sort();
    assert_eq!((purged, files), (keys(&["b", "c"]), 2));
    assert_eq!(db.purge_retired(at(99), 10).await.unwrap(), (keys(&[]), 0), "live files stay");
    let all = ["a", "b", "c", "live"].map(sha1);
    let known = db.known_files(house.project.id, &all, CONVERTER).await.unwrap();
    assert_eq!(known.into_iter().map(|known| known.file.sha1).collect::<Vec<_>>(), [sha1("live")]);
}
