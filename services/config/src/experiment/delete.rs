//! Removes a draft.

use assay_core::lifecycle::{Command, transition};
use assay_proto::field::FieldErrors;

use super::{Order, invalid};
use crate::{
    error::Error,
    truth::{Call, Truth, Writes},
};

/// Removes the draft. What has ever been started keeps its history and is archived instead.
pub(crate) async fn delete(truth: &Truth, call: &Call, order: Order) -> Result<(), Error> {
    order.check(FieldErrors::default())?;
    let current = order.experiment(truth, call).await?;
    let refused = |source| invalid(&current, source, truth.now());
    transition(&current.state, &Command::Delete).map_err(refused)?;
    truth
        .commit(call, order.deed("delete"), Writes::default().delete(&current))
        .await?;
    Ok(())
}
