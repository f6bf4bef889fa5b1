//! DRAFT → RUNNING: binds the flag, freezes the configuration, opens cohort 1.

use assay_core::{
    experiment::{AssignmentSource, Experiment},
    flag::Flag,
    lifecycle::Command,
    segment::Segment,
    validate,
};

use super::{Order, WithWarnings, apply, confirmed, references::Found};
use crate::{
    error::{Error, fields},
    truth::{Call, Stored, Truth, Writes, name, stored_as},
};

/// Starts the experiment, if everything that a start needs is there: all that is missing is told at once.
///
/// What the decision was made on (flag, segment, metrics) must still be the same when it is stored, and the store lets no second
/// experiment bind the flag.
pub(crate) async fn start(
    truth: &Truth,
    call: &Call,
    order: Order,
    confirm: bool,
) -> Result<WithWarnings, Error> {
    order.check(confirmed(confirm, "units may see another variant from now on"))?;
    let current = order.experiment(truth, call).await?;
    let now = truth.now();
    let is_served = current.source == AssignmentSource::Assay;
    let later = is_served && current.start_time.is_some_and(|start| start > now);
    let mut started = apply(&current, &Command::Start { later }, now)?;

    let flag: Option<Flag> = truth.find(&call.namespace, current.flag.as_str()).await?;
    let found = Found::read(truth, call, &current, flag).await?;
    let findings = validate::start(&current, &found.as_core(), now);
    if !findings.is_ok() {
        let what = name::<Experiment>(current.key());
        return Err(Error::ValidationFailed {
            what,
            violations: fields(findings.errors),
        });
    }
    started.segment_version = found
        .segment
        .as_ref()
        .map(|segment: &Segment| segment.meta().version);
    // The store numbers a change when it commits it, and other changes may come first, so this is a lower bound of the generation that
    // begins the cohort. It is a sound one: no generation from here to that one has this experiment running, so none can give a variant.
    let generation = truth.next_generation(&call.namespace).await?;
    if let Some(cohort) = started.cohorts.first_mut() {
        cohort.generation = generation;
    }
    let writes = found.check(Writes::default().replace(&current, started));
    let committed = truth.commit(call, order.deed("start"), writes).await?;
    Ok((stored_as(committed), findings.warnings))
}
