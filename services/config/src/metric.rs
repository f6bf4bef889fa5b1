//! What metrics must keep besides their own rules: what an experiment measures does not change beneath it.

use assay_core::{
    experiment::Experiment,
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
        if updated.kind == current.kind {
            return Ok(writes.into());
        }
        let by = current.users(truth, call).await?;
        if by.is_empty() {
            return Ok(writes.into());
        }
        let remedy = "what it measures is fixed while they refer to it; create another metric";
        Err(Error::InUse {
            what: name::<Self>(current.key()),
            by,
            remedy,
        })
    }

    async fn users(&self, truth: &Truth, call: &Call) -> Result<Vec<String>, Error> {
        let measures = |e: &Experiment| e.metrics.iter().any(|measured| measured.metric == self.key);
        Ok(names(&experiments(truth, call, measures).await?))
    }
}
