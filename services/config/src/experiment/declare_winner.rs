//! → COMPLETED with a winner: everyone gets it, and it becomes the flag's default.

use assay_core::{
    experiment::{AssignmentSource, Experiment, Variant},
    flag::Flag,
    key::VariantKey,
    lifecycle::Command,
    undo::{FlagBefore, Undo},
};
use assay_proto::field::FieldErrors;

use super::{Order, apply, unknown_variant};
use crate::{
    error::Error,
    signal::Signals,
    truth::{Call, Stored, Truth, Writes, both, name},
};

/// Completes the experiment and promotes the winner's value in one change. Unless a person insists, `signals` are asked, and must carry the
/// winner.
///
/// The flag of an imported experiment stays as it is: what was decided elsewhere is served elsewhere.
pub(crate) async fn declare_winner(
    truth: &Truth,
    call: &Call,
    order: Order,
    winner: VariantKey,
    signals: Option<&Signals>,
) -> Result<(Experiment, Flag), Error> {
    order.check(reasoned(&order))?;
    let current = order.experiment(truth, call).await?;
    let mut completed = apply(&current, &Command::DeclareWinner(winner.clone()), truth.now())?;
    let variant = current
        .variant(&winner)
        .ok_or_else(|| unknown_variant(&current, &winner, "variant_key"))?;
    if let Some(signals) = signals {
        let signal = signals.of(call, current.key(), &winner).await;
        signal.map_err(|source| Error::NoWinnerSignal {
            what: name::<Experiment>(current.key()),
            source,
        })?;
    }
    completed.reason.clone_from(&order.reason);
    let flag: Flag = truth.get(&call.namespace, current.flag.as_str()).await?;
    let promoted = promoted(&flag, &current, variant);

    if promoted != flag {
        completed.undo = completed.undo.map(|undo| Undo {
            flag: Some(FlagBefore::of(&flag)),
            ..undo
        });
    }
    let mut writes = Writes::default().replace(&current, completed);
    if promoted != flag {
        writes = writes.replace(&flag, promoted);
    }
    let committed = truth
        .commit(call, order.deed("declare_winner"), writes.check([&flag]))
        .await?;
    Ok(both(committed, flag))
}

fn promoted(flag: &Flag, experiment: &Experiment, winner: &Variant) -> Flag {
    let mut promoted = flag.clone();
    if experiment.source == AssignmentSource::Assay {
        if winner.value != flag.default_value {
            promoted.hold_default(&experiment.traffic.holdouts);
        }
        promoted.promote(winner);
    }
    promoted
}

fn reasoned(order: &Order) -> FieldErrors {
    match order.reason.trim() {
        "" => FieldErrors::one("reason", "REQUIRED", "is empty; say why this variant wins"),
        _ => FieldErrors::default(),
    }
}
