//! → COMPLETED without winner.

use assay_core::{experiment::Experiment, lifecycle::Command};

use super::{Order, apply, confirmed, store};
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// Completes the experiment; its flag serves its default.
pub(crate) async fn stop(
    truth: &Truth,
    call: &Call,
    order: Order,
    confirm: bool,
) -> Result<Experiment, Error> {
    order.check(confirmed(confirm, "Stop is final (to take a breather, Pause)"))?;
    let current = order.experiment(truth, call).await?;
    let mut stopped = apply(&current, &Command::Stop, truth.now())?;
    stopped.reason.clone_from(&order.reason);
    store(truth, call, order.deed("stop"), &current, stopped).await
}
