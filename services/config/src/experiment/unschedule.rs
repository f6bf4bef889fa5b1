//! SCHEDULED → DRAFT

use assay_core::{experiment::Experiment, lifecycle::Command};
use assay_proto::field::FieldErrors;

use super::{Order, carry_out};
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// Takes the start back and frees the flag; the dates stay as they are.
pub(crate) async fn unschedule(truth: &Truth, call: &Call, order: Order) -> Result<Experiment, Error> {
    order.check(FieldErrors::default())?;
    carry_out(truth, call, &order, "unschedule", &Command::Unschedule).await
}
