//! [`Punctual`]: finds jobs that a wrong clock put off for too long. A clock that was ahead and was set back leaves rows
//! behind that are due only when it has caught up. It never takes a job itself.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::back_off::MOST_ATTEMPTS;
use crate::app::App;

/// How often to look while the clock goes on as it should.
const LOOK: Duration = Duration::from_secs(30);

/// By how much clocks of several machines may differ.
const DIFFERENCE: TimeDelta = TimeDelta::minutes(1);

/// When was looked last, by the clock of the house and by one that is never set.
#[derive(Debug, Default)]
pub(super) struct Punctual(Option<(DateTime<Utc>, Instant)>);

impl Punctual {
    /// Looks at the first call, once in a while, and at once when the clock was set back.
    pub(super) async fn look(&mut self, app: &App) {
        let now = app.clock.now();
        let (as_it_should, since) = match self.0 {
            Some((then, since)) => (now >= then && since.elapsed() < LOOK, since),
            None => (false, Instant::now()),
        };
        // The time is noted at each call, so that a step back is seen however small.
        self.0 = Some((now, if as_it_should { since } else { Instant::now() }));
        if as_it_should {
            return;
        }
        let length = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::days(1));
        let jobs = &app.config.jobs;
        let longest_back_off = length(jobs.back_off.saturating_mul(1 << MOST_ATTEMPTS));
        let lease = length(jobs.lease);
        // A worker that still has one of them has another lease's time to say so.
        let (latest, due) = (now + longest_back_off.max(lease) + DIFFERENCE, now + lease);
        let assemblies = app.db.pull_in_assemblies(latest, due).await;
        let jobs = app.db.pull_in_jobs(latest.max(now + super::symcache::LEFT_ALONE.1 + DIFFERENCE), due).await;
        match assemblies.and_then(|assemblies| Ok(assemblies + jobs?)) {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "jobs were put off by a clock that was ahead; they are due now"),
            Err(error) => tracing::warn!(%error, "whether a clock put jobs off cannot be seen"),
        }
    }
}
