//! Another cohort: announced by a person, opened by the clock when every replica has settled.
//!
//! From the announcement on a first assignment is remembered before it is given. What was given before may still be on its way to the unit
//! store; when no replica has any of that left, a unit that is not remembered has not been seen, and the new weights may hold for it.

use std::time::Duration;

use assay_core::{
    experiment::Experiment,
    hashing::Division,
    key::VariantKey,
    lifecycle::{Action, invalid},
    traffic::{Opening, open_cohort},
    weights::Weights,
};
use assay_proto::field::FieldErrors;
use tokio::time::{Instant, sleep};

use super::{Order, store, unknown_variant};
use crate::{
    error::Error,
    fence::Fences,
    truth::{Call, Deed, Stored, Truth, Writes, name, stored_as},
};

/// How often somebody who waits looks whether the cohort can open.
const LOOK: Duration = Duration::from_millis(50);

/// How the units of a new cohort are split.
#[derive(Debug)]
pub(crate) enum Split {
    /// By these weights.
    Weights(Weights),
    /// As before, without this variant.
    Without(VariantKey),
}

/// Announces the cohort.
pub(crate) async fn add_cohort(
    truth: &Truth,
    call: &Call,
    order: Order,
    split: Split,
) -> Result<Experiment, Error> {
    order.check(FieldErrors::default())?;
    let current = order.experiment(truth, call).await?;
    let what = || name::<Experiment>(current.key());
    if !current.state.is_open() {
        let refusal = invalid(&current.state, Action::AddCohort);
        return Err(super::invalid(&current, refusal, truth.now()));
    }
    if !current.stores_assignments() {
        return Err(Error::NeedsStored {
            what: what(),
            wanted: "ADD_COHORT",
            remedy: "stop it, duplicate it, and start the copy with the new weights and `sticky` STORED",
            allowed: current.allowed_actions(truth.now()),
        });
    }
    if current.traffic.opening.is_some() {
        return Err(Error::CohortOpening {
            what: what(),
            allowed: current.allowed_actions(truth.now()),
        });
    }
    if !current.traffic.hashing.ranges.is_empty() {
        let message = "would change nothing: the ranges of its `hashing` say who gets what, and they are fixed since Start; stop it, and Duplicate it";
        return Err(Error::field("weights", "RANGES_FIX_WEIGHTS", message));
    }
    let weights = weights(&current, split)?;
    let variants = current.variants.iter().map(|variant| &variant.key);
    let hashing = &current.traffic.hashing;
    Division::new(hashing, &current.salt, variants, &weights, current.coverage)
        .map_err(|impossible| Error::field("weights", "HASH_SHARE", impossible.to_string()))?;
    let mut announced = current.clone();
    announced.traffic.opening = Some(Opening {
        weights,
        since: truth.generation(&call.namespace).await?,
    });
    store(truth, call, order.deed("add_cohort"), &current, announced).await
}

fn weights(current: &Experiment, split: Split) -> Result<Weights, Error> {
    let n_variants = current.variants.len();
    match split {
        Split::Weights(weights) if weights.shares().len() != n_variants => {
            let n = weights.shares().len();
            let message = format!("{n} are given for {n_variants} variants; give one for each");
            Err(Error::field("weights", "WEIGHTS_COUNT", message))
        }
        Split::Weights(weights) if current.weights() == Some(&weights) => {
            let message = "are those of the last cohort; give others, or leave it as it is";
            Err(Error::field("weights", "WEIGHTS_UNCHANGED", message))
        }
        Split::Weights(weights) => Ok(weights),
        Split::Without(closed) => without(current, &closed),
    }
}

fn without(current: &Experiment, closed: &VariantKey) -> Result<Weights, Error> {
    const FIELD: &str = "closed_variant_key";
    let position = current.variants.iter().position(|variant| variant.key == *closed);
    let last = current.weights();
    let share = |at: usize| last.and_then(|last| last.shares().get(at)).copied();
    match position {
        None => Err(unknown_variant(current, closed, FIELD)),
        Some(0) => {
            let message = format!(
                "`{closed}` is the control, which all others are compared with; close another, or Stop"
            );
            Err(Error::field(FIELD, "CONTROL_CLOSED", message))
        }
        Some(at) if share(at) == Some(0) => {
            let message = format!("`{closed}` gets no new units already; close another");
            Err(Error::field(FIELD, "ALREADY_CLOSED", message))
        }
        Some(at) => last.and_then(|last| last.without(at)).ok_or_else(|| {
            let message = format!("`{closed}` is the only variant that gets new units; give weights instead");
            Error::field(FIELD, "LAST_VARIANT", message)
        }),
    }
}

/// Opens the cohort that `experiment`, as it was read, has announced, when every replica has settled; None while one has not.
pub(crate) async fn open(
    truth: &Truth,
    fences: &Fences,
    call: &Call,
    experiment: &Experiment,
) -> Result<Option<Experiment>, Error> {
    // Every change of the experiment since the announcement came after it: to wait for the last of them is to wait long enough.
    if !fences
        .is_settled(&call.namespace, experiment.meta.generation)
        .await?
    {
        return Ok(None);
    }
    // A lower bound, as of the first cohort: until the change is published nobody is split by it.
    let generation = truth.next_generation(&call.namespace).await?;
    let Some(opened) = open_cohort(experiment, generation) else {
        return Ok(None);
    };
    let cohort = opened.cohorts.len();
    let deed = Deed::new::<Experiment>(
        "open_cohort",
        experiment.key(),
        "what was given before is remembered",
    );
    let committed = truth.commit(call, deed, Writes::default().replace(experiment, opened));
    let opened = stored_as(committed.await?);
    tracing::info!(experiment = name::<Experiment>(experiment.key()), namespace = %call.namespace, cohort, "a cohort is open");
    Ok(Some(opened))
}

/// The experiment once the cohort that it has `announced` is open, or as it is when `wait` is over; and what is left of that.
pub(crate) async fn opened(
    truth: &Truth,
    fences: &Fences,
    call: &Call,
    announced: &Experiment,
    wait: Duration,
) -> Result<(Experiment, Duration), Error> {
    let end = Instant::now() + wait;
    let mut current = announced.clone();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if current.traffic.opening.is_none() || left.is_zero() {
            return Ok((current, left));
        }
        match open(truth, fences, call, &current).await {
            Ok(Some(opened)) => return Ok((opened, left)),
            Ok(None) => sleep(LOOK.min(left)).await,
            // Somebody was faster, the clock most likely.
            Err(Error::VersionMismatch { .. }) => {
                current = truth.get(&call.namespace, current.key()).await?;
            }
            Err(error) => return Err(error),
        }
    }
}
