//! RUNNING → PAUSED, or another mode while paused.

use assay_core::{
    experiment::Experiment,
    lifecycle::{Command, PauseMode},
};
use assay_proto::field::FieldErrors;

use super::{Order, apply, store};
use crate::{
    error::Error,
    truth::{Call, Stored, Truth, name},
};

/// Holds the experiment, reversibly; while it is paused, in the other mode. `HOLD_ENROLLMENT` needs to know which units were assigned.
pub(crate) async fn pause(
    truth: &Truth,
    call: &Call,
    order: Order,
    mode: PauseMode,
) -> Result<Experiment, Error> {
    order.check(FieldErrors::default())?;
    let current = order.experiment(truth, call).await?;
    let paused = apply(&current, &Command::Pause(mode), truth.now())?;
    if mode == PauseMode::HoldEnrollment && !current.stores_assignments() {
        return Err(Error::NeedsStored {
            what: name::<Experiment>(current.key()),
            wanted: "HOLD_ENROLLMENT",
            remedy: "pause with SERVE_DEFAULT",
            allowed: current.allowed_actions(truth.now()),
        });
    }
    store(truth, call, order.deed("pause"), &current, paused).await
}
