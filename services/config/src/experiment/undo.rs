//! COMPLETED → the state before Stop or `DeclareWinner`, for a minute.

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    lifecycle::{Action, Command, Outcome, State, invalid as transition},
    time::Timestamp,
    undo::Undo,
    validate::override_conflict,
};
use assay_proto::field::FieldErrors;

use super::{Order, apply, invalid, references::bound_by};
use crate::{
    error::Error,
    truth::{Call, Stored, Truth, Writes, both, name},
};

/// Restores state, default and binding of the flag exactly, if nothing else has taken their place meanwhile.
pub(crate) async fn undo(truth: &Truth, call: &Call, order: Order) -> Result<(Experiment, Flag), Error> {
    order.check(FieldErrors::default())?;
    let current = order.experiment(truth, call).await?;
    let now = truth.now();
    let undo = possible(&current, now)?;
    let flag: Flag = truth.get(&call.namespace, current.flag.as_str()).await?;
    let restored = restored(&current, undo, &flag)?;
    let before = Box::new(undo.before.clone());
    let back = apply(&current, &Command::Undo { before }, now)?;
    let (experiment, of_flag) = (name::<Experiment>(current.key()), name::<Flag>(flag.key()));
    if back.state.is_live() {
        if let Some(other) = bound_by(truth, call, &back).await? {
            let by = name::<Experiment>(other.as_str());
            return Err(Error::FlagBound { flag: of_flag, by });
        }
        if let Some(segment) = back
            .segment
            .as_ref()
            .filter(|_| override_conflict(&restored, &back))
        {
            return Err(Error::OverrideInTheWay {
                experiment,
                flag: of_flag,
                segment: segment.to_string(),
            });
        }
    }
    let mut writes = Writes::default().replace(&current, back);
    if restored != flag {
        writes = writes.replace(&flag, restored);
    }
    let committed = truth
        .commit(call, order.deed("undo"), writes.check([&flag]))
        .await?;
    Ok(both(committed, flag))
}

/// What is to be brought back, while it is.
fn possible(current: &Experiment, now: Timestamp) -> Result<&Undo, Error> {
    let is_decided = matches!(
        current.state,
        State::Completed(Outcome::NoWinner | Outcome::Winner(_))
    );
    match current.undoable(now) {
        Some(undo) => Ok(undo),
        None if is_decided => Err(Error::UndoExpired {
            what: name::<Experiment>(current.key()),
            until: current.undo.as_ref().map(|undo| undo.until),
            allowed: current.allowed_actions(now),
        }),
        None => Err(invalid(current, transition(&current.state, Action::Undo), now)),
    }
}

/// The flag with the default that it had before.
fn restored(current: &Experiment, undo: &Undo, flag: &Flag) -> Result<Flag, Error> {
    let winner = match &current.state {
        State::Completed(Outcome::Winner(winner)) => current.variant(winner),
        _ => None,
    };
    match undo.flag.as_ref().zip(winner) {
        None => Ok(flag.clone()),
        Some((before, winner)) => before.restored(flag, winner).ok_or_else(|| Error::FlagChanged {
            what: name::<Experiment>(current.key()),
            flag: name::<Flag>(flag.key()),
        }),
    }
}
