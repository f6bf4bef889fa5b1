//! COMPLETED → ENDED

use assay_core::{experiment::Experiment, lifecycle::Command};
use assay_proto::field::FieldErrors;

use super::{Order, carry_out};
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// Ends the experiment: nothing is served for it any more; its reports stay.
pub(crate) async fn end(truth: &Truth, call: &Call, order: Order) -> Result<Experiment, Error> {
    order.check(FieldErrors::default())?;
    carry_out(truth, call, &order, "end", &Command::End).await
}
