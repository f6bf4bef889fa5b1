//! The shipper: takes frames from the spool, packs them into entries of the log, and acknowledges them when all are there.

mod round;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use assay_failpoint::{Point, reach};
use assay_platform::{Backoff, Shutdown, error::chain, telemetry::link_span};
use assay_storage::{
    Error,
    event_log::{Append, EventLog, Topic},
};
use tokio::{sync::Notify, time::Instant};
use tracing::Instrument;

use crate::record::{queue::Queue, sequence::SharedSequencer, store::StoreReader};
use round::{Entry, Round};

/// Longest wait for the log; what has not answered by then is sent again.
const APPEND_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(3);
/// Most requests that one span is linked to.
const MAX_LINKS: usize = 128;

/// Ships until it is stopped and nothing is left.
pub(crate) struct Shipper {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) reader: StoreReader,
    pub(crate) sequencer: SharedSequencer,
    pub(crate) queue: Arc<Queue>,
    /// Notified when there is something to ship.
    pub(crate) arrived: Arc<Notify>,
    /// How long exposures are gathered before they are sent.
    pub(crate) interval: Duration,
}

impl Shipper {
    /// Ships what there is and what comes. After `stop` it returns as soon as nothing is left.
    pub(crate) async fn run(mut self, stop: &Shutdown) {
        let mut delivered = Round::default();
        loop {
            let began = Instant::now();
            let round;
            (self, round) = match self.next_round(delivered).await {
                Ok(taken) => taken,
                Err(error) => {
                    return tracing::error!(error = chain(&error), "exposures are not shipped any more");
                }
            };
            if round.end.is_some() {
                reach(Point::AssignmentBeforeAppend);
                self.deliver(&round).await;
                reach(Point::AssignmentAfterAppend);
            } else if stop.is_triggered() {
                return;
            } else {
                let _ = stop.or_done(self.arrived.notified()).await;
            }
            if !round.has_more {
                // Time for more to come, so that entries are worth sending.
                let _ = stop
                    .or_done(tokio::time::sleep_until(began + self.interval))
                    .await;
            }
            delivered = round;
        }
    }

    /// Acknowledges what was `delivered` and reads what is to be shipped next, on a thread that may block.
    async fn next_round(mut self, delivered: Round) -> Result<(Self, Round), tokio::task::JoinError> {
        tokio::task::spawn_blocking(move || {
            self.acknowledge(&delivered);
            let sealed = self.sequencer.lock().seal();
            let round = round::take(&mut self.reader, sealed);
            (self, round)
        })
        .await
    }

    /// Sends `round` until the log has acknowledged all of it.
    async fn deliver(&self, round: &Round) {
        let mut left: Vec<&Entry> = round.entries.iter().collect();
        let mut backoff = Backoff::new(FIRST_DELAY, MAX_DELAY);
        let mut failing = false;
        while let Some(error) = self.send(&mut left).await {
            if !std::mem::replace(&mut failing, true) {
                tracing::warn!(
                    error = chain(&error),
                    "exposures wait: the log does not take them"
                );
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
        if failing {
            tracing::info!("the log takes exposures again");
        }
    }

    /// Sends `left` and keeps there what was not acknowledged; the answer is why.
    async fn send(&self, left: &mut Vec<&Entry>) -> Option<Error> {
        let records: u64 = left.iter().map(|entry| u64::from(entry.records)).sum();
        let span = tracing::info_span!(
            "send exposures",
            otel.kind = "producer",
            messaging.operation.name = "send",
            messaging.operation.type = "send",
            messaging.destination.name = Topic::Exposures.name(),
            messaging.batch.message_count = records,
        );
        for traceparent in left
            .iter()
            .map(|entry| entry.traceparent.as_str())
            .filter(|text| !text.is_empty())
            .take(MAX_LINKS)
        {
            link_span(&span, traceparent);
        }
        let append = |entry: &&Entry| Append {
            partition: entry.partition,
            topic: Topic::Exposures,
            payload: entry.payload.clone(),
        };
        let appends = left.iter().map(append).collect();
        let sent = tokio::time::timeout(APPEND_TIMEOUT, self.log.append(appends))
            .instrument(span)
            .await;
        let mut results = match sent {
            Ok(results) => results.into_iter(),
            Err(elapsed) => {
                return Some(Error::Unavailable {
                    store: "log",
                    source: elapsed.into(),
                });
            }
        };
        let mut failed = None;
        left.retain(|_| match results.next() {
            Some(Ok(_)) => false,
            Some(Err(error)) => {
                failed = Some(error);
                true
            }
            None => {
                failed = Some(Error::Unavailable {
                    store: "log",
                    source: "it gave no result for an entry".into(),
                });
                true
            }
        });
        failed
    }

    /// All of `round` is in the log.
    fn acknowledge(&mut self, round: &Round) {
        let Some(end) = round.end else { return };
        if let Err(error) = self.reader.acknowledge(end) {
            tracing::warn!(
                error = chain(&error),
                "the spool cannot be trimmed; some exposures may be sent twice after a restart"
            );
        }
        if round.unreadable > 0 {
            tracing::warn!(
                frames = round.unreadable,
                "frames of the spool that are no exposures were passed over"
            );
        }
        reach(Point::AssignmentAfterAcknowledge);
        self.queue.count_acknowledged(round.own_records);
        if round.recovered_records > 0 {
            self.queue.count_recovered(round.recovered_records);
            tracing::info!(
                exposures = round.recovered_records,
                "exposures of an earlier life of this process were shipped"
            );
        }
    }
}
