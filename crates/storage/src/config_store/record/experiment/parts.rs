//! The stored forms of what an experiment consists of.

use assay_core::{
    experiment::{
        AssignmentSource, Cohort, ExperimentMetric, ExposureMode, Pause, QaOverride, Role, Variant,
    },
    key::{MetricKey, VariantKey},
    lifecycle::{Outcome, PauseMode, State},
    time::Timestamp,
    weights::Weights,
};
use serde::{Deserialize, Serialize};

use super::super::{
    Broken,
    value::{UnitRecord, ValueRecord, names},
};

names!(SourceRecord is AssignmentSource { Assay, Imported });
names!(RoleRecord is Role { Primary, Secondary, Guardrail });
names!(ExposureRecord is ExposureMode { OnAssign, None });
names!(PauseModeRecord is PauseMode { ServeDefault, HoldEnrollment });

/// The name of `state`, as [`StateRecord`] has it.
pub(in super::super) fn state_name(state: &State) -> &'static str {
    match state {
        State::Draft => "DRAFT",
        State::Scheduled => "SCHEDULED",
        State::Running => "RUNNING",
        State::Paused(_) => "PAUSED",
        State::Completed(_) => "COMPLETED",
        State::Ended(_) => "ENDED",
        State::Archived { .. } => "ARCHIVED",
    }
}

/// `{"name":"PAUSED","mode":"SERVE_DEFAULT"}`
#[derive(Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum StateRecord {
    Draft,
    Scheduled,
    Running,
    Paused { mode: PauseModeRecord },
    Completed { outcome: OutcomeRecord },
    Ended { outcome: OutcomeRecord },
    Archived { outcome: OutcomeRecord, ended: bool },
}

impl From<&State> for StateRecord {
    fn from(state: &State) -> Self {
        match state {
            State::Draft => Self::Draft,
            State::Scheduled => Self::Scheduled,
            State::Running => Self::Running,
            State::Paused(mode) => Self::Paused { mode: (*mode).into() },
            State::Completed(outcome) => Self::Completed {
                outcome: outcome.into(),
            },
            State::Ended(outcome) => Self::Ended {
                outcome: outcome.into(),
            },
            State::Archived { outcome, ended } => Self::Archived {
                outcome: outcome.into(),
                ended: *ended,
            },
        }
    }
}

impl TryFrom<StateRecord> for State {
    type Error = Broken;

    fn try_from(record: StateRecord) -> Result<Self, Broken> {
        Ok(match record {
            StateRecord::Draft => Self::Draft,
            StateRecord::Scheduled => Self::Scheduled,
            StateRecord::Running => Self::Running,
            StateRecord::Paused { mode } => Self::Paused(mode.into()),
            StateRecord::Completed { outcome } => Self::Completed(outcome.try_into()?),
            StateRecord::Ended { outcome } => Self::Ended(outcome.try_into()?),
            StateRecord::Archived { outcome, ended } => Self::Archived {
                outcome: outcome.try_into()?,
                ended,
            },
        })
    }
}

/// `{"name":"WINNER","variant":"treatment"}`
#[derive(Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum OutcomeRecord {
    Pending,
    NoWinner,
    Winner { variant: String },
}

impl From<&Outcome> for OutcomeRecord {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Pending => Self::Pending,
            Outcome::NoWinner => Self::NoWinner,
            Outcome::Winner(variant) => Self::Winner {
                variant: variant.to_string(),
            },
        }
    }
}

impl TryFrom<OutcomeRecord> for Outcome {
    type Error = Broken;

    fn try_from(record: OutcomeRecord) -> Result<Self, Broken> {
        Ok(match record {
            OutcomeRecord::Pending => Self::Pending,
            OutcomeRecord::NoWinner => Self::NoWinner,
            OutcomeRecord::Winner { variant } => Self::Winner(VariantKey::new(variant)?),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct VariantRecord {
    key: String,
    name: String,
    value: ValueRecord,
}

impl From<&Variant> for VariantRecord {
    fn from(variant: &Variant) -> Self {
        Self {
            key: variant.key.to_string(),
            name: variant.name.clone(),
            value: (&variant.value).into(),
        }
    }
}

impl TryFrom<VariantRecord> for Variant {
    type Error = Broken;

    fn try_from(record: VariantRecord) -> Result<Self, Broken> {
        Ok(Self {
            key: VariantKey::new(record.key)?,
            name: record.name,
            value: record.value.into(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct CohortRecord {
    number: u32,
    weights: Vec<u32>,
    generation: u64,
}

impl From<&Cohort> for CohortRecord {
    fn from(cohort: &Cohort) -> Self {
        Self {
            number: cohort.number,
            weights: cohort.weights.shares().to_vec(),
            generation: cohort.generation,
        }
    }
}

impl TryFrom<CohortRecord> for Cohort {
    type Error = Broken;

    fn try_from(record: CohortRecord) -> Result<Self, Broken> {
        Ok(Self {
            number: record.number,
            weights: Weights::new(record.weights)?,
            generation: record.generation,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct MetricRoleRecord {
    metric: String,
    role: RoleRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    margin: Option<f64>,
}

impl From<&ExperimentMetric> for MetricRoleRecord {
    fn from(metric: &ExperimentMetric) -> Self {
        Self {
            metric: metric.metric.to_string(),
            role: metric.role.into(),
            margin: metric.margin,
        }
    }
}

impl TryFrom<MetricRoleRecord> for ExperimentMetric {
    type Error = Broken;

    fn try_from(record: MetricRoleRecord) -> Result<Self, Broken> {
        Ok(Self {
            metric: MetricKey::new(record.metric)?,
            role: record.role.into(),
            margin: record.margin,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct QaOverrideRecord {
    unit: UnitRecord,
    variant: String,
}

impl From<&QaOverride> for QaOverrideRecord {
    fn from(over: &QaOverride) -> Self {
        Self {
            unit: (&over.unit).into(),
            variant: over.variant.to_string(),
        }
    }
}

impl TryFrom<QaOverrideRecord> for QaOverride {
    type Error = Broken;

    fn try_from(record: QaOverrideRecord) -> Result<Self, Broken> {
        Ok(Self {
            unit: record.unit.try_into()?,
            variant: VariantKey::new(record.variant)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct PauseRecord {
    from_us: i64,
    to_us: Option<i64>,
    mode: PauseModeRecord,
}

impl From<&Pause> for PauseRecord {
    fn from(pause: &Pause) -> Self {
        Self {
            from_us: pause.from.micros(),
            to_us: pause.to.map(Timestamp::micros),
            mode: pause.mode.into(),
        }
    }
}

impl From<PauseRecord> for Pause {
    fn from(record: PauseRecord) -> Self {
        Self {
            from: Timestamp::from_micros(record.from_us),
            to: record.to_us.map(Timestamp::from_micros),
            mode: record.mode.into(),
        }
    }
}
