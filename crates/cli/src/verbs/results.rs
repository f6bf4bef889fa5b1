//! What came of an experiment, and who was in it.

use assay_proto::analysis::v1 as pb;
use serde::Serialize;

use super::Context;
use crate::{
    args::AssignmentsArgs,
    error::Error,
    output,
    view::{result::ExperimentResult, text},
};

/// Largest page of assignments.
const PAGE: usize = 10_000;

/// Shows the result.
pub(super) async fn results(context: &Context, experiment: &str) -> Result<(), Error> {
    let result = context.client.results(&context.namespace, experiment).await?;
    let table = output::results::render(&result);
    output::document(context.format, &ExperimentResult::of(result), || table)
}

/// One unit of an experiment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Assigned {
    unit: String,
    variant_key: String,
    cohort: u32,
    first_exposure_time: String,
    set_aside: bool,
}

/// Lists the units.
pub(super) async fn assignments(context: &Context, args: AssignmentsArgs) -> Result<(), Error> {
    let unit = args
        .unit
        .as_deref()
        .map(|unit| text::parse_unit(unit, "--unit"))
        .transpose()?;
    let mut found: Vec<Assigned> = Vec::new();
    let mut token = String::new();
    loop {
        let wanted = i32::try_from(args.limit.saturating_sub(found.len()).clamp(1, PAGE)).unwrap_or_default();
        let (experiment, of) = (args.experiment.as_str(), unit.as_ref());
        let page = context
            .client
            .list_assignments(&context.namespace, experiment, of, wanted, &token)
            .await?;
        found.extend(page.assignments.into_iter().map(assigned));
        token = page.next_page_token;
        if token.is_empty() || found.len() >= args.limit {
            break;
        }
    }
    output::document(context.format, &found, || {
        let header = ["unit", "variant", "cohort", "first exposure", "set aside"];
        let rows = found.iter().map(|one| {
            vec![
                one.unit.clone(),
                one.variant_key.clone(),
                one.cohort.to_string(),
                one.first_exposure_time.clone(),
                if one.set_aside {
                    "yes".to_owned()
                } else {
                    String::new()
                },
            ]
        });
        let more = if token.is_empty() {
            ""
        } else {
            "\n more follow: raise --limit"
        };
        format!("{}{more}", output::table(&header, rows, &[2]))
    })
}

fn assigned(assignment: pb::UnitAssignment) -> Assigned {
    Assigned {
        unit: text::unit(assignment.unit),
        variant_key: assignment.variant_key,
        cohort: assignment.cohort,
        first_exposure_time: text::time(assignment.first_exposure_time),
        set_aside: assignment.set_aside,
    }
}
