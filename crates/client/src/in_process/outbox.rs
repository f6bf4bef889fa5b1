//! Exposures on their way to assignment.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use assay_core::key::Namespace;
use assay_platform::{Backoff, Failure, Shutdown};
use assay_proto::assignment::v1::{Decision, RecordDecisionsRequest};
use tokio::sync::Notify;

use crate::Client;

/// Most exposures of one call.
const MAX_CALL: usize = 500;
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(5);

/// What has become of exposures: `offered` = `recorded` + `refused` + `dropped` + `pending`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecisionCounts {
    /// All that there were.
    pub offered: u64,
    /// Taken by assignment.
    pub recorded: u64,
    /// Refused by assignment for good.
    pub refused: u64,
    /// Dropped, because too many waited.
    pub dropped: u64,
    /// Waiting to be sent.
    pub pending: u64,
}

/// Exposures that wait to be sent.
pub(super) struct Outbox {
    waiting: Mutex<VecDeque<Decision>>,
    limit: usize,
    /// Told when there is enough for a call.
    full_call: Notify,
    /// Told when something has left.
    left: Notify,
    recorded: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
}

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            limit,
            full_call: Notify::new(),
            left: Notify::new(),
            recorded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Decision>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an exposure, or counts it as dropped.
    pub(super) fn push(&self, decision: Decision) {
        let mut waiting = self.waiting();
        if waiting.len() >= self.limit {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(decision);
        if waiting.len() >= MAX_CALL {
            self.full_call.notify_one();
        }
    }

    pub(super) fn counts(&self) -> DecisionCounts {
        // All of them change under this lock, so they add up at any time.
        let waiting = self.waiting();
        let pending = waiting.len() as u64;
        let [recorded, refused, dropped] =
            [&self.recorded, &self.refused, &self.dropped].map(|count| count.load(Ordering::Relaxed));
        DecisionCounts {
            offered: recorded + refused + dropped + pending,
            recorded,
            refused,
            dropped,
            pending,
        }
    }

    /// Resolves when nothing waits any more.
    pub(super) async fn drained(&self) {
        loop {
            let left = self.left.notified();
            if self.waiting().is_empty() {
                return;
            }
            left.await;
        }
    }

    /// Sends what waits every `interval`, or sooner when there is enough for a call; at once from `stop` on.
    pub(super) async fn ship(
        &self,
        client: &Client,
        namespace: &Namespace,
        interval: Duration,
        stop: &Shutdown,
    ) {
        let mut backoff = Backoff::new(FIRST_DELAY, MAX_DELAY);
        loop {
            tokio::select! {
                () = self.full_call.notified() => {}
                () = tokio::time::sleep(interval) => {}
                () = stop.triggered() => {}
            }
            while let Some(request) = self.next(namespace) {
                let sent = request.decisions.len();
                match client.assignments().record_decisions(request).await {
                    Ok(response) => {
                        backoff.reset();
                        self.settle(sent, response.into_inner().refused.len());
                    }
                    Err(status) => {
                        let failure = Failure::from_status(&status);
                        if failure.code.is_retryable() {
                            let asked = failure.retry_after.unwrap_or_default();
                            tokio::time::sleep(backoff.next_delay().max(asked)).await;
                        } else {
                            self.settle(sent, sent);
                        }
                    }
                }
            }
            if stop.is_triggered() {
                return;
            }
        }
    }

    /// The first that wait. They wait on until it is settled what has become of them: sent again, they count once.
    fn next(&self, namespace: &Namespace) -> Option<RecordDecisionsRequest> {
        let waiting = self.waiting();
        let first: Vec<_> = waiting.iter().take(MAX_CALL).cloned().collect();
        (!first.is_empty()).then(|| RecordDecisionsRequest {
            namespace: namespace.to_string(),
            decisions: first,
        })
    }

    /// The first `sent` are gone, `refused` of them for nothing.
    fn settle(&self, sent: usize, refused: usize) {
        let mut waiting = self.waiting();
        waiting.drain(..sent);
        let refused = refused.min(sent) as u64;
        self.refused.fetch_add(refused, Ordering::Relaxed);
        self.recorded.fetch_add(sent as u64 - refused, Ordering::Relaxed);
        drop(waiting);
        self.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_dropped_and_everything_is_counted() {
        let outbox = Outbox::new(3);
        for _ in 0..5 {
            outbox.push(Decision::default());
        }
        let namespace = Namespace::default();
        assert_eq!(outbox.next(&namespace).unwrap().decisions.len(), 3);
        outbox.settle(2, 1);
        let counts = outbox.counts();
        let expected = DecisionCounts {
            offered: 5,
            recorded: 1,
            refused: 1,
            dropped: 2,
            pending: 1,
        };
        assert_eq!(counts, expected);
        outbox.settle(1, 0);
        assert_eq!(outbox.next(&namespace), None);
    }
}
