//! Sending many records through the door of ingest: in order, some calls at a time, each record until it is in the log.

use std::{future::Future, time::Duration};

use assay_client::record::Receipt;
use assay_core::time::Timestamp;
use assay_proto::ingest::v1::{Event, Exposure, RecordStatus};
use futures::{StreamExt, TryStreamExt, stream};

use super::Stage;
use crate::{error::Error, output::progress::Progress};

/// Records of one call.
const BATCH: usize = 1000;
/// Calls at a time.
const IN_FLIGHT: usize = 4;
/// How often a record that is not in the log is sent again.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Sends exposures; the answer is the last time of receipt, nothing if there were none.
pub(super) async fn exposures(
    stage: &Stage,
    exposures: impl Iterator<Item = Exposure>,
    progress: &Progress,
) -> Result<Option<Timestamp>, Error> {
    let send = |batch: Vec<Exposure>| stage.client.record_exposures(&stage.namespace, batch);
    all(exposures, send, progress).await
}

/// Sends events that keep their times.
pub(super) async fn events(
    stage: &Stage,
    events: impl Iterator<Item = Event>,
    progress: &Progress,
) -> Result<Option<Timestamp>, Error> {
    let send = |batch: Vec<Event>| stage.client.record_events(&stage.namespace, batch, true);
    all(events, send, progress).await
}

async fn all<R: Clone, F: Future<Output = Result<Receipt, assay_client::Error>>>(
    records: impl Iterator<Item = R>,
    send: impl Fn(Vec<R>) -> F,
    progress: &Progress,
) -> Result<Option<Timestamp>, Error> {
    let mut records = records.peekable();
    let batches = std::iter::from_fn(|| {
        records.peek()?;
        Some(records.by_ref().take(BATCH).collect::<Vec<_>>())
    });
    let sent = stream::iter(batches)
        .map(|batch| until_accepted(batch, &send, progress))
        .buffer_unordered(IN_FLIGHT);
    sent.try_fold(None, async |last, received| Ok(last.max(Some(received))))
        .await
}

async fn until_accepted<R: Clone, F: Future<Output = Result<Receipt, assay_client::Error>>>(
    mut batch: Vec<R>,
    send: &impl Fn(Vec<R>) -> F,
    progress: &Progress,
) -> Result<Timestamp, Error> {
    for _ in 0..ATTEMPTS {
        let receipt = send(batch.clone()).await?;
        progress.advance(receipt.n_accepted());
        let refused = receipt
            .results
            .iter()
            .find(|result| result.status() == RecordStatus::Refused);
        if let Some(refused) = refused {
            return Err(Error::Refused(format!(
                "a record was refused: {} {}",
                refused.field, refused.message
            )));
        }
        let again: Vec<R> = receipt
            .not_accepted()
            .filter_map(|(i, _)| batch.get(i).cloned())
            .collect();
        if again.is_empty() {
            return Ok(receipt.received_at);
        }
        batch = again;
        tokio::time::sleep(PAUSE).await;
    }
    Err(Error::Waited(format!(
        "{} records could not be brought into the log; try again",
        batch.len()
    )))
}
