//! Listing debug files.

use symdepot::db::FileFilter;
use symdepot::types::{CodeId, DebugId, Features, Format, NewDebugFile};

use super::{House, at, created, on_both_engines};

on_both_engines! {
    files_are_listed_newest_first_in_pages,
    retired_and_foreign_files_are_not_listed,
    a_text_is_found_in_any_field_and_any_case,
    wildcards_of_the_asker_are_plain_characters,
    ids_match_both_or_either,
    the_best_file_of_an_id_comes_first,
    formats_narrow_the_list,
    no_text_is_too_strange_to_look_for,
    names_are_found_in_many_projects_and_patterns_find_enough,
}

/// Names of the listed files without their ending, in order.
async fn names(house: &House, filter: &FileFilter) -> Vec<String> {
    let files = house.db.list_debug_files(house.project.id, filter, 0, 100).await.unwrap();
    files.into_iter().map(|file| file.object_name).collect()
}

fn text(text: &str) -> FileFilter {
    FileFilter { text: Some(text.to_owned()), ..FileFilter::default() }
}

async fn files_are_listed_newest_first_in_pages(house: &House) {
    let mut all = Vec::new();
    for number in 1..=5 {
        all.insert(0, house.register(&house.new_file(&number.to_string(), number)).await);
    }
    let page = async |offset, limit| {
        house.db.list_debug_files(house.project.id, &FileFilter::default(), offset, limit).await.unwrap()
    };
    assert_eq!(page(0, 10).await, all);
    assert_eq!(page(0, 2).await, all[..2]);
    assert_eq!(page(2, 2).await, all[2..4]);
    assert_eq!(page(4, 2).await, all[4..]);
    assert_eq!(page(5, 2).await, []);
}

async fn retired_and_foreign_files_are_not_listed(house: &House) {
    let (_, theirs) = house.neighbour().await;
    house.register(&NewDebugFile { project_id: theirs.id, ..house.new_file("foreign", 1) }).await;
    house.register(&house.new_file("old", 1)).await;
    let new = house.new_file("new", 1);
    created(house.db.register_debug_file(&new, None, None, |files| vec![files[1].id], at(4)).await.unwrap());
    assert_eq!(names(house, &FileFilter::default()).await, ["new.so"]);
    assert_eq!(names(house, &text(".so")).await, ["new.so"]);
}

async fn a_text_is_found_in_any_field_and_any_case(house: &House) {
    let alias: DebugId = "3249d99d-0c40-4931-8610-f4e4fb0b6936-a".parse().unwrap();
    let file = NewDebugFile {
        object_name: "LibGRÖSSE.so".to_owned(),
        debug_id_alias: Some(alias),
        code_id: Some(CodeId::new("feedbeef")),
        cpu_name: "arm64".to_owned(),
        ..house.new_file("file", 0xabc)
    };
    house.register(&file).await;
    house.register(&NewDebugFile { code_id: None, format: Format::Pe, ..house.new_file("other", 1) }).await;
    for found in ["libgr", "GRÖSSE", "0ABC", "3249D99D-0c40", "FeedBeef", "ARM", "Elf", ""] {
        assert!(names(house, &text(found)).await.contains(&file.object_name), "{found:?}");
    }
    assert_eq!(names(house, &text("libgr")).await, ["LibGRÖSSE.so"]);
    assert_eq!(names(house, &text("größe")).await, [""; 0]);
}

async fn wildcards_of_the_asker_are_plain_characters(house: &House) {
    for name in ["100%", "a_b", "axb", r"back\slash", "it's \"quoted\""] {
        house.register(&NewDebugFile { object_name: name.to_owned(), ..house.new_file(name, 1) }).await;
    }
    for (wanted, found) in
        [("%", "100%"), ("a_b", "a_b"), ("_", "a_b"), (r"\", r"back\slash"), ("'", "it's \"quoted\"")]
    {
        // `x86_64` has an underscore too, so it is taken out of the way.
        let listed = names(house, &text(wanted)).await;
        let expected = if wanted == "_" { 5 } else { 1 };
        assert_eq!(listed.len(), expected, "{wanted:?} finds {listed:?}");
        assert!(listed.contains(&found.to_owned()), "{wanted:?} finds {listed:?}");
    }
}

async fn ids_match_both_or_either(house: &House) {
    let alias: DebugId = "3249d99d-0c40-4931-8610-f4e4fb0b6936".parse().unwrap();
    house.register(&NewDebugFile { debug_id_alias: Some(alias.clone()), ..house.new_file("one", 1) }).await;
    house.register(&house.new_file("two", 2)).await;
    house.register(&house.new_file("three", 3)).await;
    let filter = |debug_id: Option<u32>, code_id: Option<u32>, either_id| FileFilter {
        debug_id: debug_id.map(|id| super::debug_id(id).parse().unwrap()),
        code_id: code_id.map(|id| format!("c0de{id:04}")),
        either_id,
        ..FileFilter::default()
    };
    assert_eq!(names(house, &filter(Some(1), None, false)).await, ["one.so"]);
    assert_eq!(names(house, &filter(None, Some(2), false)).await, ["two.so"]);
    assert_eq!(names(house, &filter(Some(1), Some(2), true)).await, ["two.so", "one.so"]);
    assert_eq!(names(house, &filter(Some(1), Some(2), false)).await, [""; 0]);
    assert_eq!(names(house, &filter(Some(2), Some(2), false)).await, ["two.so"]);
    assert_eq!(names(house, &filter(Some(9), Some(9), true)).await, [""; 0]);
    let by_alias = FileFilter { debug_id: Some(alias), ..FileFilter::default() };
    assert_eq!(names(house, &by_alias).await, ["one.so"]);
    let narrowed = FileFilter { text: Some("TWO".to_owned()), ..filter(Some(1), Some(2), true) };
    assert_eq!(names(house, &narrowed).await, ["two.so"]);
}

async fn the_best_file_of_an_id_comes_first(house: &House) {
    let features =
        |features: Features, number| NewDebugFile { features, ..house.new_file(&format!("{number}"), number) };
    let mut files = [
        features(Features::DEBUG, 1),
        features(Features::UNWIND, 2),
        features(Features::SYMTAB.union(Features::UNWIND), 3),
        features(Features::DEBUG.union(Features::SYMTAB), 4),
    ];
    // All have the code id of the first; its debug id is another one.
    let own = files[1].debug_id.clone();
    for file in &mut files {
        file.code_id = Some(CodeId::new("c0de"));
        house.register(file).await;
    }
    let filter = FileFilter {
        debug_id: Some(own),
        code_id: Some("c0de".to_owned()),
        either_id: true,
        best_first: true,
        ..FileFilter::default()
    };
    assert_eq!(names(house, &filter).await, ["2.so", "4.so", "1.so", "3.so"]);
    assert_eq!(names(house, &FileFilter { debug_id: None, ..filter.clone() }).await, ["4.so", "1.so", "3.so", "2.so"]);
    assert_eq!(names(house, &FileFilter { best_first: false, ..filter }).await, ["4.so", "3.so", "2.so", "1.so"]);
}

async fn formats_narrow_the_list(house: &House) {
    for (number, format) in [Format::Elf, Format::Pe, Format::Pdb].into_iter().enumerate() {
        house.register(&NewDebugFile { format, ..house.new_file(format.as_str(), number as u32) }).await;
    }
    let of = |formats: &[Format]| FileFilter { formats: formats.to_vec(), ..FileFilter::default() };
    assert_eq!(names(house, &of(&[Format::Pe])).await, ["pe.so"]);
    assert_eq!(names(house, &of(&[Format::Pdb, Format::Elf, Format::Pdb])).await, ["pdb.so", "elf.so"]);
    assert_eq!(names(house, &of(&[Format::Wasm])).await, [""; 0]);
    assert_eq!(names(house, &of(Format::ALL)).await.len(), 3);
}

async fn no_text_is_too_strange_to_look_for(house: &House) {
    house.register(&house.new_file("file", 1)).await;
    for strange in ["\0", "\u{fffd}", "\n", "日本", "$1", "?", "'; drop table debug_files; --", &"x".repeat(100_000)]
    {
        assert_eq!(names(house, &text(strange)).await, [""; 0], "{:.20}", strange);
        let by_code = FileFilter { code_id: Some(strange.to_owned()), ..FileFilter::default() };
        assert_eq!(names(house, &by_code).await, [""; 0], "{:.20}", strange);
    }
    assert_eq!(names(house, &FileFilter::default()).await, ["file.so"]);
}

async fn names_are_found_in_many_projects_and_patterns_find_enough(house: &House) {
    let (_, theirs) = house.neighbour().await;
    let more = house.db.create_project(house.organization.id, "more", at(0)).await.unwrap();
    for (number, name) in ["calc", "calc_x", "calcux", "100%"].into_iter().enumerate() {
        house.register(&house.new_file(name, number as u32 + 1)).await;
    }
    house.register(&NewDebugFile { project_id: more.id, ..house.new_file("calc", 1) }).await;
    house.register(&NewDebugFile { project_id: theirs.id, ..house.new_file("calc", 1) }).await;
    let ours = [house.project.id, more.id];
    let found = async |projects: &[i64], name: &str, glob| {
        let files = house.db.debug_files_by_name(projects, name, glob, 3).await.unwrap();
        files.into_iter().map(|file| file.object_name).collect::<Vec<_>>()
    };
    assert_eq!(found(&ours, "calc.so", false).await, ["calc.so", "calc.so"]);
    assert_eq!(found(&ours, "calc*", false).await, [""; 0], "a name is no pattern");
    assert_eq!(found(&ours, "calc*", true).await, ["calc.so", "calcux.so", "calc_x.so"], "newest first, to the limit");
    assert_eq!(found(&ours, "calc_x.s?", true).await, ["calc_x.so"], "a line is no wildcard");
    assert_eq!(found(&ours, "100%*", true).await, ["100%.so"]);
    assert_eq!(found(&ours, "%", true).await, [""; 0]);
    assert_eq!(found(&ours, "calc_[a-z].so", true).await, ["calc_x.so"]);
    assert_eq!(found(&ours, "\\\0'", true).await, [""; 0]);
    assert_eq!(found(&[], "calc.so", false).await, [""; 0]);
    assert_eq!(found(&ours, &"x".repeat(100_000), true).await, [""; 0]);
}
