//! Why a unit gets what it gets.

use assay_proto::{assignment::v1 as pb, config::v1::BucketRange};
use serde::Serialize;
use serde_json::Value;

use super::{
    Context, assign, attributes,
    segment::{self, Condition},
};
use crate::{
    args::ExplainArgs,
    error::Error,
    output,
    view::{flag::json, text},
};

/// An answer with its reasons.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    assignment: assign::Answer,
    gates: Vec<Gate>,
    rejected: Vec<String>,
}

/// A gate on the way to it. What does not belong to its kind is empty.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gate {
    kind: String,
    verdict: String,
    depth: u32,
    detail: String,
    key: String,
    variant_key: String,
    value: Value,
    served: Value,
    reason: String,
    bucket: Option<u32>,
    ranges: Vec<Buckets>,
    conditions: Vec<Condition>,
}

/// Buckets from `first` to before `end`.
#[derive(Serialize)]
struct Buckets {
    first: u32,
    end: u32,
}

/// Asks for one unit and one flag.
pub(super) async fn run(context: &Context, args: ExplainArgs) -> Result<(), Error> {
    let unit = args.unit.as_deref().map(|unit| text::parse_unit(unit, "unit"));
    let unit = unit.transpose()?;
    let attributes = attributes(&args.attributes)?;
    let explained = context
        .client
        .explain(
            &context.namespace,
            unit.as_ref(),
            &attributes,
            &args.flag,
            args.generation,
        )
        .await?;
    let explanation = Explanation {
        assignment: assign::answer(explained.assignment.unwrap_or_default()),
        gates: explained.gates.into_iter().map(gate).collect(),
        rejected: explained.rejected,
    };
    output::document(context.format, &explanation, || words(&explanation))
}

fn gate(gate: pb::Gate) -> Gate {
    let buckets = |range: BucketRange| Buckets {
        first: range.first,
        end: range.end,
    };
    Gate {
        kind: text::name_of::<pb::GateKind>(gate.kind),
        verdict: text::name_of::<pb::GateVerdict>(gate.verdict),
        depth: gate.depth,
        detail: gate.detail,
        key: gate.key,
        variant_key: gate.variant_key,
        value: json(gate.value),
        served: json(gate.served),
        reason: text::name_of::<pb::Reason>(gate.reason),
        bucket: gate.bucket,
        ranges: gate.ranges.into_iter().map(buckets).collect(),
        conditions: gate.conditions.into_iter().map(segment::condition).collect(),
    }
}

fn words(explanation: &Explanation) -> String {
    let answer = &explanation.assignment;
    let got = match answer.variant_key.as_str() {
        "" => String::new(),
        variant => format!(", variant {variant}"),
    };
    let mut text = format!(
        "{} at generation {}: {}{got}, because {}\n",
        answer.flag_key, answer.generation, answer.value, answer.reason
    );
    for broken in &explanation.rejected {
        text.push_str(&format!("without {broken}, which cannot be read or compiled\n"));
    }
    let rows = explanation.gates.iter().map(|gate| {
        let indent = "  ".repeat(gate.depth as usize);
        vec![
            format!("{indent}{}", gate.kind),
            gate.verdict.clone(),
            gate.detail.clone(),
        ]
    });
    text.push_str(&output::table(
        &["gate", "verdict", "what was compared"],
        rows,
        &[],
    ));
    for gate in explanation
        .gates
        .iter()
        .filter(|gate| !gate.conditions.is_empty())
    {
        text.push_str(&format!(
            "\nsegment {}\n{}",
            gate.key,
            segment::table(&gate.conditions)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_reads_gate_by_gate() {
        let told = |kind: pb::GateKind, verdict: pb::GateVerdict, depth, detail: &str| pb::Gate {
            kind: kind.into(),
            verdict: verdict.into(),
            depth,
            detail: detail.into(),
            ..Default::default()
        };
        let gates = [
            told(
                pb::GateKind::Prerequisite,
                pb::GateVerdict::Decided,
                0,
                "flag `a` must serve true and serves false",
            ),
            told(
                pb::GateKind::Flag,
                pb::GateVerdict::Passed,
                1,
                "flag `a` without experiment",
            ),
            told(pb::GateKind::Split, pb::GateVerdict::NotReached, 0, ""),
        ];
        let explanation = Explanation {
            assignment: assign::answer(pb::Assignment {
                flag_key: "gate".into(),
                reason: pb::Reason::PrerequisiteFailed.into(),
                generation: 7,
                ..Default::default()
            }),
            gates: gates.map(gate).into(),
            rejected: vec!["flag old".into()],
        };
        let said = words(&explanation);
        let lines: Vec<_> = said.lines().map(str::trim_end).collect();
        assert_eq!(
            lines[0],
            "gate at generation 7: null, because PREREQUISITE_FAILED"
        );
        assert_eq!(lines[1], "without flag old, which cannot be read or compiled");
        assert!(
            lines[3].starts_with(" PREREQUISITE  DECIDED") && lines[3].ends_with("serves false"),
            "{said}"
        );
        assert!(lines[4].starts_with("   FLAG"), "{said}");
        assert!(
            lines[5].starts_with(" SPLIT") && lines[5].ends_with("NOT_REACHED"),
            "{said}"
        );
    }
}
