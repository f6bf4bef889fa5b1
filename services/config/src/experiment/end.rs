//! COMPLETED → ENDED

use assay_core::{
    experiment::Experiment,
    lifecycle::{Command, transition},
    record::Sighting,
};
use assay_proto::field::FieldErrors;

use super::{Order, carry_out, invalid};
use crate::{
    error::Error,
    signal::Signals,
    truth::{Call, Stored, Truth, name},
};

/// Ends the experiment: nothing is served for it any more; its reports stay. Says who has asked for it or its flag lately; then, and when
/// that cannot be known, a person must insist.
pub(crate) async fn end(
    truth: &Truth,
    call: &Call,
    order: Order,
    signals: &Signals,
    force: bool,
) -> Result<(Experiment, Vec<Sighting>), Error> {
    order.check(FieldErrors::default())?;
    let current = order.experiment(truth, call).await?;
    let refused = |source| invalid(&current, source, truth.now());
    transition(&current.state, &Command::End).map_err(refused)?;
    let what = name::<Experiment>(current.key());
    let callers = match signals.callers(call, &current, truth.now()).await {
        Some(callers) if callers.is_empty() || force => callers,
        Some(callers) => return Err(Error::CallersSeen { what, callers }),
        None if force => Vec::new(),
        None => return Err(Error::CallersUnknown { what }),
    };
    let ended = carry_out(truth, call, &order, "end", &Command::End).await?;
    Ok((ended, callers))
}
