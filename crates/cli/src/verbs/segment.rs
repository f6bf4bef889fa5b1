//! Who belongs to a segment, and why.

use assay_client::resource::TestedSegment;
use assay_proto::config::v1 as pb;
use serde::Serialize;
use serde_json::Value;

use super::{Context, attributes, resource};
use crate::{
    args::SegmentTestArgs,
    error::Error,
    output,
    view::{
        View,
        flag::json,
        segment::{Rule, Segment, SegmentReference},
        text,
    },
};

/// An answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    matches: bool,
    version: u64,
    conditions: Vec<Condition>,
}

/// A condition that was looked at.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition {
    path: String,
    kind: String,
    /// In words.
    condition: String,
    /// Null when missing.
    value: Value,
    outcome: String,
    matches: bool,
}

/// Tests a stored segment, or one that is written down.
pub(super) async fn test(context: &Context, args: SegmentTestArgs) -> Result<(), Error> {
    let attributes = attributes(&args.attributes)?;
    let named = args.key.clone();
    let tested = match (args.key, args.file) {
        (Some(key), _) => TestedSegment::Stored {
            key,
            version: args.version.unwrap_or(0),
        },
        (None, Some(file)) => TestedSegment::Given(resource::message_of_file::<Segment>(file)?),
        (None, None) => {
            let written = Segment {
                rules: args.rules,
                ..Segment::default()
            };
            TestedSegment::Given(written.message()?)
        }
    };
    let answer = context
        .client
        .test_segment(&context.namespace, tested, &attributes)
        .await?;
    let answer = Answer {
        matches: answer.matches,
        version: answer.version,
        conditions: answer.conditions.into_iter().map(condition).collect(),
    };
    output::document(context.format, &answer, || words(&answer, named.as_deref()))
}

fn words(answer: &Answer, named: Option<&str>) -> String {
    let verdict = if answer.matches {
        "belongs to"
    } else {
        "does not belong to"
    };
    let segment = match named {
        Some(key) => format!("{key}@{}", answer.version),
        None => "the segment".to_owned(),
    };
    let first = format!("the unit {verdict} {segment}");
    if answer.conditions.is_empty() {
        return format!("{first}, which has no rules");
    }
    format!("{first}\n{}", table(&answer.conditions))
}

/// The conditions, one a line.
pub(super) fn table(conditions: &[Condition]) -> String {
    let rows = conditions.iter().map(|condition| {
        let truth = if condition.matches { "true" } else { "false" };
        let value = match (condition.kind.as_str(), &condition.value) {
            ("COMPARISON", Value::Null) => "-".to_owned(),
            (_, Value::Null) => String::new(),
            (_, value) => value.to_string(),
        };
        vec![
            truth.to_owned(),
            condition.path.clone(),
            condition.condition.clone(),
            value,
            condition.outcome.clone(),
        ]
    });
    output::table(&["", "place", "condition", "value", "outcome"], rows, &[])
}

pub(super) fn condition(tested: pb::TestedCondition) -> Condition {
    let kind = tested.kind();
    let value = json(tested.value.clone());
    let (path, matches) = (tested.path.clone(), tested.matches);
    let outcome = text::name_of::<pb::ConditionOutcome>(tested.outcome);
    Condition {
        path,
        kind: text::name(kind),
        condition: match kind {
            pb::ConditionKind::AnyOf => "any of these".to_owned(),
            pb::ConditionKind::AllOf => "all of these".to_owned(),
            pb::ConditionKind::Not => "not this".to_owned(),
            pb::ConditionKind::Segment => segment(tested).to_string(),
            pb::ConditionKind::Comparison | pb::ConditionKind::Unspecified => Rule::of(pb::Rule {
                attribute: tested.attribute,
                operator: tested.operator,
                operands: tested.operands,
                ..pb::Rule::default()
            })
            .to_string(),
        },
        value,
        outcome,
        matches,
    }
}

/// The segment in the version that was looked at.
fn segment(tested: pb::TestedCondition) -> Rule {
    let reference = tested.segment.unwrap_or_default();
    Rule {
        segment: Some(SegmentReference {
            key: reference.key,
            version: reference.resolved_version,
            resolved_version: 0,
        }),
        ..Rule::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_reads_rule_by_rule() {
        let tested = |path: &str, kind: pb::ConditionKind, outcome: pb::ConditionOutcome, matches| {
            pb::TestedCondition {
                path: path.into(),
                kind: kind.into(),
                outcome: outcome.into(),
                matches,
                ..Default::default()
            }
        };
        let comparison = pb::TestedCondition {
            attribute: "paying".into(),
            operator: pb::Operator::Exists.into(),
            ..tested(
                "rules[0].not",
                pb::ConditionKind::Comparison,
                pb::ConditionOutcome::Missing,
                false,
            )
        };
        let nested = pb::TestedCondition {
            segment: Some(pb::SegmentReference {
                key: "new".into(),
                version: 0,
                resolved_version: 4,
            }),
            ..tested(
                "rules[1]",
                pb::ConditionKind::Segment,
                pb::ConditionOutcome::NotMatched,
                false,
            )
        };
        let not = tested(
            "rules[0]",
            pb::ConditionKind::Not,
            pb::ConditionOutcome::Matched,
            true,
        );
        let answer = Answer {
            matches: false,
            version: 2,
            conditions: [not, comparison, nested].map(condition).into(),
        };
        let said = words(&answer, Some("ios"));
        let lines: Vec<Vec<&str>> = said
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(said.lines().next(), Some("the unit does not belong to ios@2"));
        assert_eq!(lines[2], ["true", "rules[0]", "not", "this", "MATCHED"]);
        assert_eq!(
            lines[3],
            ["false", "rules[0].not", "paying", "exists", "-", "MISSING"]
        );
        assert_eq!(lines[4], ["false", "rules[1]", "segment(new@4)", "NOT_MATCHED"]);
    }
}
