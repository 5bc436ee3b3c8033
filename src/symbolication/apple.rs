//! Crash reports of Apple's systems: the child process reads a report, its frames get names like those of any request. It never
//! reads a byte of the report in this process.

use std::fs::File;

use tokio::time::Instant;

use super::request::{Options, SymbolicateRequest, read_limited};
use super::{Asker, Prepared, Symbolication, SymbolicationError, failed, timed_out};
use crate::symcaches::sandbox::OnBehalf;

impl Symbolication {
    /// The text of the response to a report: `completed`, `failed` if it cannot be read, `timeout` if it took too long.
    pub async fn apple_report(
        &self,
        asker: &Asker,
        report: &File,
        options: Options,
    ) -> Result<Vec<u8>, SymbolicationError> {
        let until = Instant::now() + self.settings.timeout;
        match tokio::time::timeout_at(until, self.name_report(asker, report, options, until)).await {
            Ok(response) => response,
            Err(_) => Ok(timed_out()),
        }
    }

    async fn name_report(
        &self,
        asker: &Asker,
        report: &File,
        options: Options,
        until: Instant,
    ) -> Result<Vec<u8>, SymbolicationError> {
        let sandbox = &self.symcaches.sandbox;
        let permit = sandbox.short_permit(OnBehalf::admitted(asker.project.organization_id)).await?;
        let read = sandbox.apple_report(&permit, report).await?;
        drop(permit);
        let report = match read {
            Ok(report) => report,
            Err(reason) => return Ok(failed(&reason)),
        };
        // The child wrote it as a request of the wire, and no more is believed of it than of any.
        let mut request: SymbolicateRequest = match read_limited(report.request.to_string().as_bytes()) {
            Ok(request) => request,
            Err(reason) => return Ok(failed(&reason)),
        };
        for (stack, truncated) in request.stacktraces.iter_mut().zip(report.truncated) {
            stack.truncated = truncated;
        }
        (request.options, request.keep_packages) = (options, true);
        let prepared = Prepared { request, facts: report.facts, unwinding: None };
        self.complete(asker, prepared, until).await
    }
}
