//! What the clock does: SCHEDULED → RUNNING at the start time, the end action at the end time, and a cohort's opening between them.

use assay_core::{experiment::Experiment, flag::Flag, lifecycle::State, schedule::reach_end};

use super::{cohort::open, invalid, launch::launch};
use crate::{
    error::Error,
    fence::Fences,
    truth::{Call, Deed, Stored, Truth, Writes, name},
};

/// What the audit trail calls the clock.
const ACTOR: &str = "scheduler";

/// Does what is due for `experiment`, as it was read. Of several replicas one does it; the others are told that it has changed meanwhile.
pub(crate) async fn act(truth: &Truth, fences: &Fences, experiment: &Experiment) -> Result<(), Error> {
    let call = Call {
        namespace: experiment.namespace.clone(),
        actor: ACTOR.to_owned(),
        traceparent: assay_platform::telemetry::current_traceparent().unwrap_or_default(),
        peer: String::new(),
    };
    match experiment.state {
        State::Scheduled => begin(truth, &call, experiment).await,
        _ if experiment.ends_at().is_some_and(|end| end <= truth.now()) => {
            end(truth, &call, experiment).await
        }
        _ => open(truth, fences, &call, experiment).await.map(drop),
    }
}

/// Starts it; where that is refused, says why on the experiment, once for each cause. It is tried again until it succeeds.
async fn begin(truth: &Truth, call: &Call, current: &Experiment) -> Result<(), Error> {
    let flag: Option<Flag> = truth.find(&call.namespace, current.flag.as_str()).await?;
    let launch = match launch(truth, call, current, flag, truth.now()).await {
        Err(Error::ValidationFailed { violations, .. }) => {
            let cause = violations
                .0
                .iter()
                .map(|v| format!("`{}` {} ({})", v.field, v.message, v.rule));
            return refuse(truth, call, current, cause.collect::<Vec<_>>().join("; ")).await;
        }
        launch => launch?,
    };
    let writes = launch
        .found
        .check(Writes::default().replace(current, launch.started));
    let deed = Deed::new::<Experiment>("start", current.key(), "its start time has come");
    truth.commit(call, deed, writes).await?;
    tracing::info!(experiment = name::<Experiment>(current.key()), namespace = %call.namespace, "started on time");
    Ok(())
}

async fn refuse(truth: &Truth, call: &Call, current: &Experiment, cause: String) -> Result<(), Error> {
    if current.schedule.error == cause {
        return Ok(());
    }
    let what = name::<Experiment>(current.key());
    tracing::warn!(experiment = what, namespace = %call.namespace, cause, "cannot start at its start time");
    let mut updated = current.clone();
    updated.schedule.error.clone_from(&cause);
    let deed = Deed::new::<Experiment>("start_refused", current.key(), &cause);
    truth
        .commit(call, deed, Writes::default().replace(current, updated))
        .await?;
    Ok(())
}

async fn end(truth: &Truth, call: &Call, current: &Experiment) -> Result<(), Error> {
    let ended = reach_end(current, truth.now()).map_err(|source| invalid(current, source, truth.now()))?;
    tracing::info!(
        experiment = name::<Experiment>(current.key()),
        namespace = %call.namespace,
        state = %ended.state,
        "its end time has come"
    );
    let deed = Deed::new::<Experiment>("reach_end", current.key(), "its end time has come");
    truth
        .commit(call, deed, Writes::default().replace(current, ended))
        .await?;
    Ok(())
}
