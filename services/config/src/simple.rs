//! The resources without a lifecycle: flags, segments, metrics, layers, holdouts. One set of use cases serves them all.

use assay_core::{
    experiment::Experiment,
    lifecycle::State,
    validate::{Findings, Violation},
};
use assay_storage::config_store::Filter;

use crate::{
    error::Error,
    truth::{Call, Stored, Truth, Writes, name},
};

/// What a change is made of besides the new resource, and what is worth a look.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) writes: Writes,
    pub(crate) warnings: Vec<Violation>,
}

impl From<Writes> for Changed {
    fn from(writes: Writes) -> Self {
        Self {
            writes,
            warnings: Vec::new(),
        }
    }
}

/// Most times that a decision is made anew because the namespace was changed while it was made.
pub(crate) const ATTEMPTS: u32 = 16;

/// What differs between them: what a resource must keep, and who depends on it.
#[tonic::async_trait]
pub(crate) trait Simple: Stored {
    /// Checks the resource alone.
    fn check(&self) -> Findings;

    /// Fills in what a resource says only by reference.
    async fn resolve(self, _: &Truth, _: &Call) -> Result<Self, Error> {
        Ok(self)
    }

    /// Refuses a resource that refers to what does not exist, and adds the checks of what it refers to.
    async fn check_references(&self, truth: &Truth, call: &Call, writes: Writes) -> Result<Writes, Error>;

    /// Refuses a change that those who use the resource do not bear, and adds what else is to be written and the checks of what that was
    /// decided on. `generation` was read before all else: who decides on what does not exist names it.
    async fn check_change(
        truth: &Truth,
        call: &Call,
        current: &Self,
        updated: &Self,
        generation: u64,
        writes: Writes,
    ) -> Result<Changed, Error>;

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
