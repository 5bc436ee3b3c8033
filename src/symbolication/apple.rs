//! Crash reports of Apple's systems: the child process reads a report, its frames get names like those of any request. It never
//! reads a byte of the report in this process.

use std::fs::File;

use super::request::{Options, SymbolicateRequest, read_limited};
use super::{Asker, Prepared, Symbolication, SymbolicationError, failed, off_thread};
use crate::symcaches::sandbox::OnBehalf;
use crate::types::child_protocol::AppleReport;

impl Symbolication {
    /// The text of the response to a report: `completed`, `failed` if it cannot be read, `timeout` if it took too long.
    pub async fn apple_report(
        &self,
        asker: &Asker,
        report: &File,
        options: Options,
    ) -> Result<Vec<u8>, SymbolicationError> {
        self.in_time(self.name_report(asker, report, options)).await
    }

    async fn name_report(&self, asker: &Asker, report: &File, options: Options) -> Result<Vec<u8>, SymbolicationError> {
        let sandbox = &self.symcaches.sandbox;
        let permit = sandbox.short_permit(OnBehalf::admitted(asker.project.organization_id)).await?;
        let read = sandbox.apple_report(&permit, report).await?;
        drop(permit);
        let prepared = match read {
            Ok(report) => off_thread(move || prepared(report, options)).await?,
            Err(reason) => Err(reason),
        };
        match prepared {
            Ok(prepared) => self.complete(asker, prepared).await,
            Err(reason) => Ok(failed(&reason)),
        }
    }
}

/// The report as a request. The child wrote it as one of the wire, and no more is believed of it than of any.
fn prepared(report: AppleReport, options: Options) -> Result<Prepared, String> {
    let mut request: SymbolicateRequest = read_limited(report.request.to_string().as_bytes())?;
    for (stack, truncated) in request.stacktraces.iter_mut().zip(report.truncated) {
        stack.truncated = truncated;
    }
    (request.options, request.keep_packages) = (options, true);
    Ok(Prepared { request, facts: report.facts, unwinding: None })
}
