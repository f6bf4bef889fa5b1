//! The resources without a lifecycle: flags, segments, metrics, layers, holdouts. One set of use cases serves them all.

use assay_core::{experiment::Experiment, lifecycle::State, validate::Findings};
use assay_storage::config_store::Filter;

use crate::{
    error::Error,
    truth::{Call, Stored, Truth, Writes, name},
};

/// What differs between them: what a resource must keep, and who depends on it.
#[tonic::async_trait]
pub(crate) trait Simple: Stored {
    /// Checks the resource alone.
    fn check(&self) -> Findings;

    /// Refuses a resource that refers to what does not exist, and adds the checks of what it refers to.
    async fn check_references(&self, truth: &Truth, call: &Call, writes: Writes) -> Result<Writes, Error>;

    /// Refuses a change that those who use the resource do not bear, and adds the checks of what that was decided on.
    async fn check_change(
        truth: &Truth,
        call: &Call,
        current: &Self,
        updated: &Self,
        writes: Writes,
    ) -> Result<Writes, Error>;

    /// The names of those who refer to it.
    async fn users(&self, truth: &Truth, call: &Call) -> Result<Vec<String>, Error>;

    /// Adds what must go with the resource when it is removed.
    async fn go_along(&self, _: &Truth, _: &Call, writes: Writes) -> Result<Writes, Error> {
        Ok(writes)
    }
}

/// Lets through experiments of every state.
pub(crate) fn every_state() -> Filter {
    let states = [
        "DRAFT",
        "SCHEDULED",
        "RUNNING",
        "PAUSED",
        "COMPLETED",
        "ENDED",
        "ARCHIVED",
    ];
    Filter {
        states: states.map(str::to_owned).to_vec(),
        ..Filter::default()
    }
}

/// The experiments, archived ones too, that `refers` is true of.
pub(crate) async fn experiments(
    truth: &Truth,
    call: &Call,
    refers: impl Fn(&Experiment) -> bool,
) -> Result<Vec<Experiment>, Error> {
    let mut all: Vec<Experiment> = truth.all(&call.namespace, &every_state()).await?;
    all.retain(refers);
    Ok(all)
}

/// Those that are live, and those that are drafts: a draft may be started while somebody decides about what it uses, so such a decision
/// must check that it was not.
pub(crate) fn live_and_drafts(experiments: Vec<Experiment>) -> (Vec<Experiment>, Vec<Experiment>) {
    let (live, others): (Vec<_>, Vec<_>) = experiments.into_iter().partition(|e| e.state.is_live());
    (
        live,
        others.into_iter().filter(|e| e.state == State::Draft).collect(),
    )
}

/// `experiment/a` for each.
pub(crate) fn names<'a, R: Stored>(resources: impl IntoIterator<Item = &'a R>) -> Vec<String> {
    resources
        .into_iter()
        .map(|resource| name::<R>(resource.key()))
        .collect()
}
