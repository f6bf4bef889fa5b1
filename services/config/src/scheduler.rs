//! The scheduler: starts and ends experiments when their time has come, and opens their cohorts.
//!
//! Every replica does this, without a leader. What is due is found in an index; each step is guarded by the version that was read, so of
//! several replicas one does it and the others find it done. Nothing is kept here that a restart would lose.

use std::{sync::Arc, time::Duration};

use assay_core::experiment::Experiment;
use assay_failpoint::{Point, reach};
use assay_platform::{Shutdown, error::chain};
use assay_storage::config_store::DueMark;
use tokio::time::{MissedTickBehavior, interval};

use crate::{error::Error, experiment::schedule::act, fence::Fences, truth::Truth};

/// Most experiments that one tick looks at: those that cannot start stay due, and must not hold up the others.
const BATCH: u64 = 100;

/// Acts until told to stop.
pub(crate) struct Scheduler {
    truth: Truth,
    fences: Arc<Fences>,
    interval: Duration,
    /// Where the walk through what is due stands; from the beginning when there is none.
    mark: Option<DueMark>,
    outage: bool,
}

impl Scheduler {
    pub(crate) fn new(truth: Truth, fences: Arc<Fences>, interval: Duration) -> Self {
        Self {
            truth,
            fences,
            interval,
            mark: None,
            outage: false,
        }
    }

    pub(crate) async fn run(mut self, stop: Shutdown) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.or_done(ticks.tick()).await.is_some() {
            match stop.or_done(self.tick()).await {
                None => return,
                Some(Ok(())) => self.outage = false,
                Some(Err(error)) => self.failed(&error),
            }
        }
    }

    /// Looks at the next batch of what is due. One that fails holds up no other.
    async fn tick(&mut self) -> Result<(), Error> {
        let due = self.truth.due(self.mark.as_ref(), BATCH).await?;
        let is_last = (due.len() as u64) < BATCH;
        self.mark = due.last().filter(|_| !is_last).and_then(mark);
        let mut result = Ok(());
        for experiment in &due {
            reach(Point::ConfigBeforeDue);
            match act(&self.truth, &self.fences, experiment).await {
                // Another replica, or a person, was faster.
                Err(Error::VersionMismatch { .. } | Error::NotFound { .. }) => {}
                acted => result = result.and(acted),
            }
            reach(Point::ConfigAfterDue);
        }
        result
    }

    /// Warns once for each outage.
    fn failed(&mut self, error: &Error) {
        let error = chain(error);
        if std::mem::replace(&mut self.outage, true) {
            tracing::debug!(error, "the schedule still waits");
        } else {
            tracing::warn!(error, "the schedule cannot be kept; it is tried again");
        }
    }
}

fn mark(last: &Experiment) -> Option<DueMark> {
    Some(DueMark {
        at: last.due_at()?,
        namespace: last.namespace.clone(),
        key: last.key.to_string(),
    })
}
