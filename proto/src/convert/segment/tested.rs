use assay_core::segment::{Outcome, Step, Subject};

use crate::{config::v1 as pb, convert::attributes::attribute_to};

/// The message of a condition that was looked at.
pub fn tested_condition(step: &Step) -> pb::TestedCondition {
    let said = pb::TestedCondition {
        path: step.path.clone(),
        outcome: pb::ConditionOutcome::from(step.outcome).into(),
        matches: step.is_true,
        ..pb::TestedCondition::default()
    };
    let of_kind = |kind: pb::ConditionKind| pb::TestedCondition {
        kind: kind.into(),
        ..said.clone()
    };
    match &step.subject {
        Subject::AnyOf => of_kind(pb::ConditionKind::AnyOf),
        Subject::AllOf => of_kind(pb::ConditionKind::AllOf),
        Subject::Not => of_kind(pb::ConditionKind::Not),
        Subject::Segment { key, version } => pb::TestedCondition {
            segment: Some(pb::SegmentReference {
                key: key.to_string(),
                version: 0,
                resolved_version: *version,
            }),
            ..of_kind(pb::ConditionKind::Segment)
        },
        Subject::Rule { rule, seen } => pb::TestedCondition {
            attribute: rule.attribute.clone(),
            operator: pb::Operator::from(rule.operator).into(),
            operands: rule.operands.iter().map(attribute_to).collect(),
            value: seen.as_ref().map(attribute_to),
            ..of_kind(pb::ConditionKind::Comparison)
        },
    }
}

impl From<Outcome> for pb::ConditionOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Matched => Self::Matched,
            Outcome::NotMatched => Self::NotMatched,
            Outcome::Missing => Self::Missing,
            Outcome::WrongType => Self::WrongType,
        }
    }
}
