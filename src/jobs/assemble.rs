//! The job of one assembly: stitch, verify, detect, convert, register. Whether a failure is final or worth another try
//! is said here, where the knowledge is.

use super::back_off::{MOST_ATTEMPTS, back_off};
use crate::app::App;
use crate::blobs::BlobError;
use crate::cache::RememberedState;
use crate::db::{Closing, DbError};
use crate::symcaches::sandbox::Hints;
use crate::symcaches::{ConversionTime, LookupError, Outcome, RegisterError, StoreError, Verified};
use crate::types::{Assembly, AssemblyState};
use crate::uploads::{StitchError, stitch};

/// How a job ends short of success.
enum Failure {
    /// Nothing will change by trying again; the sentence is for the uploader.
    Final(String),
    /// The cause may pass. `sentence` is what the uploader hears if it does not, `cause` is for the log.
    Passing { sentence: String, cause: String },
    /// No cause that passes, and none that the uploader can change: the log has it under a reference.
    Unexpected(String),
    /// Somebody else holds the job.
    LeaseLost,
}

/// Runs one attempt and writes its end into the row and the status cache.
pub(super) async fn run(app: &App, assembly: &Assembly, lease: &str) {
    match attempt(app, assembly, lease).await {
        Ok(malformed) => {
            app.status.clear(assembly.project_id, assembly.sha1).await;
            tracing::info!(
                assembly.id = assembly.id, project.id = assembly.project_id, sha1 = %assembly.sha1, malformed, "assembled"
            );
        }
        Err(Failure::Final(sentence)) => fail(app, assembly, lease, &sentence).await,
        Err(Failure::Passing { sentence, cause }) => try_later(app, assembly, lease, &sentence, &cause).await,
        Err(Failure::Unexpected(cause)) => fail_unexpectedly(app, assembly, lease, &cause).await,
        Err(Failure::LeaseLost) => {
            tracing::warn!(assembly.id = assembly.id, "the job was ended by another worker");
        }
    }
}

/// Deals with a job that panicked.
pub(super) async fn surprise(app: &App, assembly: &Assembly, lease: &str, cause: &str) {
    let sentence =
        "The server could not finish this file. Upload it again; if that fails too, the server's log says why.";
    try_later(app, assembly, lease, sentence, cause).await;
}

/// Assembles the file. Why it has no symcache, if it should have one, stands with the symcache, where pollers find it.
async fn attempt(app: &App, assembly: &Assembly, lease: &str) -> Result<Option<String>, Failure> {
    if assembly.attempt > MOST_ATTEMPTS {
        return Err(Failure::Final(format!(
            "The server was stopped {MOST_ATTEMPTS} times while it worked on this file. Upload it again, or ask whoever \
             runs the server to look at its log."
        )));
    }
    let owned = app.db.owned_chunks(assembly.organization_id, &assembly.chunks).await?;
    let limit = app.config.uploads.max_file_size;
    let stitched = match stitch(app.blobs.clone(), &app.config.temp_dir(), limit, assembly, &owned).await {
        Ok(stitched) => stitched,
        Err(error) => return Err(stitch_failure(app, assembly, error).await),
    };
    let hints = Hints { name: assembly.name.clone(), debug_id: assembly.debug_id.clone() };
    let closing = Closing { assembly_id: assembly.id, lease_token: lease.to_owned() };
    let verified = Verified {
        file: &stitched.file,
        sha1: assembly.sha1,
        size: stitched.size,
        chunk_ids: &stitched.chunk_ids,
        hints: &hints,
        project_id: assembly.project_id,
        closing: Some(&closing),
        several: false,
        detection: None,
        conversion: ConversionTime::BeforeRegistration,
    };
    match app.symcaches.register(&verified).await? {
        Outcome::Registered { malformed, .. } => Ok(malformed),
        Outcome::Refused(sentence) => Err(Failure::Final(sentence)),
        Outcome::LeaseLost => Err(Failure::LeaseLost),
    }
}

/// Ends the assembly with a reason that pollers hear.
async fn fail(app: &App, assembly: &Assembly, lease: &str, sentence: &str) {
    let now = app.clock.now();
    let version = &app.symcaches.converter_version;
    match app.db.fail_assembly(assembly.id, lease, sentence, version, now).await {
        Ok(true) => {
            let state = RememberedState { state: AssemblyState::Error, detail: Some(sentence.to_owned()) };
            app.status.set(assembly.project_id, assembly.sha1, state, now).await;
            tracing::info!(assembly.id = assembly.id, sha1 = %assembly.sha1, reason = sentence, "not assembled");
        }
        Ok(false) => app.status.clear(assembly.project_id, assembly.sha1).await,
        Err(error) => {
            app.status.clear(assembly.project_id, assembly.sha1).await;
            tracing::error!(assembly.id = assembly.id, error = %error, "the end of a job could not be written; its lease will run out");
        }
    }
}

/// Ends the assembly at once: another attempt would meet the same cause, which only the operator can look at.
async fn fail_unexpectedly(app: &App, assembly: &Assembly, lease: &str, cause: &str) {
    let reference = app.clock.fresh_id().simple().to_string();
    tracing::error!(assembly.id = assembly.id, sha1 = %assembly.sha1, reference, cause, "a file could not be registered");
    let message = format!(
        "The server could not register this file (reference {reference}). Ask its operator to look for this reference in \
         its log."
    );
    fail(app, assembly, lease, &message).await;
}

/// Hands the assembly back to be tried again, later each time, or ends it after the last attempt.
async fn try_later(app: &App, assembly: &Assembly, lease: &str, sentence: &str, cause: &str) {
    if assembly.attempt >= MOST_ATTEMPTS {
        tracing::error!(assembly.id = assembly.id, sha1 = %assembly.sha1, cause, "a job failed for the last time");
        return fail(app, assembly, lease, sentence).await;
    }
    let now = app.clock.now();
    let not_before = now + back_off(app.config.jobs.back_off, assembly.attempt, &app.clock);
    tracing::warn!(
        assembly.id = assembly.id,
        assembly.attempt = assembly.attempt,
        cause,
        "a job failed and is tried again"
    );
    match app.db.retry_assembly(assembly.id, lease, sentence, not_before, now).await {
        Ok(_) => app.status.clear(assembly.project_id, assembly.sha1).await,
        Err(error) => {
            tracing::error!(assembly.id = assembly.id, error = %error, "a job could not be handed back; its lease will run out");
        }
    }
}

/// What a failure to put the file together means.
async fn stitch_failure(app: &App, assembly: &Assembly, error: StitchError) -> Failure {
    match error {
        StitchError::Refused(sentence) => Failure::Final(sentence),
        StitchError::Chunk { sha1, chunk_id, source } => {
            let cause = source.to_string();
            let sentence = match source.key() {
                Some(_) => format!("The server lost chunk {sha1} of this file. Upload the file again to mend it."),
                None => format!(
                    "The server could not read chunk {sha1} of this file from its disk. Ask whoever runs it to look at \
                     its log, then upload the file again."
                ),
            };
            if assembly.attempt >= MOST_ATTEMPTS
                && let Some(key) = source.key()
                // From now on it is asked for again, of whoever has a file of it. Damaged bytes stay until they are
                // replaced: they may be well for whoever reads them on a better day.
                && let Err(error) = app.db.lose_chunk(chunk_id, key, app.clock.now()).await
            {
                tracing::error!(chunk.id = chunk_id, error = %error, "a chunk could not be given up for lost");
            }
            Failure::Passing { sentence, cause }
        }
        StitchError::Temp(error) => Failure::Passing { sentence: no_space(&error), cause: error.to_string() },
    }
}

/// What the uploader hears when the server's disk fails.
fn no_space(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "The server's disk is full. Ask whoever runs it to make space, then upload the file again.".to_owned()
        }
        _ => "The server could not write to its disk. Ask whoever runs it to look at its log, then upload again."
            .to_owned(),
    }
}

/// Whether a full disk is behind a failure.
fn is_out_of_space(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        matches!(kind, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded))
    })
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        let cause = causes(&error);
        if error.is_full() {
            return Self::Passing { sentence: no_space(&std::io::ErrorKind::StorageFull.into()), cause };
        }
        if error.is_transient() {
            let sentence = "The server's database did not answer. Upload the file again later.".to_owned();
            return Self::Passing { sentence, cause };
        }
        Self::Unexpected(cause)
    }
}

impl From<RegisterError> for Failure {
    fn from(error: RegisterError) -> Self {
        let cause = causes(&error);
        match error {
            RegisterError::Store(StoreError::Concurrency) => Self::Final(cause),
            RegisterError::Db(error)
            | RegisterError::Store(StoreError::Db(error))
            | RegisterError::Lookup(LookupError::Db(error)) => error.into(),
            RegisterError::Blob(BlobError::Full(_)) | RegisterError::Store(StoreError::Blob(BlobError::Full(_))) => {
                Self::Passing { sentence: no_space(&std::io::ErrorKind::StorageFull.into()), cause }
            }
            error if is_out_of_space(&error) => {
                Self::Passing { sentence: no_space(&std::io::ErrorKind::StorageFull.into()), cause }
            }
            _ => Self::Passing {
                sentence:
                    "The server could not finish this file. Upload it again later, or ask its operator to look at \
                           its log."
                        .to_owned(),
                cause,
            },
        }
    }
}

/// An error with everything that caused it, each cause once: many an error has its cause in its own words already.
fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let causes = std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string);
    for cause in causes.filter(|cause| !cause.is_empty()) {
        if !said.contains(&cause) {
            said.push_str(": ");
            said.push_str(&cause);
        }
    }
    said
}
