//! What an experiment refers to, as it is stored.

use assay_core::{
    experiment::{AssignmentSource, Experiment},
    flag::Flag,
    key::ExperimentKey,
    metric::Metric,
    segment::Segment,
    time::Timestamp,
    validate::References,
};
use assay_proto::field::FieldErrors;
use assay_storage::config_store::Filter;

use super::traffic::SharedWith;
use crate::{
    error::Error,
    truth::{Call, Truth, Writes},
};

/// What exists of what an experiment refers to.
pub(super) struct Found {
    pub(super) flag: Option<Flag>,
    pub(super) segment: Option<Segment>,
    metrics: Vec<Metric>,
    bound_by: Option<ExperimentKey>,
    traffic: SharedWith,
}

impl Found {
    /// Reads all that `experiment` refers to but its flag, which the caller has decided on.
    pub(super) async fn read(
        truth: &Truth,
        call: &Call,
        experiment: &Experiment,
        flag: Option<Flag>,
    ) -> Result<Self, Error> {
        let segment = match &experiment.segment {
            Some(key) => truth.find(&call.namespace, key.as_str()).await?,
            None => None,
        };
        let mut metrics = Vec::new();
        for listed in &experiment.metrics {
            metrics.extend(
                truth
                    .find::<Metric>(&call.namespace, listed.metric.as_str())
                    .await?,
            );
        }
        let bound_by = bound_by(truth, call, experiment).await?;
        let traffic = SharedWith::read(truth, call, experiment).await?;
        Ok(Self {
            flag,
            segment,
            metrics,
            bound_by,
            traffic,
        })
    }

    /// A way through prerequisites that is too long is not this change's, which leaves them as they are.
    pub(super) fn accept_path(&mut self) {
        self.traffic.accept_path();
    }

    /// The same as core takes it.
    pub(super) fn as_core(&self) -> References<'_> {
        References {
            flag: self.flag.as_ref(),
            segment: self.segment.as_ref(),
            metrics: self.metrics.iter().collect(),
            flag_bound_by: self.bound_by.as_ref(),
            layer: self.traffic.layer.as_ref(),
            prerequisite_flags: self.traffic.flags.iter().collect(),
            prerequisite_path: self.traffic.path.clone(),
        }
    }

    /// Refuses references of `experiment` to what does not exist, but for those that `current` had already.
    pub(super) fn refuse_missing(
        &self,
        experiment: &Experiment,
        current: Option<&Experiment>,
    ) -> Result<(), Error> {
        let mut errors = FieldErrors::default();
        if let (Some(key), None) = (&experiment.segment, &self.segment)
            && current.is_none_or(|current| current.segment != experiment.segment)
        {
            let message =
                format!("names segment `{key}`, which does not exist; create it, or choose another");
            errors.push("segment_key", "SEGMENT_NOT_FOUND", message);
        }
        self.traffic.refuse_missing(experiment, current, &mut errors);
        for (i, listed) in experiment.metrics.iter().enumerate() {
            let exists = self.metrics.iter().any(|metric| metric.key == listed.metric);
            let is_old = current.is_some_and(|c| c.metrics.iter().any(|old| old.metric == listed.metric));
            if !exists && !is_old {
                let message = format!(
                    "names metric `{}`, which does not exist; create it first",
                    listed.metric
                );
                errors.push(format!("metrics[{i}].metric_key"), "METRIC_NOT_FOUND", message);
            }
        }
        if errors.0.is_empty() {
            Ok(())
        } else {
            Err(errors.into())
        }
    }

    /// Gives `experiment`, which was `before`, what its state asks of its layer, and the holdouts that cover it when it starts.
    pub(super) fn settle(
        &mut self,
        before: &Experiment,
        experiment: &mut Experiment,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.traffic.settle(before, experiment, now)
    }

    /// Adds the writes and checks of all that was read.
    pub(super) fn check(&self, writes: Writes) -> Writes {
        let writes = writes.check(&self.flag).check(&self.segment).check(&self.metrics);
        self.traffic.check(writes)
    }
}

/// The other experiment that has the flag bound, if it would be in the way.
pub(super) async fn bound_by(
    truth: &Truth,
    call: &Call,
    experiment: &Experiment,
) -> Result<Option<ExperimentKey>, Error> {
    if experiment.source == AssignmentSource::Imported {
        return Ok(None);
    }
    let states = ["SCHEDULED", "RUNNING", "PAUSED"].map(str::to_owned).to_vec();
    let filter = Filter {
        states,
        flag: Some(experiment.flag.to_string()),
        ..Filter::default()
    };
    let live: Vec<Experiment> = truth.all(&call.namespace, &filter).await?;
    let mut others = live
        .into_iter()
        .filter(|e| e.source == AssignmentSource::Assay && e.key != experiment.key);
    Ok(others.next().map(|other| other.key))
}
