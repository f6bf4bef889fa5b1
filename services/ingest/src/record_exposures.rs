//! Use case: record exposures that were decided elsewhere.

use assay_core::record::Exposure;

use crate::{
    Ingest, accept,
    error::Error,
    record::{self, Fate},
};

/// Accepts what can be accepted of `sent` and answers for each, in order.
///
/// # Errors
/// [`Error::ImportNotPermitted`]; [`Error::Log`] when the log took none.
pub(crate) async fn record_exposures(
    ingest: &Ingest,
    receipt: &accept::Receipt,
    sent: Vec<record::Decoded<accept::SentExposure>>,
) -> Result<Vec<Fate>, Error> {
    if !ingest.imports_permitted {
        return Err(Error::ImportNotPermitted);
    }
    record::record(ingest, sent, |sent| -> Result<Exposure, _> {
        accept::exposure(sent, receipt)
    })
    .await
}
