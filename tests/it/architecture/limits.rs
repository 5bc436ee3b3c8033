//! The rule of admission control, read from the source: work leaves the async threads, and is limited, only at places that
//! say what bounds it. It cannot see whether the reason is true; a reviewer can.

use super::source::{Source, sources};

/// Files that run work on blocking threads, and what bounds how much of it runs at a time.
const BLOCKING: &[(&str, &str)] = &[
    ("blobs/", "one step of one stream; each stream belongs to a request or a job, which are limited"),
    ("debug_files/elf_section.rs", "one request; the reads are bounded by the section table"),
    ("cli/stackwalk.rs", "one file of a verb"),
    ("debug_files/fill_section.rs", "one request; one buffer at a time"),
    ("debug_files/section_cache.rs", "one request; one buffer at a time"),
    ("debug_files/unpack_section.rs", "one request; one buffer at a time"),
    ("events/", "one batch at a time, on as many threads as there are cores; native events four at a time"),
    ("jobs/digest.rs", "one batch at a time"),
    ("http/events/", "one request; one event of bounded size"),
    ("http/ingest/", "one request, in steps; its body is bounded and rated"),
    ("http/sentry/assemble_answer.rs", "one request; its body is bounded"),
    ("http/sentry/assemble_body.rs", "one request; its body is bounded"),
    ("http/sentry/zip_upload.rs", "a permit of `UploadLimits::work`"),
    ("http/symbol_server/metadata.rs", "one request; its answer is bounded"),
    ("http/symbolicate/", "a permit of `App::symbolicate_limit`"),
    ("symbolication/", "a permit of `Symbolication::limiter`"),
    ("symcaches/", "a permit of the sandbox, of sources, cabinets or look-ups"),
    ("http/symbolication/", "a permit of `Symbolication::limiter`"),
    ("uploads/assembly.rs", "a job, or a build that has a permit"),
    ("uploads/chunk_receiver.rs", "a permit of `UploadLimits::work`"),
    ("uploads/local.rs", "an import, one chunk at a time"),
    ("upstreams/unpack.rs", "a permit of `upstreams.parallel`"),
];

/// Files that make a semaphore of their own instead of a `WorkLimiter`, and why that is fair all the same.
const SEMAPHORES: &[(&str, &str)] = &[
    ("debug_files/together.rs", "batches of look-ups, each of all organizations that wait"),
    (
        "debug_files/section_cache.rs",
        "searches for sections, each of bounded work; 256 wait and further ones are refused",
    ),
    ("debug_files/unpack_section.rs", "single steps of responses that are under way, one per core"),
    ("jobs/", "rows are claimed by organization before a permit is taken"),
    ("symcaches/", "children and look-ups"),
    ("upstreams/", "fetches, which only callers with a credential cause"),
];

const RULES: &[(&str, &[(&str, &str)])] = &[("spawn_blocking(", BLOCKING), ("Semaphore::new(", SEMAPHORES)];

fn faults(source: &Source) -> Vec<String> {
    let shipped = source.shipped_code();
    let broken = RULES
        .iter()
        .filter(|(call, homes)| shipped.contains(call) && !homes.iter().any(|(home, _)| source.path.starts_with(home)));
    broken.map(|(call, _)| format!("{}: `{call}` without a word on what bounds it", source.path)).collect()
}

#[test]
fn work_leaves_the_async_threads_only_where_something_bounds_it() {
    let sources = sources(&super::repository().join("src"));
    let faults: Vec<String> = sources.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "use `admission::WorkLimiter`, or add the file and its bound:\n{}", faults.join("\n"));
    for (path, call) in [("http/missing.rs", "spawn_blocking("), ("uploads/known.rs", "Semaphore::new(")] {
        let text = format!("//! A file.\n\nfn f() {{ {call}4); }}\n");
        assert_eq!(faults_of(path, text).len(), 1, "{path}");
    }
}

fn faults_of(path: &str, text: String) -> Vec<String> {
    faults(&Source::new(path, text))
}

#[test]
fn the_body_of_every_route_is_rated() {
    let routes = std::fs::read_to_string(super::repository().join("src/http/mod.rs")).unwrap();
    let rated = routes.find("rated_body::rate_body").expect("the middleware is there");
    let last_group = routes.find(".merge(operators())").expect("routes are merged");
    assert!(rated > last_group, "a layer holds for the routes that were added before it");
}
