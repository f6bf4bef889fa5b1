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

/// Holds the experiment, reversibly. `HOLD_ENROLLMENT` would need to know which units were assigned, and no experiment stores that yet.
pub(crate) async fn pause(
    truth: &Truth,
    call: &Call,
    order: Order,
    mode: PauseMode,
) -> Result<Experiment, Error> {
    order.check(FieldErrors::default())?;
    let current = order.experiment(truth, call).await?;
    let paused = apply(&current, &Command::Pause(mode), truth.now())?;
    if mode == PauseMode::HoldEnrollment {
        return Err(Error::StoredRequired {
            what: name::<Experiment>(current.key()),
        });
    }
    store(truth, call, order.deed("pause"), &current, paused).await
}
