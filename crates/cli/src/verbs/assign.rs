//! Who gets what.

use assay_proto::assignment::v1 as pb;
use serde::Serialize;
use serde_json::Value;

use super::{Context, attributes};
use crate::{
    args::AssignArgs,
    error::Error,
    output,
    view::{flag::json, text},
};

/// An answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    pub(super) flag_key: String,
    experiment_key: String,
    pub(super) variant_key: String,
    is_control: bool,
    pub(super) value: Value,
    pub(super) reason: String,
    cohort: u32,
    pub(super) generation: u64,
}

/// Asks for one unit.
pub(super) async fn run(context: &Context, args: AssignArgs) -> Result<(), Error> {
    let unit = text::parse_unit(&args.unit, "unit")?;
    let attributes = attributes(&args.attributes)?;
    let exposure = if args.record {
        pb::Exposure::Record
    } else {
        pb::Exposure::Peek
    };
    let answers = context
        .client
        .assign(
            &context.namespace,
            Some(&unit),
            &attributes,
            &args.flags,
            exposure,
        )
        .await?;
    let answers: Vec<_> = answers.into_iter().map(answer).collect();
    output::document(context.format, &answers, || {
        let header = [
            "flag",
            "variant",
            "value",
            "reason",
            "experiment",
            "cohort",
            "generation",
        ];
        let rows = answers.iter().map(|answer| {
            vec![
                answer.flag_key.clone(),
                answer.variant_key.clone(),
                answer.value.to_string(),
                answer.reason.clone(),
                answer.experiment_key.clone(),
                answer.cohort.to_string(),
                answer.generation.to_string(),
            ]
        });
        output::table(&header, rows, &[])
    })
}

pub(super) fn answer(assignment: pb::Assignment) -> Answer {
    Answer {
        reason: text::name_of::<pb::Reason>(assignment.reason),
        flag_key: assignment.flag_key,
        experiment_key: assignment.experiment_key,
        variant_key: assignment.variant_key,
        is_control: assignment.is_control,
        value: json(assignment.value),
        cohort: assignment.cohort,
        generation: assignment.generation,
    }
}
