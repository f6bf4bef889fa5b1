use assay_core::{
    key::SegmentKey,
    segment::{Operator, Rule, Segment},
};

use super::{
    attributes::{attribute_from, attribute_to},
    each, enum_from, key_from, meta_from, meta_time, namespace_from,
};
use crate::{config::v1 as pb, field::FieldErrors};

impl TryFrom<pb::Segment> for Segment {
    type Error = FieldErrors;

    fn try_from(segment: pb::Segment) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(segment.namespace, "namespace"));
        let key = errors.keep(key_from(segment.key, "key", SegmentKey::new));
        let rules = errors.keep(each(segment.rules, "rules", Rule::try_from));
        let meta = meta_from(
            segment.version,
            segment.generation,
            segment.created_at,
            segment.updated_at,
        );
        let meta = errors.keep(meta);
        let made = || {
            Some(Self {
                namespace: namespace?,
                key: key?,
                name: segment.name,
                description: segment.description,
                rules: rules?,
                meta: meta?,
            })
        };
        let made = made();
        errors.finish(made)
    }
}

impl From<&Segment> for pb::Segment {
    fn from(segment: &Segment) -> Self {
        Self {
            namespace: segment.namespace.to_string(),
            key: segment.key.to_string(),
            name: segment.name.clone(),
            description: segment.description.clone(),
            rules: segment.rules.iter().map(pb::Rule::from).collect(),
            version: segment.meta.version,
            generation: segment.meta.generation,
            created_at: meta_time(segment.meta.created_at),
            updated_at: meta_time(segment.meta.updated_at),
        }
    }
}

impl TryFrom<pb::Rule> for Rule {
    type Error = FieldErrors;

    fn try_from(rule: pb::Rule) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        if rule.attribute.is_empty() {
            errors.push("attribute", "REQUIRED", "is empty; name an attribute");
        }
        let operator = errors.keep(operator_from(rule.operator));
        let operands = errors.keep(each(rule.operands, "operands", |operand| {
            attribute_from(operand, "")
        }));
        let made = operator.zip(operands);
        let made = made.map(|(operator, operands)| Self {
            attribute: rule.attribute,
            operator,
            operands,
        });
        errors.finish(made)
    }
}

impl From<&Rule> for pb::Rule {
    fn from(rule: &Rule) -> Self {
        Self {
            attribute: rule.attribute.clone(),
            operator: pb::Operator::from(rule.operator).into(),
            operands: rule.operands.iter().map(attribute_to).collect(),
        }
    }
}

fn operator_from(number: i32) -> Result<Operator, FieldErrors> {
    Ok(match enum_from(number, "operator")? {
        pb::Operator::Unspecified => {
            return Err(FieldErrors::one(
                "operator",
                "REQUIRED",
                "is missing; give one such as EQ or IN",
            ));
        }
        pb::Operator::Eq => Operator::Eq,
        pb::Operator::Neq => Operator::Neq,
        pb::Operator::In => Operator::In,
        pb::Operator::Nin => Operator::Nin,
        pb::Operator::Gt => Operator::Gt,
        pb::Operator::Gte => Operator::Gte,
        pb::Operator::Lt => Operator::Lt,
        pb::Operator::Lte => Operator::Lte,
        pb::Operator::Between => Operator::Between,
    })
}

impl From<Operator> for pb::Operator {
    fn from(operator: Operator) -> Self {
        match operator {
            Operator::Eq => Self::Eq,
            Operator::Neq => Self::Neq,
            Operator::In => Self::In,
            Operator::Nin => Self::Nin,
            Operator::Gt => Self::Gt,
            Operator::Gte => Self::Gte,
            Operator::Lt => Self::Lt,
            Operator::Lte => Self::Lte,
            Operator::Between => Self::Between,
        }
    }
}
