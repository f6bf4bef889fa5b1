//! Experiments: one use case per file, and what they share.

pub(crate) mod archive;
pub(crate) mod cohort;
pub(crate) mod create;
pub(crate) mod declare_winner;
pub(crate) mod delete;
pub(crate) mod duplicate;
pub(crate) mod end;
mod launch;
pub(crate) mod pause;
pub(crate) mod read;
mod references;
pub(crate) mod resume;
pub(crate) mod schedule;
pub(crate) mod sketch;
pub(crate) mod start;
pub(crate) mod stop;
mod traffic;
pub(crate) mod unarchive;
pub(crate) mod undo;
pub(crate) mod unschedule;
pub(crate) mod update;
pub(crate) mod validate;

use assay_core::{
    commands::{self, Applied, refused_for},
    experiment::Experiment,
    key::{ExperimentKey, VariantKey},
    lifecycle::{Command, InvalidTransition},
    time::Timestamp,
    validate::Violation,
};
use assay_proto::{convert::key_from, field::FieldErrors};

use crate::{
    error::{Error, refuse_long},
    truth::{Call, Deed, Stored, Truth, name, stored_as},
};

/// An experiment, and what is worth a look.
pub(crate) type WithWarnings = (Experiment, Vec<Violation>);

/// Which experiment a command is for, in which version the caller has seen it, and why.
#[derive(Debug)]
pub(crate) struct Order {
    key: String,
    version: u64,
    /// May be empty.
    reason: String,
}

impl Order {
    pub(crate) fn new(key: String, version: u64, reason: String) -> Self {
        Self { key, version, reason }
    }

    /// Refuses an order without a key or a version, or with too long a reason, together with the `errors` that were found before.
    fn check(&self, mut errors: FieldErrors) -> Result<(), Error> {
        errors.keep(key_from(self.key.as_str(), "key", ExperimentKey::new));
        if self.version == 0 {
            errors.push("version", "REQUIRED", VERSION_MISSING);
        }
        refuse_long(&self.reason, &mut errors);
        if errors.0.is_empty() {
            Ok(())
        } else {
            Err(errors.into())
        }
    }

    /// The experiment in the version that was seen.
    async fn experiment(&self, truth: &Truth, call: &Call) -> Result<Experiment, Error> {
        truth.get_at(&call.namespace, &self.key, self.version).await
    }

    fn deed(&self, verb: &str) -> Deed {
        Deed::new::<Experiment>(verb, &self.key, &self.reason)
    }
}

/// What is said of a write that does not name a version.
pub(crate) const VERSION_MISSING: &str = "is missing; give the version that you have read";

/// Refuses what is final unless the caller has confirmed it.
fn confirmed(confirm: bool, what: &str) -> FieldErrors {
    match confirm {
        true => FieldErrors::default(),
        false => FieldErrors::one(
            "confirm",
            "CONFIRM_REQUIRED",
            format!("is not set; {what}, so set it to true"),
        ),
    }
}

/// A command that changes nothing but the experiment itself.
async fn carry_out(
    truth: &Truth,
    call: &Call,
    order: &Order,
    verb: &str,
    command: &Command,
) -> Result<Experiment, Error> {
    let current = order.experiment(truth, call).await?;
    let updated = apply(&current, command, truth.now())?;
    store(truth, call, order.deed(verb), &current, updated).await
}

async fn store(
    truth: &Truth,
    call: &Call,
    deed: Deed,
    current: &Experiment,
    updated: Experiment,
) -> Result<Experiment, Error> {
    let writes = traffic::replacing(truth, call, current, updated).await?;
    truth.commit(call, deed, writes).await.map(stored_as)
}

/// `current` after `command`.
fn apply(current: &Experiment, command: &Command, now: Timestamp) -> Result<Experiment, Error> {
    match commands::apply(current, command, now) {
        Ok(Applied::Updated(updated)) => Ok(*updated),
        // Only Delete and Duplicate, which never come here, leave the experiment as it is.
        Ok(Applied::Deleted | Applied::Copied) => Ok(current.clone()),
        Err(source) => Err(invalid(current, source, now)),
    }
}

fn invalid(current: &Experiment, source: InvalidTransition, now: Timestamp) -> Error {
    Error::InvalidTransition {
        what: name::<Experiment>(current.key()),
        source: refused_for(current, source, now),
    }
}

/// The refusal of a key that names none of the variants.
fn unknown_variant(experiment: &Experiment, key: &VariantKey, field: &'static str) -> Error {
    let keys: Vec<_> = experiment
        .variants
        .iter()
        .map(|variant| variant.key.as_str())
        .collect();
    let message = format!(
        "`{key}` is not one of the variants; name one of {}",
        keys.join(", ")
    );
    Error::field(field, "UNKNOWN_VARIANT", message)
}

/// 128 random bits: what makes the hashes of an experiment, a layer or a holdout independent of all others.
pub(crate) fn new_salt() -> String {
    format!("{:032x}", rand::random::<u128>())
}
