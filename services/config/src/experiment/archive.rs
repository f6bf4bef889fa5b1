//! ENDED, or COMPLETED without winner → ARCHIVED.

use assay_core::{experiment::Experiment, lifecycle::Command};
use assay_proto::field::FieldErrors;

use super::{Order, carry_out};
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// Hides the experiment from default lists; all its data is kept.
pub(crate) async fn archive(truth: &Truth, call: &Call, order: Order) -> Result<Experiment, Error> {
    order.check(FieldErrors::default())?;
    carry_out(truth, call, &order, "archive", &Command::Archive).await
}
