//! DRAFT → RUNNING, or SCHEDULED: binds the flag, freezes the configuration; running, opens cohort 1.

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    lifecycle::{Action, State, invalid},
};

use super::{Order, WithWarnings, confirmed, launch::launch};
use crate::{
    error::Error,
    truth::{Call, Truth, Writes, stored_as},
};

/// Starts the experiment, or schedules it when its start time lies ahead.
///
/// What the decision was made on (flag, segment, metrics) must still be the same when it is stored, and the store lets no second
/// experiment bind the flag. One that is scheduled is started by the clock alone, even when that is overdue.
pub(crate) async fn start(
    truth: &Truth,
    call: &Call,
    order: Order,
    confirm: bool,
) -> Result<WithWarnings, Error> {
    order.check(confirmed(confirm, "units may see another variant from now on"))?;
    let current = order.experiment(truth, call).await?;
    if current.state == State::Scheduled {
        return Err(super::invalid(
            &current,
            invalid(&current.state, Action::Start),
            truth.now(),
        ));
    }
    let flag: Option<Flag> = truth.find(&call.namespace, current.flag.as_str()).await?;
    let launch = launch(truth, call, &current, flag, truth.now()).await?;
    let verb = verb(&launch.started);
    let writes = launch
        .found
        .check(Writes::default().replace(&current, launch.started));
    let committed = truth.commit(call, order.deed(verb), writes).await?;
    Ok((stored_as(committed), launch.warnings))
}

/// What the audit trail calls this start.
fn verb(started: &Experiment) -> &'static str {
    match started.state {
        State::Scheduled => "schedule",
        _ => "start",
    }
}
