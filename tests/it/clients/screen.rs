//! [`Screen`]: everything a client printed and how it ended, in a form that is the same with every run. It hides only
//! what no run has in common with the next: folders, addresses, times, the order of files.

use std::process::Output;

/// What a client printed, and its exit code.
#[derive(Debug)]
pub struct Screen {
    what: String,
    code: Option<i32>,
    text: String,
}

impl Screen {
    /// The screen after `what`, with each of `hidden` replaced by what stands for it.
    pub fn of(what: String, output: &Output, hidden: &[(String, &str)]) -> Self {
        let printed = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        let mut text = printed.concat();
        for (varying, name) in hidden {
            text = text.replace(varying, name);
        }
        Self { what, code: output.status.code(), text: in_order(&text) }
    }

    /// Fails the test if the client printed this.
    #[track_caller]
    pub fn lacks(&self, text: &str) {
        assert!(!self.text.contains(text), "{} printed:\n{}", self.what, self.text);
    }

    /// Fails the test unless the client ended with this exit code and printed exactly this. Empty lines around it do
    /// not count.
    #[track_caller]
    pub fn says(&self, code: i32, expected: &str) {
        let expected = in_order(expected);
        let (found, text) = (self.text.trim_matches('\n'), expected.trim_matches('\n'));
        let Self { what, code: ended, .. } = self;
        assert!(
            found == text && *ended == Some(code),
            "{what}\nended with {ended:?} and printed\n{found}\n\nbut was to end with {code} and print\n{text}\n"
        );
    }

    /// Fails the test unless the client ended well and printed exactly this.
    #[track_caller]
    pub fn succeeds(&self, expected: &str) {
        self.says(0, expected);
    }

    /// Fails the test unless the client ended well and printed exactly one of these.
    #[track_caller]
    pub fn is_one_of(&self, texts: &[String]) {
        let found = self.text.trim_matches('\n');
        let known = texts.iter().any(|text| in_order(text).trim_matches('\n') == found);
        assert!(known && self.code == Some(0), "{}\nended with {:?} and printed\n{found}\n", self.what, self.code);
    }

    /// Fails the test unless the client gave up over an error, after it had printed `before`.
    #[track_caller]
    pub fn gives_up(&self, before: &str, error: &str) {
        self.says(
            1,
            &format!(
                "{before}\nerror: {error}\n\n\
                 Add --log-level=[info|debug] or export SENTRY_LOG_LEVEL=[info|debug] to see more output.\n\
                 Please attach the full debug log to all bug reports."
            ),
        );
    }

    /// Fails the test unless the client found as many files, uploaded all and says of each that it is good: each entry
    /// is `<id> (<name>; <processor> <kind>)`.
    #[track_caller]
    pub fn took(&self, files: &[&str]) {
        let ends = files.iter().map(|file| format!("OK {file}"));
        self.succeeds(&(prepared(files.len()) + &uploaded(files.len()) + &processed(ends)));
    }

    /// Fails the test unless the client ended well and says of so many files that they are good.
    #[track_caller]
    pub fn ended_well(&self, files: usize) {
        let good = self.text.lines().filter(|line| line.trim_start().starts_with("OK ")).count();
        assert!(
            self.code == Some(0) && good == files,
            "{}\nended with {:?} and printed\n{}\n",
            self.what,
            self.code,
            self.text
        );
    }

    /// Fails the test unless the client found files and the server had them all.
    #[track_caller]
    pub fn had_nothing_to_upload(&self, found: usize) {
        self.succeeds(&(prepared(found) + "> Nothing to upload, all files are on the server"));
    }
}

/// What is printed when files were found.
pub fn prepared(count: usize) -> String {
    format!("> Found {}\n> Prepared debug information {} for upload\n", counted(count), noun(count))
}

/// What is printed when files were sent.
pub fn uploaded(count: usize) -> String {
    format!("> Uploaded {count} missing debug information {}\n", noun(count))
}

/// What is printed when somebody waited for the end.
pub fn processed(ends: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    ends.into_iter().fold("> File processing complete:\n\n".to_owned(), |text, end| text + "  " + end.as_ref() + "\n")
}

fn counted(count: usize) -> String {
    format!("{count} debug information {}", noun(count))
}

fn noun(count: usize) -> &'static str {
    if count == 1 { "file" } else { "files" }
}

/// The text with the files of the final list sorted, where the lines that explain a file stay with it. How far a line
/// is indented does not count, nor the two ways in which clients write a cause; progress times are left out.
fn in_order(text: &str) -> String {
    let text = text.replace("\n\nCaused by:\n    ", "\n  caused by: ");
    let mut lines: Vec<String> = Vec::new();
    let mut ends: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("> Uploading completed in ")) {
        let trimmed = line.trim();
        if ["OK ", "ERROR ", "UPLOADED ", "PENDING "].iter().any(|word| trimmed.starts_with(word)) {
            ends.push(trimmed.to_owned());
        } else if let Some(warning) = trimmed.strip_prefix("WARN ") {
            flush(&mut lines, &mut ends);
            // Behind the time it was given.
            lines.push(format!("WARN {}", warning.split_once(" +00:00 ").map_or(warning, |(_, text)| text)));
        } else if line.starts_with(' ') && !ends.is_empty() {
            let end = ends.last_mut().expect("it is not empty");
            *end += "\n    ";
            *end += trimmed;
        } else {
            flush(&mut lines, &mut ends);
            lines.push(line.trim_end().to_owned());
        }
    }
    flush(&mut lines, &mut ends);
    lines.join("\n")
}

fn flush(lines: &mut Vec<String>, ends: &mut Vec<String>) {
    ends.sort();
    lines.extend(ends.drain(..).map(|end| format!("  {end}")));
}
