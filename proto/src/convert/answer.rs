use assay_core::{
    assign::{Assignment, Reason},
    validate::{Step, Violation},
};

use super::value_to;
use crate::{assignment::v1 as pb, config::v1 as config, field::FieldError};

/// The answer to a question for `asked`, the key of a flag or of an experiment.
pub fn assignment(asked: &str, answer: &Assignment<'_>) -> pb::Assignment {
    pb::Assignment {
        flag_key: asked.to_owned(),
        experiment_key: answer.experiment.map(ToString::to_string).unwrap_or_default(),
        variant_key: answer.variant.map(ToString::to_string).unwrap_or_default(),
        is_control: answer.is_control,
        value: answer.value.map(value_to),
        reason: pb::Reason::from(answer.reason).into(),
        cohort: answer.cohort,
        generation: answer.generation,
        remembered: answer.is_remembered,
    }
}

impl From<Reason> for pb::Reason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NoExperiment => Self::NoExperiment,
            Reason::Scheduled => Self::Scheduled,
            Reason::Split => Self::Split,
            Reason::NotInSegment => Self::NotInSegment,
            Reason::NotInCoverage => Self::NotInCoverage,
            Reason::Holdout => Self::Holdout,
            Reason::LayerExcluded => Self::LayerExcluded,
            Reason::PrerequisiteFailed => Self::PrerequisiteFailed,
            Reason::Override => Self::Override,
            Reason::Paused => Self::Paused,
            Reason::EnrollmentHeld => Self::EnrollmentHeld,
            Reason::Winner => Self::Winner,
            Reason::Completed => Self::Completed,
            Reason::Ended => Self::Ended,
            Reason::Archived => Self::Archived,
            Reason::Degraded => Self::Degraded,
            Reason::UnknownFlag => Self::UnknownFlag,
            Reason::NoUnit => Self::NoUnit,
        }
    }
}

/// The message of a broken rule.
pub fn finding(violation: &Violation) -> config::Finding {
    config::Finding {
        step: config::ExperimentStep::from(violation.step).into(),
        field: violation.field.clone(),
        rule: violation.rule.to_owned(),
        message: violation.message.clone(),
    }
}

impl From<Step> for config::ExperimentStep {
    fn from(step: Step) -> Self {
        match step {
            Step::Details => Self::Details,
            Step::FlagAndVariants => Self::FlagAndVariants,
            Step::Metrics => Self::Metrics,
            Step::SegmentAndTraffic => Self::SegmentAndTraffic,
            Step::Review => Self::Review,
        }
    }
}

impl From<Violation> for FieldError {
    fn from(violation: Violation) -> Self {
        Self {
            field: violation.field,
            rule: violation.rule,
            message: violation.message,
        }
    }
}
