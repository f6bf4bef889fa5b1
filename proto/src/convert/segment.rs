mod tested;

use assay_core::{
    key::SegmentKey,
    segment::{Condition, Operator, Rule, Segment, SegmentReference},
};

pub use tested::tested_condition;

use super::{
    attributes::{attribute_from, attribute_to},
    each, enum_from, key_from, meta_from, meta_time, namespace_from, required,
};
use crate::{config::v1 as pb, field::FieldErrors};

impl TryFrom<pb::Segment> for Segment {
    type Error = FieldErrors;

    fn try_from(segment: pb::Segment) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(segment.namespace, "namespace"));
        let key = errors.keep(key_from(segment.key, "key", SegmentKey::new));
        let rules = errors.keep(each(segment.rules, "rules", Condition::try_from));
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

impl TryFrom<pb::Rule> for Condition {
    type Error = FieldErrors;

    fn try_from(rule: pb::Rule) -> Result<Self, FieldErrors> {
        let is_comparison = !rule.attribute.is_empty() || rule.operator != 0 || !rule.operands.is_empty();
        let given = [
            ("attribute", is_comparison),
            ("any_of", !rule.any_of.is_empty()),
            ("all_of", !rule.all_of.is_empty()),
            ("not", rule.not.is_some()),
            ("segment", rule.segment.is_some()),
        ];
        let mut given = given
            .into_iter()
            .filter(|(_, is_given)| *is_given)
            .map(|(field, _)| field);
        match (given.next(), given.next()) {
            (Some(first), Some(second)) => {
                let message = format!("stands beside `{first}`; keep one, or put both into an `all_of`");
                Err(FieldErrors::one(second, "ONE_CONDITION", message))
            }
            (Some("any_of"), _) => each(rule.any_of, "any_of", Self::try_from).map(Self::AnyOf),
            (Some("all_of"), _) => each(rule.all_of, "all_of", Self::try_from).map(Self::AllOf),
            (Some("not"), _) => {
                let part = required(rule.not, "not")?;
                let part = Self::try_from(*part).map_err(|errors| errors.under("not"))?;
                Ok(Self::Not(Box::new(part)))
            }
            (Some("segment"), _) => {
                let reference = required(rule.segment, "segment")?;
                reference_from(reference)
                    .map_err(|errors| errors.under("segment"))
                    .map(Self::Segment)
            }
            _ => comparison_from(rule).map(Self::Rule),
        }
    }
}

fn comparison_from(rule: pb::Rule) -> Result<Rule, FieldErrors> {
    let mut errors = FieldErrors::default();
    if rule.attribute.is_empty() {
        errors.push("attribute", "REQUIRED", "is empty; name an attribute");
    }
    let operator = errors.keep(operator_from(rule.operator));
    let operands = errors.keep(each(rule.operands, "operands", |operand| {
        attribute_from(operand, "")
    }));
    let made = operator.zip(operands);
    let made = made.map(|(operator, operands)| Rule {
        attribute: rule.attribute,
        operator,
        operands,
    });
    errors.finish(made)
}

fn reference_from(reference: pb::SegmentReference) -> Result<SegmentReference, FieldErrors> {
    let pinned = (reference.version != 0).then_some(reference.version);
    Ok(SegmentReference {
        key: key_from(reference.key, "key", SegmentKey::new)?,
        pinned,
        resolved: pinned.unwrap_or(reference.resolved_version),
    })
}

impl From<&Condition> for pb::Rule {
    fn from(condition: &Condition) -> Self {
        match condition {
            Condition::Rule(rule) => rule.into(),
            Condition::AnyOf(parts) => Self {
                any_of: parts.iter().map(Self::from).collect(),
                ..Self::default()
            },
            Condition::AllOf(parts) => Self {
                all_of: parts.iter().map(Self::from).collect(),
                ..Self::default()
            },
            Condition::Not(part) => Self {
                not: Some(Box::new(part.as_ref().into())),
                ..Self::default()
            },
            Condition::Segment(reference) => Self {
                segment: Some(pb::SegmentReference {
                    key: reference.key.to_string(),
                    version: reference.pinned.unwrap_or(0),
                    resolved_version: reference.resolved,
                }),
                ..Self::default()
            },
        }
    }
}

impl From<&Rule> for pb::Rule {
    fn from(rule: &Rule) -> Self {
        Self {
            attribute: rule.attribute.clone(),
            operator: pb::Operator::from(rule.operator).into(),
            operands: rule.operands.iter().map(attribute_to).collect(),
            ..Self::default()
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
        pb::Operator::Exists => Operator::Exists,
        pb::Operator::Contains => Operator::Contains,
        pb::Operator::StartsWith => Operator::StartsWith,
        pb::Operator::EndsWith => Operator::EndsWith,
        pb::Operator::Matches => Operator::Matches,
        pb::Operator::SemverEq => Operator::SemverEq,
        pb::Operator::SemverGt => Operator::SemverGt,
        pb::Operator::SemverGte => Operator::SemverGte,
        pb::Operator::SemverLt => Operator::SemverLt,
        pb::Operator::SemverLte => Operator::SemverLte,
        pb::Operator::SemverBetween => Operator::SemverBetween,
        pb::Operator::Before => Operator::Before,
        pb::Operator::After => Operator::After,
        pb::Operator::DateBetween => Operator::DateBetween,
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
            Operator::Exists => Self::Exists,
            Operator::Contains => Self::Contains,
            Operator::StartsWith => Self::StartsWith,
            Operator::EndsWith => Self::EndsWith,
            Operator::Matches => Self::Matches,
            Operator::SemverEq => Self::SemverEq,
            Operator::SemverGt => Self::SemverGt,
            Operator::SemverGte => Self::SemverGte,
            Operator::SemverLt => Self::SemverLt,
            Operator::SemverLte => Self::SemverLte,
            Operator::SemverBetween => Self::SemverBetween,
            Operator::Before => Self::Before,
            Operator::After => Self::After,
            Operator::DateBetween => Self::DateBetween,
        }
    }
}
