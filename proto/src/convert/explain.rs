use assay_core::assign::{Asked, Explained, Gate, GateKind, HeldOut, Input, Standing, Verdict};

use super::{assignment, tested_condition, unit, value_to};
use crate::assignment::v1 as pb;

/// The answer to a question for `asked`, the key of a flag or of an experiment, with its reasons.
pub fn explained(asked: &str, explained: &Explained<'_>) -> pb::ExplainResponse {
    pb::ExplainResponse {
        assignment: Some(assignment(asked, &explained.answer)),
        gates: explained.gates.iter().map(gate).collect(),
        rejected: Vec::new(),
    }
}

fn gate(gate: &Gate) -> pb::Gate {
    let told = pb::Gate {
        kind: pb::GateKind::from(gate.kind).into(),
        verdict: pb::GateVerdict::from(gate.verdict).into(),
        depth: gate.depth,
        ..pb::Gate::default()
    };
    let Some(input) = &gate.input else { return told };
    let told = pb::Gate {
        detail: input.to_string(),
        bucket: input.bucket(),
        ranges: input.ranges().iter().map(Into::into).collect(),
        ..told
    };
    with_input(told, input)
}

fn with_input(told: pb::Gate, input: &Input) -> pb::Gate {
    match input {
        Input::Flag {
            asked,
            flag,
            experiment,
        } => pb::Gate {
            key: asked.clone(),
            flag_key: key(flag.as_ref()),
            experiment_key: key(experiment.as_ref()),
            ..told
        },
        Input::QaOverride { unit: of, variant } => pb::Gate {
            unit: of.as_ref().map(unit),
            variant_key: key(variant.as_ref()),
            ..told
        },
        Input::UnitOverride { unit: of, value } => pb::Gate {
            unit: of.as_ref().map(unit),
            value: value.as_ref().map(value_to),
            ..told
        },
        Input::SegmentOverride { segment, value } => pb::Gate {
            value: Some(value_to(value)),
            ..with_segment(told, segment)
        },
        Input::HeldDefault { holdout, value } => pb::Gate {
            value: Some(value_to(value)),
            ..with_holdout(told, holdout)
        },
        Input::Unit { unit: of, needed } => pb::Gate {
            unit: of.as_ref().map(unit),
            unit_kind: needed.to_string(),
            ..told
        },
        Input::Holdout(holdout) => with_holdout(told, holdout),
        Input::State(Standing::Default(reason)) => pb::Gate {
            reason: pb::Reason::from(*reason).into(),
            ..told
        },
        Input::State(Standing::Winner(variant)) => pb::Gate {
            variant_key: variant.to_string(),
            ..told
        },
        Input::State(Standing::Split) | Input::Segment(None) => told,
        Input::Enrollment { .. } | Input::Coverage { .. } => told,
        Input::Layer { layer, .. } => pb::Gate {
            key: layer.to_string(),
            ..told
        },
        Input::Prerequisite {
            flag,
            wanted,
            served,
            reason,
        } => pb::Gate {
            key: flag.to_string(),
            value: Some(value_to(wanted)),
            served: served.as_ref().map(value_to),
            reason: reason.map(pb::Reason::from).unwrap_or_default().into(),
            ..told
        },
        Input::Segment(Some(segment)) => with_segment(told, segment),
        Input::Remembered { is_known, first } => pb::Gate {
            known: *is_known,
            variant_key: key(first.as_ref().map(|first| &first.variant)),
            cohort: first.as_ref().map_or(0, |first| first.cohort),
            ..told
        },
        Input::Split { cohort, variant, .. } => pb::Gate {
            variant_key: variant.to_string(),
            cohort: *cohort,
            ..told
        },
    }
}

fn with_segment(told: pb::Gate, segment: &Asked) -> pb::Gate {
    pb::Gate {
        key: segment.key.to_string(),
        segment_version: segment.version,
        conditions: segment.explanation.steps.iter().map(tested_condition).collect(),
        ..told
    }
}

fn with_holdout(told: pb::Gate, holdout: &HeldOut) -> pb::Gate {
    pb::Gate {
        key: holdout.key.to_string(),
        ..told
    }
}

fn key(key: Option<&impl ToString>) -> String {
    key.map(ToString::to_string).unwrap_or_default()
}

impl From<GateKind> for pb::GateKind {
    fn from(kind: GateKind) -> Self {
        match kind {
            GateKind::Flag => Self::Flag,
            GateKind::QaOverride => Self::QaOverride,
            GateKind::UnitOverride => Self::UnitOverride,
            GateKind::SegmentOverride => Self::SegmentOverride,
            GateKind::HeldDefault => Self::HeldDefault,
            GateKind::Unit => Self::Unit,
            GateKind::Holdout => Self::Holdout,
            GateKind::State => Self::State,
            GateKind::Layer => Self::Layer,
            GateKind::Prerequisite => Self::Prerequisite,
            GateKind::Segment => Self::Segment,
            GateKind::Remembered => Self::Remembered,
            GateKind::Enrollment => Self::Enrollment,
            GateKind::Coverage => Self::Coverage,
            GateKind::Split => Self::Split,
        }
    }
}

impl From<Verdict> for pb::GateVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Decided => Self::Decided,
            Verdict::Absent => Self::Absent,
            Verdict::NotReached => Self::NotReached,
        }
    }
}
