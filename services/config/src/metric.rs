//! What metrics must keep besides their own rules: what an experiment measures does not change beneath it.
//!
//! Results are read from the sums that a definition made, so the definition (kind, direction, cap) is locked from Start on, for ended and
//! archived experiments too: all versions that a result may name measure the same. Texts and the unit of display may change.

use assay_core::{
    experiment::Experiment,
    lifecycle::State,
    metric::Metric,
    validate::{self, Findings},
};

use crate::{
    error::Error,
    simple::{Changed, Simple, experiments, names},
    truth::{Call, Stored, Truth, Writes, name},
};

#[tonic::async_trait]
impl Simple for Metric {
    fn check(&self) -> Findings {
        validate::metric(self)
    }

    async fn check_references(&self, _: &Truth, _: &Call, writes: Writes) -> Result<Writes, Error> {
        Ok(writes)
    }

    async fn check_change(
        truth: &Truth,
        call: &Call,
        current: &Self,
        updated: &Self,
        _: u64,
        writes: Writes,
    ) -> Result<Changed, Error> {
        if updated.measures_as(current) {
            return Ok(writes.into());
        }
        let users = measuring(current, truth, call).await?;
        let (drafts, started): (Vec<_>, Vec<_>) = users.into_iter().partition(|e| e.state == State::Draft);
        if started.is_empty() {
            // One of them may be started meanwhile.
            return Ok(writes.check(&drafts).into());
        }
        let remedy = "what it measures is fixed for their results; create another metric";
        Err(Error::InUse {
            what: name::<Self>(current.key()),
            by: names(&started),
            remedy,
        })
    }

    async fn users(&self, truth: &Truth, call: &Call) -> Result<Vec<String>, Error> {
        Ok(names(&measuring(self, truth, call).await?))
    }
}

/// The experiments that measure `metric`.
async fn measuring(metric: &Metric, truth: &Truth, call: &Call) -> Result<Vec<Experiment>, Error> {
    let measures = |e: &Experiment| e.metrics.iter().any(|measured| measured.metric == metric.key);
    experiments(truth, call, measures).await
}
