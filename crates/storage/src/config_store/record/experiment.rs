//! The stored form of an experiment.

mod hashing;
mod parts;
mod schedule;
mod traffic;

use assay_core::{
    experiment::{Cohort, Experiment, ExperimentMetric, Pause, QaOverride, Variant},
    key::{ExperimentKey, FlagKey, SegmentKey, UnitKind},
    schedule::Schedule,
    time::Timestamp,
    undo::Undo,
    weights::Coverage,
};
use serde::{Deserialize, Serialize};

use super::{Broken, Identity};
use parts::{
    CohortRecord, ExposureRecord, MetricRoleRecord, PauseRecord, QaOverrideRecord, SourceRecord, StateRecord,
    VariantRecord,
};

use schedule::{EndActionRecord, UndoRecord};
use traffic::TrafficRecord;

pub(super) use parts::state_name;

/// Times are microseconds since 1970, shares are ten-thousandths.
#[derive(Serialize, Deserialize)]
pub(super) struct ExperimentRecord {
    name: String,
    description: String,
    hypothesis: String,
    owner: String,
    tags: Vec<String>,
    flag: String,
    state: StateRecord,
    source: SourceRecord,
    unit_kind: String,
    variants: Vec<VariantRecord>,
    cohorts: Vec<CohortRecord>,
    coverage: u32,
    salt: String,
    segment: Option<String>,
    segment_version: Option<u64>,
    metrics: Vec<MetricRoleRecord>,
    exposure: ExposureRecord,
    confidence: f64,
    qa_overrides: Vec<QaOverrideRecord>,
    start_us: Option<i64>,
    end_us: Option<i64>,
    completed_us: Option<i64>,
    pauses: Vec<PauseRecord>,
    reason: String,
    #[serde(default)]
    end_action: EndActionRecord,
    #[serde(default)]
    end_reached_us: Option<i64>,
    #[serde(default)]
    schedule_error: String,
    #[serde(default)]
    undo: Option<UndoRecord>,
    #[serde(default)]
    traffic: TrafficRecord,
}

impl From<&Experiment> for ExperimentRecord {
    fn from(experiment: &Experiment) -> Self {
        Self {
            name: experiment.name.clone(),
            description: experiment.description.clone(),
            hypothesis: experiment.hypothesis.clone(),
            owner: experiment.owner.clone(),
            tags: experiment.tags.clone(),
            flag: experiment.flag.to_string(),
            state: (&experiment.state).into(),
            source: experiment.source.into(),
            unit_kind: experiment.unit_kind.to_string(),
            variants: experiment.variants.iter().map(VariantRecord::from).collect(),
            cohorts: experiment.cohorts.iter().map(CohortRecord::from).collect(),
            coverage: experiment.coverage.share(),
            salt: experiment.salt.clone(),
            segment: experiment.segment.as_ref().map(SegmentKey::to_string),
            segment_version: experiment.segment_version,
            metrics: experiment.metrics.iter().map(MetricRoleRecord::from).collect(),
            exposure: experiment.exposure.into(),
            confidence: experiment.confidence,
            qa_overrides: experiment
                .qa_overrides
                .iter()
                .map(QaOverrideRecord::from)
                .collect(),
            start_us: experiment.start_time.map(Timestamp::micros),
            end_us: experiment.end_time.map(Timestamp::micros),
            completed_us: experiment.completed_at.map(Timestamp::micros),
            pauses: experiment.pauses.iter().map(PauseRecord::from).collect(),
            reason: experiment.reason.clone(),
            end_action: experiment.schedule.end_action.into(),
            end_reached_us: experiment.schedule.end_reached_at.map(Timestamp::micros),
            schedule_error: experiment.schedule.error.clone(),
            undo: experiment.undo.as_ref().map(UndoRecord::from),
            traffic: (&experiment.traffic).into(),
        }
    }
}

impl ExperimentRecord {
    pub(super) fn experiment(self, identity: Identity) -> Result<Experiment, Broken> {
        Ok(Experiment {
            namespace: identity.namespace,
            key: ExperimentKey::new(identity.key)?,
            name: self.name,
            description: self.description,
            hypothesis: self.hypothesis,
            owner: self.owner,
            tags: self.tags,
            flag: FlagKey::new(self.flag)?,
            state: self.state.try_into()?,
            source: self.source.into(),
            unit_kind: UnitKind::new(self.unit_kind)?,
            variants: self
                .variants
                .into_iter()
                .map(Variant::try_from)
                .collect::<Result<_, _>>()?,
            cohorts: self
                .cohorts
                .into_iter()
                .map(Cohort::try_from)
                .collect::<Result<_, _>>()?,
            coverage: Coverage::new(self.coverage)?,
            salt: self.salt,
            segment: self.segment.map(SegmentKey::new).transpose()?,
            segment_version: self.segment_version,
            metrics: self
                .metrics
                .into_iter()
                .map(ExperimentMetric::try_from)
                .collect::<Result<_, _>>()?,
            exposure: self.exposure.into(),
            confidence: self.confidence,
            qa_overrides: self
                .qa_overrides
                .into_iter()
                .map(QaOverride::try_from)
                .collect::<Result<_, _>>()?,
            start_time: self.start_us.map(Timestamp::from_micros),
            end_time: self.end_us.map(Timestamp::from_micros),
            completed_at: self.completed_us.map(Timestamp::from_micros),
            pauses: self.pauses.into_iter().map(Pause::from).collect(),
            reason: self.reason,
            schedule: Schedule {
                end_action: self.end_action.into(),
                end_reached_at: self.end_reached_us.map(Timestamp::from_micros),
                error: self.schedule_error,
            },
            undo: self.undo.map(Undo::try_from).transpose()?,
            traffic: self.traffic.try_into()?,
            meta: identity.meta,
        })
    }
}
