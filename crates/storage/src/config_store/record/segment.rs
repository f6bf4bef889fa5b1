//! The stored form of a segment.

use assay_core::{
    key::SegmentKey,
    segment::{Condition, Operator, Rule, Segment, SegmentReference},
    value::Attribute,
};
use serde::{Deserialize, Serialize};

use super::{
    Broken, Identity,
    value::{AttributeRecord, names},
};

names!(OperatorRecord is Operator {
    Eq, Neq, In, Nin, Gt, Gte, Lt, Lte, Between, Exists, Contains, StartsWith, EndsWith, Matches, SemverEq, SemverGt, SemverGte, SemverLt,
    SemverLte, SemverBetween, Before, After, DateBetween
});

#[derive(Serialize, Deserialize)]
pub(super) struct SegmentRecord {
    name: String,
    description: String,
    rules: Vec<ConditionRecord>,
}

/// `{"attribute":…,"operator":…,"operands":…}`, `{"any_of":[…]}`, `{"all_of":[…]}`, `{"not":…}` or `{"segment":…}`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ConditionRecord {
    Rule(RuleRecord),
    AnyOf { any_of: Vec<ConditionRecord> },
    AllOf { all_of: Vec<ConditionRecord> },
    Not { not: Box<ConditionRecord> },
    Segment { segment: ReferenceRecord },
}

#[derive(Serialize, Deserialize)]
struct ReferenceRecord {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinned: Option<u64>,
    resolved: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RuleRecord {
    attribute: String,
    operator: OperatorRecord,
    operands: Vec<AttributeRecord>,
}

impl From<&Segment> for SegmentRecord {
    fn from(segment: &Segment) -> Self {
        Self {
            name: segment.name.clone(),
            description: segment.description.clone(),
            rules: segment.rules.iter().map(ConditionRecord::from).collect(),
        }
    }
}

impl SegmentRecord {
    pub(super) fn segment(self, identity: Identity) -> Result<Segment, Broken> {
        Ok(Segment {
            namespace: identity.namespace,
            key: SegmentKey::new(identity.key)?,
            name: self.name,
            description: self.description,
            rules: self
                .rules
                .into_iter()
                .map(Condition::try_from)
                .collect::<Result<_, _>>()?,
            meta: identity.meta,
        })
    }
}

impl From<&Condition> for ConditionRecord {
    fn from(condition: &Condition) -> Self {
        let all = |parts: &[Condition]| parts.iter().map(Self::from).collect();
        match condition {
            Condition::Rule(rule) => Self::Rule(rule.into()),
            Condition::AnyOf(parts) => Self::AnyOf { any_of: all(parts) },
            Condition::AllOf(parts) => Self::AllOf { all_of: all(parts) },
            Condition::Not(part) => Self::Not {
                not: Box::new(part.as_ref().into()),
            },
            Condition::Segment(reference) => Self::Segment {
                segment: ReferenceRecord {
                    key: reference.key.to_string(),
                    pinned: reference.pinned,
                    resolved: reference.resolved,
                },
            },
        }
    }
}

impl TryFrom<ConditionRecord> for Condition {
    type Error = Broken;

    fn try_from(record: ConditionRecord) -> Result<Self, Broken> {
        let all =
            |parts: Vec<ConditionRecord>| parts.into_iter().map(Self::try_from).collect::<Result<_, _>>();
        Ok(match record {
            ConditionRecord::Rule(rule) => Self::Rule(rule.into()),
            ConditionRecord::AnyOf { any_of } => Self::AnyOf(all(any_of)?),
            ConditionRecord::AllOf { all_of } => Self::AllOf(all(all_of)?),
            ConditionRecord::Not { not } => Self::Not(Box::new(Self::try_from(*not)?)),
            ConditionRecord::Segment { segment } => Self::Segment(SegmentReference {
                key: SegmentKey::new(segment.key)?,
                pinned: segment.pinned,
                resolved: segment.resolved,
            }),
        })
    }
}

impl From<&Rule> for RuleRecord {
    fn from(rule: &Rule) -> Self {
        Self {
            attribute: rule.attribute.clone(),
            operator: rule.operator.into(),
            operands: rule.operands.iter().map(AttributeRecord::from).collect(),
        }
    }
}

impl From<RuleRecord> for Rule {
    fn from(record: RuleRecord) -> Self {
        Self {
            attribute: record.attribute,
            operator: record.operator.into(),
            operands: record.operands.into_iter().map(Attribute::from).collect(),
        }
    }
}
