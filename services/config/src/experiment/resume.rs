//! PAUSED → RUNNING

use assay_core::{experiment::Experiment, lifecycle::Command};
use assay_proto::field::FieldErrors;

use super::{Order, carry_out};
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// Goes on after a pause: every unit comes back to its variant.
pub(crate) async fn resume(truth: &Truth, call: &Call, order: Order) -> Result<Experiment, Error> {
    order.check(FieldErrors::default())?;
    carry_out(truth, call, &order, "resume", &Command::Resume).await
}
