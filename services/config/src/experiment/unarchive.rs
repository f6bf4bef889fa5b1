//! ARCHIVED → where it was archived from.

use assay_core::{experiment::Experiment, lifecycle::Command};
use assay_proto::field::FieldErrors;

use super::{Order, carry_out};
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// Shows the experiment in lists again.
pub(crate) async fn unarchive(truth: &Truth, call: &Call, order: Order) -> Result<Experiment, Error> {
    order.check(FieldErrors::default())?;
    carry_out(truth, call, &order, "unarchive", &Command::Unarchive).await
}
