//! The loops beside the server: readers and the trimmer. Each tries for ever, with pauses, until the shutdown.

use std::{sync::Arc, time::Duration};

use assay_platform::{Backoff, Shutdown};
use assay_storage::Error;
use tracing::{debug, warn};

use crate::{
    Analysis,
    reader::{Step, StepError},
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After so many rounds that found nothing the wait between them grows no more.
const IDLE_ROUNDS: u32 = 5;

/// Reads every `readers`-th partition, beginning with `first`, in turn.
pub(crate) async fn read(
    analysis: Arc<Analysis>,
    first: usize,
    readers: usize,
    poll: Duration,
    shutdown: Shutdown,
) {
    let partitions: Vec<u32> = (0..analysis.reader.log.partitions())
        .skip(first)
        .step_by(readers)
        .collect();
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut idle_rounds = 0;
    while !shutdown.is_triggered() {
        let mut step = Step::Idle;
        let mut failed = false;
        for &partition in &partitions {
            if shutdown.is_triggered() {
                return;
            }
            match analysis.reader.step(partition).await {
                Ok(found) => step = step.max(found),
                Err(StepError::Awaited { experiment }) => {
                    debug!(partition, %experiment, "a batch waits for the fence of an experiment");
                    step = step.max(Step::CaughtUp);
                }
                Err(error) => failed |= report(partition, &error),
            }
        }
        idle_rounds = if step == Step::Idle {
            IDLE_ROUNDS.min(idle_rounds + 1)
        } else {
            0
        };
        let pause = match (failed, step) {
            (true, _) => backoff.next_delay(),
            (false, Step::Busy) => Duration::ZERO,
            (false, Step::CaughtUp) => poll,
            (false, Step::Idle) => poll * idle_rounds,
        };
        if !failed {
            backoff.reset();
        }
        if !pause.is_zero() {
            shutdown.or_done(tokio::time::sleep(pause)).await;
        }
    }
}

/// Logs a step that was not made. Returns whether something is away: to lose against another reader of the partition is no failure.
fn report(partition: u32, error: &StepError) -> bool {
    if let StepError::Store(Error::Stale { .. }) = error {
        debug!(partition, "another reader has committed this partition meanwhile");
        return false;
    }
    warn!(partition, error = %assay_platform::error::chain(error), "a batch was not counted; it is read again");
    true
}

/// Trims the log every `interval`.
pub(crate) async fn trim(analysis: Arc<Analysis>, interval: Duration, shutdown: Shutdown) {
    while shutdown.or_done(tokio::time::sleep(interval)).await.is_some() {
        if let Err(error) = analysis.reader.trim().await {
            warn!(error = %assay_platform::error::chain(&error), "the log was not trimmed; it is tried again");
        }
    }
}
