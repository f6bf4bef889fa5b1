//! Segments in files and answers.

mod grammar;

use assay_proto::config::v1 as pb;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{View, day, flag, is_zero, text};
use crate::error::Error;

/// A segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Segment {
    pub(crate) namespace: String,
    pub(crate) key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    pub(crate) rules: Vec<Rule>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) version: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) updated_at: String,
}

/// A condition: a comparison, or exactly one of the groups, a negation or another segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) attribute: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) operator: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) operands: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) any_of: Vec<Rule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) all_of: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not: Option<Box<Rule>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) segment: Option<SegmentReference>,
}

/// Another segment, in a version for good or (0) in its latest one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SegmentReference {
    pub(crate) key: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) version: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) resolved_version: u64,
}

/// The JSON that `written` is, if it is a scalar one; else the text itself.
pub(crate) fn scalar(written: &str) -> Value {
    match serde_json::from_str(written) {
        Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => value,
        _ => Value::String(written.to_owned()),
    }
}

impl Rule {
    pub(crate) fn of(rule: pb::Rule) -> Self {
        Self {
            attribute: rule.attribute,
            operator: text::name_of::<pb::Operator>(rule.operator),
            operands: rule
                .operands
                .into_iter()
                .map(|operand| flag::json(Some(operand)))
                .collect(),
            any_of: rule.any_of.into_iter().map(Self::of).collect(),
            all_of: rule.all_of.into_iter().map(Self::of).collect(),
            not: rule.not.map(|part| Box::new(Self::of(*part))),
            segment: rule.segment.map(|reference| SegmentReference {
                key: reference.key,
                version: reference.version,
                resolved_version: reference.resolved_version,
            }),
        }
    }

    /// The message; `path` is where it stands.
    fn message(self, path: &str) -> Result<pb::Rule, Error> {
        Ok(pb::Rule {
            attribute: self.attribute,
            operator: text::named::<pb::Operator>(&self.operator, &format!("{path}.operator"))?.into(),
            operands: self.operands.iter().map(assay_proto::convert::json_to).collect(),
            any_of: messages(self.any_of, &format!("{path}.anyOf"))?,
            all_of: messages(self.all_of, &format!("{path}.allOf"))?,
            not: match self.not {
                Some(part) => Some(Box::new(part.message(&format!("{path}.not"))?)),
                None => None,
            },
            segment: self.segment.map(|reference| pb::SegmentReference {
                key: reference.key,
                version: reference.version,
                resolved_version: reference.resolved_version,
            }),
        })
    }
}

/// The messages of `rules`, which stand at `path`.
pub(crate) fn messages(rules: Vec<Rule>, path: &str) -> Result<Vec<pb::Rule>, Error> {
    let numbered = rules.into_iter().enumerate();
    numbered
        .map(|(i, rule)| rule.message(&format!("{path}[{i}]")))
        .collect()
}

impl View for Segment {
    type Message = pb::Segment;

    const COLUMNS: &'static [&'static str] = &["key", "name", "rules", "version", "updated"];

    fn of(segment: pb::Segment) -> Self {
        Self {
            namespace: segment.namespace,
            key: segment.key,
            name: segment.name,
            description: segment.description,
            rules: segment.rules.into_iter().map(Rule::of).collect(),
            version: segment.version,
            generation: segment.generation,
            created_at: text::time(segment.created_at),
            updated_at: text::time(segment.updated_at),
        }
    }

    fn message(self) -> Result<pb::Segment, Error> {
        Ok(pb::Segment {
            namespace: self.namespace,
            key: self.key,
            name: self.name,
            description: self.description,
            rules: messages(self.rules, "rules")?,
            version: self.version,
            ..pb::Segment::default()
        })
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            self.name.clone(),
            self.rules_text(" and "),
            self.version.to_string(),
            day(&self.updated_at),
        ]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("segment", format!("{}/{}", self.namespace, self.key)),
            ("name", self.name.clone()),
            ("description", self.description.clone()),
            ("rules", self.rules_text("\n")),
            (
                "version",
                format!("{} (generation {})", self.version, self.generation),
            ),
            ("created", self.created_at.clone()),
            ("updated", self.updated_at.clone()),
        ]
    }
}

impl Segment {
    pub(crate) fn rules_text(&self, between: &str) -> String {
        if self.rules.is_empty() {
            return "all units".to_owned();
        }
        self.rules
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(between)
    }
}
