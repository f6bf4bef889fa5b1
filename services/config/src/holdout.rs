//! What holdouts must keep besides their own rules: whom they hold does not change beneath those who rely on it.

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    holdout::{Holdout, Scope},
    layer::Layer,
    validate::{self, Findings},
};
use assay_proto::field::FieldErrors;
use assay_storage::config_store::Filter;

use crate::{
    error::Error,
    simple::{Changed, Simple, experiments, names},
    truth::{Call, Stored, Truth, Writes, name},
};

#[tonic::async_trait]
impl Simple for Holdout {
    fn check(&self) -> Findings {
        validate::holdout(self)
    }

    async fn check_references(
        &self,
        truth: &Truth,
        call: &Call,
        mut writes: Writes,
    ) -> Result<Writes, Error> {
        let Scope::Layers(layers) = &self.scope else {
            return Ok(writes);
        };
        let mut missing = FieldErrors::default();
        for (i, key) in layers.iter().enumerate() {
            let found: Option<Layer> = truth.find(&call.namespace, key.as_str()).await?;
            if found.is_none() {
                let message = format!("names layer `{key}`, which does not exist; create it first");
                missing.push(format!("layer_keys[{i}]"), "LAYER_NOT_FOUND", message);
            }
            writes = writes.check(&found);
        }
        missing.finish(Some(writes)).map_err(Error::from)
    }

    async fn check_change(
        truth: &Truth,
        call: &Call,
        current: &Self,
        updated: &Self,
        _: u64,
        writes: Writes,
    ) -> Result<Changed, Error> {
        let holds = |holdout: &Self| {
            let Self {
                unit_kind,
                share,
                salt,
                scope,
                ..
            } = holdout.clone();
            (unit_kind, share, salt, scope)
        };
        if holds(updated) == holds(current) {
            return Ok(writes.into());
        }
        let mut by = current.users(truth, call).await?;
        by.extend(names(&keeping(current, truth, call).await?));
        if by.is_empty() {
            return Ok(writes.into());
        }
        let remedy = "whom it holds is fixed while they rely on it; create another holdout";
        Err(Error::InUse {
            what: name::<Self>(current.key()),
            by,
            remedy,
        })
    }

    async fn users(&self, truth: &Truth, call: &Call) -> Result<Vec<String>, Error> {
        // What Undo may bring back needs it as it was.
        let now = truth.now();
        let returns = |e: &Experiment| e.undoable(now).is_some_and(|undo| undo.before.is_live());
        let bound =
            |e: &Experiment| (e.state.is_live() || returns(e)) && e.traffic.holdouts.contains(&self.key);
        Ok(names(&experiments(truth, call, bound).await?))
    }

    /// With the holdout the old defaults go that flags keep for it: its units get what everyone gets.
    async fn go_along(&self, truth: &Truth, call: &Call, mut writes: Writes) -> Result<Writes, Error> {
        for flag in keeping(self, truth, call).await? {
            let mut freed = flag.clone();
            freed.held_defaults.retain(|held| held.holdout != self.key);
            writes = writes.replace(&flag, freed);
        }
        Ok(writes)
    }
}

/// The flags that keep an old default for `holdout`.
async fn keeping(holdout: &Holdout, truth: &Truth, call: &Call) -> Result<Vec<Flag>, Error> {
    let mut flags: Vec<Flag> = truth.all(&call.namespace, &Filter::default()).await?;
    flags.retain(|flag| flag.held_defaults.iter().any(|held| held.holdout == holdout.key));
    Ok(flags)
}
