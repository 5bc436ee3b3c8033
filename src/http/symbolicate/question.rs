//! What is asked: jobs, each with the modules of a process and stacks of addresses in them. It never looks at a module
//! that no frame is in.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::types::DebugId;

/// Most frames of one question.
const MOST_FRAMES: usize = 100_000;

/// Most modules that the frames of one question may be in.
const MOST_MODULES: usize = 1_000;

/// Most lists of one question: each frame, stack and module is one. Empty lists are much shorter in a body than in memory.
const MOST_LISTS: usize = 400_000;

/// The jobs of a question, read and within the limits.
#[derive(Clone, Debug)]
pub struct Question {
    /// The jobs, in order.
    pub jobs: Vec<Job>,
}

/// The stacks of one process.
#[derive(Clone, Debug, Deserialize)]
pub struct Job {
    /// Names and ids of its modules.
    #[serde(rename = "memoryMap")]
    pub modules: Vec<Module>,
    /// Its stacks.
    pub stacks: Vec<Vec<Address>>,
}

/// Name of a debug file, and its debug id as Breakpad writes it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Module(pub String, pub String);

/// Index of a module, -1 for none, and the offset in it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Address(pub i64, pub i64);

/// The two forms of a question. Other fields, such as a version, mean nothing.
#[derive(Deserialize)]
struct Body {
    jobs: Option<Vec<Job>>,
    #[serde(rename = "memoryMap")]
    modules: Option<Vec<Module>>,
    stacks: Option<Vec<Vec<Address>>>,
}

impl Question {
    /// Reads a body, or says in a sentence what is wrong with it.
    ///
    /// The work grows with the body and with nothing that it says, so a large one is read where blocking is allowed.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let lists = memchr::memchr_iter(b'[', body).count();
        if lists > MOST_LISTS {
            return Err(format!(
                "The body has {lists} lists: send at most {MOST_LISTS} frames, stacks and modules in one request."
            ));
        }
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| format!("The body cannot be read as JSON of the right form: {error}"))?;
        let jobs = match (body.jobs, body.modules, body.stacks) {
            (Some(jobs), ..) => jobs,
            (None, Some(modules), Some(stacks)) => vec![Job { modules, stacks }],
            _ => return Err("Send `jobs`, or one job: `memoryMap` and `stacks`.".to_owned()),
        };
        let question = Self { jobs };
        question.check()?;
        Ok(question)
    }

    /// The debug ids of all modules that a frame is in, each once.
    pub fn debug_ids(&self) -> Vec<DebugId> {
        let ids: BTreeSet<_> = self.modules_asked().map(|(_, id)| id).collect();
        ids.into_iter().collect()
    }

    /// Names and debug ids of the modules that a frame is in. Whose id is none, is not among them.
    pub fn modules_asked(&self) -> impl Iterator<Item = (&str, DebugId)> {
        let asked: BTreeSet<_> = self.jobs.iter().flat_map(Job::asked).collect();
        asked.into_iter().filter_map(|module| Some((module.0.as_str(), module.debug_id()?)))
    }

    fn check(&self) -> Result<(), String> {
        for (at, job) in self.jobs.iter().enumerate() {
            let modules = i64::try_from(job.modules.len()).unwrap_or(i64::MAX);
            for Address(module, offset) in job.stacks.iter().flatten() {
                if !(-1..modules).contains(module) {
                    return Err(format!(
                        "Job {at} has a frame in module {module}, and {modules} modules. Send the index of a module, or \
                         -1 for none."
                    ));
                }
                if *offset < -1 {
                    return Err(format!("Job {at} has a frame at the offset {offset}, which is before its module."));
                }
            }
        }
        let frames: usize = self.jobs.iter().flat_map(|job| &job.stacks).map(Vec::len).sum();
        if frames > MOST_FRAMES {
            return Err(format!("Too many frames, {frames}: ask for at most {MOST_FRAMES} in one request."));
        }
        let modules = self.debug_ids().len();
        if modules > MOST_MODULES {
            return Err(format!("Frames are in too many modules, {modules}: ask about at most {MOST_MODULES}."));
        }
        Ok(())
    }
}

impl Job {
    /// The modules that a frame is in, each once.
    pub fn asked(&self) -> BTreeSet<&Module> {
        let frames = self.stacks.iter().flatten();
        frames.filter_map(|Address(module, _)| self.modules.get(usize::try_from(*module).ok()?)).collect()
    }
}

impl Module {
    /// Its debug id, if it is one.
    pub fn debug_id(&self) -> Option<DebugId> {
        self.1.parse().ok().filter(|id: &DebugId| !id.is_nil())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        Question::read(body.as_bytes()).expect_err(body)
    }

    #[test]
    fn lists_that_take_more_memory_than_their_text_are_counted_first() {
        for list in ["[],", "[[]],"] {
            let body = format!("{{\"memoryMap\":[],\"stacks\":[{}[]]}}", list.repeat(MOST_LISTS));
            assert!(refusal(&body).contains("frames, stacks and modules"), "{list}");
        }
        let body = format!("{{\"memoryMap\":[],\"stacks\":[{}[]]}}", "[],".repeat(MOST_LISTS - 4));
        assert_eq!(Question::read(body.as_bytes()).expect("a question").jobs[0].stacks.len(), MOST_LISTS - 3);
    }

    #[test]
    fn one_job_is_as_good_as_a_list_of_one() {
        let job = r#""memoryMap":[["a","4EC932A9E89AF8CD96B5496A980E4EFE0"]],"stacks":[[[0,1],[-1,2]],[]],"version":5"#;
        for body in [format!("{{{job}}}"), format!("{{\"jobs\":[{{{job}}}]}}")] {
            let question = Question::read(body.as_bytes()).expect("a question");
            assert_eq!((question.jobs.len(), question.jobs[0].stacks.len()), (1, 2));
            assert_eq!(question.debug_ids()[0].as_str(), "4ec932a9-e89a-f8cd-96b5-496a980e4efe");
        }
        assert!(Question::read(br#"{"jobs":[]}"#).expect("no question is one too").debug_ids().is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_sentence() {
        let form = "The body cannot be read as JSON of the right form: ";
        for body in [
            "",
            "nonsense",
            "[]",
            "7",
            r#"{"jobs":{}}"#,
            r#"{"jobs":[[]]}"#,
            r#"{"jobs":[{"stacks":[]}]}"#,
            r#"{"jobs":[{"memoryMap":[]}]}"#,
            r#"{"memoryMap":[["a"]],"stacks":[]}"#,
            r#"{"memoryMap":[["a","b","c"]],"stacks":[]}"#,
            r#"{"memoryMap":[[1,2]],"stacks":[]}"#,
            r#"{"memoryMap":[],"stacks":[[[0]]]}"#,
            r#"{"memoryMap":[],"stacks":[[[0,1,2]]]}"#,
            r#"{"memoryMap":[],"stacks":[[0,1]]}"#,
            r#"{"memoryMap":[],"stacks":[[["0","1"]]]}"#,
            r#"{"memoryMap":[],"stacks":[[[0,1.5]]]}"#,
            r#"{"memoryMap":[],"stacks":[[[-1,18446744073709551616]]]}"#,
            &"[".repeat(100_000),
            &format!("{{\"jobs\":{}", "[".repeat(100_000)),
        ] {
            assert!(refusal(body).starts_with(form), "{}", &body[..body.len().min(80)]);
        }
        for body in ["{}", r#"{"stacks":[]}"#, r#"{"memoryMap":[]}"#] {
            assert_eq!(refusal(body), "Send `jobs`, or one job: `memoryMap` and `stacks`.");
        }
        assert!(
            refusal(r#"{"memoryMap":[["a","b"]],"stacks":[[[1,0]]]}"#).starts_with("Job 0 has a frame in module 1")
        );
        assert!(refusal(r#"{"memoryMap":[],"stacks":[[[-2,0]]]}"#).starts_with("Job 0 has a frame in module -2"));
        assert!(refusal(r#"{"memoryMap":[],"stacks":[[[-1,-2]]]}"#).starts_with("Job 0 has a frame at the offset -2"));
        let many = format!("{{\"memoryMap\":[],\"stacks\":[[{}[-1,0]]]}}", "[-1,0],".repeat(MOST_FRAMES));
        assert!(refusal(&many).starts_with("Too many frames, 100001:"));
    }
}
