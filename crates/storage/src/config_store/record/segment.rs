//! The stored form of a segment.

use assay_core::{
    key::SegmentKey,
    segment::{Operator, Rule, Segment},
    value::Attribute,
};
use serde::{Deserialize, Serialize};

use super::{
    Broken, Identity,
    value::{AttributeRecord, names},
};

names!(OperatorRecord is Operator { Eq, Neq, In, Nin, Gt, Gte, Lt, Lte, Between });

#[derive(Serialize, Deserialize)]
pub(super) struct SegmentRecord {
    name: String,
    description: String,
    rules: Vec<RuleRecord>,
}

#[derive(Serialize, Deserialize)]
struct RuleRecord {
    attribute: String,
    operator: OperatorRecord,
    operands: Vec<AttributeRecord>,
}

impl From<&Segment> for SegmentRecord {
    fn from(segment: &Segment) -> Self {
        Self {
            name: segment.name.clone(),
            description: segment.description.clone(),
            rules: segment.rules.iter().map(RuleRecord::from).collect(),
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
            rules: self.rules.into_iter().map(Rule::from).collect(),
            meta: identity.meta,
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
