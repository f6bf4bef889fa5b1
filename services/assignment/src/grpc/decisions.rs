//! `RecordDecisions`: decode → call → encode.

use assay_core::{
    key::{ExperimentKey, Namespace, VariantKey},
    record::Exposure,
    time::Timestamp,
};
use assay_platform::{Failure, Principal};
use assay_proto::{
    assignment::v1 as pb,
    convert::{attributes, key_from, namespace_from, timestamp_from, unit_from},
    field::{FieldError, FieldErrors},
};

use crate::{
    Assignments,
    decisions::{MAX_AGE, is_too_old, record},
    error::Refusal,
};

/// Most decisions of one request.
const MAX_DECISIONS: usize = 1_000;

/// Records the decisions, but for those that are refused.
pub(super) async fn answer(
    assignments: &Assignments,
    caller: &Principal,
    request: pb::RecordDecisionsRequest,
) -> Result<pb::RecordDecisionsResponse, Failure> {
    let namespace = asked(&request).map_err(Refusal::from)?;
    caller.check_namespace(namespace.as_str())?;
    let now = assignments.now();
    let (mut exposures, mut refused) = (Vec::new(), Vec::new());
    for (index, decision) in (0..).zip(request.decisions) {
        match exposure(&namespace, decision, now) {
            Ok(exposure) => exposures.push(exposure),
            Err(errors) => refused.extend(errors.0.into_iter().next().map(|first| refusal(index, first))),
        }
    }
    if let Some(recorded) = record(assignments, exposures) {
        recorded.await;
    }
    Ok(pb::RecordDecisionsResponse { refused })
}

fn asked(request: &pb::RecordDecisionsRequest) -> Result<Namespace, FieldErrors> {
    let mut errors = FieldErrors::default();
    let namespace = errors.keep(namespace_from(request.namespace.clone(), "namespace"));
    let n = request.decisions.len();
    if n == 0 || n > MAX_DECISIONS {
        let message = format!("has {n} decisions; give 1 to {MAX_DECISIONS}");
        errors.push("decisions", "COUNT", message);
    }
    errors.finish(namespace)
}

fn exposure(namespace: &Namespace, decision: pb::Decision, now: Timestamp) -> Result<Exposure, FieldErrors> {
    let mut errors = FieldErrors::default();
    let experiment = errors.keep(key_from(
        decision.experiment_key,
        "experiment_key",
        ExperimentKey::new,
    ));
    let variant = errors.keep(key_from(decision.variant_key, "variant_key", VariantKey::new));
    let unit = errors.keep(unit_from(decision.unit, "unit"));
    let time = errors.keep(timestamp_from(decision.time, "time"));
    let attributes = errors.keep(attributes(decision.attributes, "attributes"));
    if decision.cohort == 0 {
        errors.push(
            "cohort",
            "REQUIRED",
            "is missing; give the cohort that split the unit",
        );
    }
    if decision.generation == 0 {
        errors.push(
            "generation",
            "REQUIRED",
            "is missing; give the generation that decided",
        );
    }
    if time.is_some_and(|time| is_too_old(time, now)) {
        let hours = MAX_AGE.as_secs() / 3_600;
        let message = format!("is more than {hours} hours ago; send decisions soon after they are made");
        errors.push("time", "TOO_OLD", message);
    }
    let made = || {
        Some(Exposure {
            namespace: namespace.clone(),
            experiment: experiment?,
            variant: variant?,
            cohort: decision.cohort,
            unit: unit?,
            time: time?.min(now),
            received_at: now,
            generation: decision.generation,
            attributes: attributes?,
            imported: false,
        })
    };
    let made = made();
    errors.finish(made)
}

fn refusal(index: u32, first: FieldError) -> pb::DecisionRefusal {
    pb::DecisionRefusal {
        index,
        field: first.field,
        message: first.message,
    }
}
