//! Use case: record events.

use assay_core::record::Event;

use crate::{
    Ingest, accept,
    error::Error,
    record::{self, Fate},
};

/// Accepts what can be accepted of `sent` and answers for each, in order.
///
/// # Errors
/// [`Error::ImportNotPermitted`]; [`Error::Log`] when the log took none.
pub(crate) async fn record_events(
    ingest: &Ingest,
    receipt: &accept::Receipt,
    sent: Vec<record::Decoded<accept::SentEvent>>,
) -> Result<Vec<Fate>, Error> {
    if receipt.imported && !ingest.imports_permitted {
        return Err(Error::ImportNotPermitted);
    }
    record::record(ingest, sent, |sent| -> Result<Event, _> {
        accept::event(sent, receipt)
    })
    .await
}
