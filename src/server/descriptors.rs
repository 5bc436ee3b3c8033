//! Files that this process may have open: raised to what the machine allows, and never all given to connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Http;

/// The settings with as many connections as fit into half of the descriptors; the other half is for files, the database
/// and child processes.
pub(super) fn fitting(settings: &Http) -> Http {
    let mut settings = settings.clone();
    let Some(allowed) = raised() else { return settings };
    let most = usize::try_from(allowed / 2).unwrap_or(usize::MAX).max(1);
    if settings.max_connections > most {
        tracing::warn!(
            descriptors = allowed,
            most,
            "fewer connections than the setting `http.max_connections` fit; raise the limit of open files (`ulimit -n`)"
        );
        settings.max_connections = most;
    }
    settings
}

/// The number of descriptors, after the soft limit was raised to the hard one; `None` if there is no limit.
fn raised() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!(%error, "the number of open files stays as it is");
            limit.current
        }
    }
}
