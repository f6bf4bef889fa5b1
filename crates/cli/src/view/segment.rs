//! Segments in files and answers.

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

/// A condition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) attribute: String,
    pub(crate) operator: String,
    pub(crate) operands: Vec<Value>,
}

impl std::str::FromStr for Rule {
    type Err = String;

    /// `country in DE,AT`: attribute, operator, operands with commas between. `true`, `false` and numbers are taken as such, in double
    /// quotes as texts.
    fn from_str(written: &str) -> Result<Self, String> {
        let mut words = written.trim().splitn(3, char::is_whitespace);
        let (Some(attribute), Some(operator), Some(operands)) = (words.next(), words.next(), words.next())
        else {
            return Err(format!(
                "`{written}` is not a rule; write one like `country in DE,AT` or `level gte 10`"
            ));
        };
        Ok(Self {
            attribute: attribute.to_owned(),
            operator: operator.to_uppercase(),
            operands: operands
                .split(',')
                .map(|operand| scalar(operand.trim()))
                .collect(),
        })
    }
}

/// The JSON that `written` is, if it is a scalar one; else the text itself.
pub(crate) fn scalar(written: &str) -> Value {
    match serde_json::from_str(written) {
        Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => value,
        _ => Value::String(written.to_owned()),
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operands: Vec<_> = self.operands.iter().map(ToString::to_string).collect();
        write!(
            f,
            "{} {} {}",
            self.attribute,
            self.operator.to_lowercase(),
            operands.join(", ")
        )
    }
}

impl View for Segment {
    type Message = pb::Segment;

    const COLUMNS: &'static [&'static str] = &["key", "name", "rules", "version", "updated"];

    fn of(segment: pb::Segment) -> Self {
        let rule = |rule: pb::Rule| Rule {
            attribute: rule.attribute,
            operator: text::name_of::<pb::Operator>(rule.operator),
            operands: rule
                .operands
                .into_iter()
                .map(|operand| flag::json(Some(operand)))
                .collect(),
        };
        Self {
            namespace: segment.namespace,
            key: segment.key,
            name: segment.name,
            description: segment.description,
            rules: segment.rules.into_iter().map(rule).collect(),
            version: segment.version,
            generation: segment.generation,
            created_at: text::time(segment.created_at),
            updated_at: text::time(segment.updated_at),
        }
    }

    fn message(self) -> Result<pb::Segment, Error> {
        let rule = |rule: Rule| {
            Ok(pb::Rule {
                attribute: rule.attribute,
                operator: text::named::<pb::Operator>(&rule.operator, "rules.operator")?.into(),
                operands: rule.operands.iter().map(assay_proto::convert::json_to).collect(),
            })
        };
        Ok(pb::Segment {
            namespace: self.namespace,
            key: self.key,
            name: self.name,
            description: self.description,
            rules: self.rules.into_iter().map(rule).collect::<Result<_, Error>>()?,
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
    fn rules_text(&self, between: &str) -> String {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_are_written_in_words() {
        let rule: Rule = r#"level in 10,true,DE,"10""#.parse().unwrap();
        assert_eq!(rule.operands, [json!(10), json!(true), json!("DE"), json!("10")]);
        assert_eq!(rule.to_string(), r#"level in 10, true, "DE", "10""#);
        assert!("level".parse::<Rule>().is_err());
    }
}
