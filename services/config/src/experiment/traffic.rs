//! With whom an experiment shares units: its layer, the holdouts that cover it, the flags of its prerequisites.

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    holdout::Holdout,
    key::FlagKey,
    layer::Layer,
    lifecycle::State,
    time::Timestamp,
    traffic::{prerequisite_path, settle},
};
use assay_proto::field::FieldErrors;
use assay_storage::config_store::Filter;

use crate::{
    error::Error,
    truth::{Call, Truth, Writes},
};

/// What exists of it.
pub(super) struct SharedWith {
    pub(super) layer: Option<Layer>,
    /// The layer as it is to be stored.
    settled: Option<Layer>,
    /// Those that cover the experiment.
    holdouts: Vec<Holdout>,
    /// The flags of its prerequisites.
    pub(super) flags: Vec<Flag>,
    /// A way through prerequisites that comes back or is too long.
    pub(super) path: Option<Vec<FlagKey>>,
    /// The other experiments whose prerequisites were looked at.
    others: Vec<Experiment>,
    /// When they were looked at: one more of them may close a way.
    at: Option<u64>,
}

impl SharedWith {
    pub(super) async fn read(truth: &Truth, call: &Call, experiment: &Experiment) -> Result<Self, Error> {
        let layer = match &experiment.traffic.layer {
            Some(place) => truth.find(&call.namespace, place.key.as_str()).await?,
            None => None,
        };
        let mut holdouts: Vec<Holdout> = truth.all(&call.namespace, &Filter::default()).await?;
        holdouts.retain(|holdout| holdout.covers(experiment));
        let required = experiment.traffic.prerequisites.iter();
        let keys: Vec<_> = required
            .map(|prerequisite| prerequisite.flag.to_string())
            .collect();
        let (mut flags, mut others, mut at) = (Vec::new(), Vec::new(), None);
        if !keys.is_empty() {
            at = Some(truth.generation(&call.namespace).await?);
            flags = truth.find_all(&call.namespace, &keys).await?;
            others = requiring(truth, call).await?;
        }
        Ok(Self {
            settled: layer.clone(),
            layer,
            holdouts,
            flags,
            path: prerequisite_path(experiment, &others),
            others,
            at,
        })
    }

    /// What stands already is no reason to refuse a change of something else.
    pub(super) fn accept_path(&mut self) {
        self.path = None;
        self.at = None;
    }

    /// See [`super::references::Found::settle`].
    pub(super) fn settle(
        &mut self,
        before: &Experiment,
        experiment: &mut Experiment,
        now: Timestamp,
    ) -> Result<(), Error> {
        if let Some(layer) = &mut self.settled {
            settle(layer, before, experiment, now).map_err(Error::LayerFull)?;
        }
        if matches!(before.state, State::Draft | State::Scheduled) && experiment.state.is_live() {
            let keys = self.holdouts.iter().map(|holdout| holdout.key.clone());
            experiment.traffic.holdouts = keys.collect();
        }
        Ok(())
    }

    pub(super) fn refuse_missing(
        &self,
        experiment: &Experiment,
        current: Option<&Experiment>,
        errors: &mut FieldErrors,
    ) {
        let before = current.map(|current| &current.traffic);
        if let (Some(place), None) = (&experiment.traffic.layer, &self.layer)
            && before
                .and_then(|before| before.layer.as_ref())
                .is_none_or(|old| old.key != place.key)
        {
            let message = format!(
                "names layer `{}`, which does not exist; create it, or choose another",
                place.key
            );
            errors.push("layer_key", "LAYER_NOT_FOUND", message);
        }
        for (i, prerequisite) in experiment.traffic.prerequisites.iter().enumerate() {
            let exists = self.flags.iter().any(|flag| flag.key == prerequisite.flag);
            let is_old = before.is_some_and(|before| before.prerequisites.contains(prerequisite));
            if !exists && !is_old {
                let message = format!(
                    "names flag `{}`, which does not exist; create it first",
                    prerequisite.flag
                );
                errors.push(format!("prerequisites[{i}].flag_key"), "FLAG_NOT_FOUND", message);
            }
        }
    }

    /// Adds the write of the layer when it changes, and the checks of all that was read.
    pub(super) fn check(&self, writes: Writes) -> Writes {
        let writes = match (&self.layer, &self.settled) {
            (Some(stored), Some(settled)) if stored != settled => writes.replace(stored, settled.clone()),
            (stored, _) => writes.check(stored),
        };
        let writes = match self.at {
            Some(generation) => writes.at(generation),
            None => writes,
        };
        writes
            .check(&self.holdouts)
            .check(&self.flags)
            .check(&self.others)
    }
}

/// The drafts and live experiments that have prerequisites.
async fn requiring(truth: &Truth, call: &Call) -> Result<Vec<Experiment>, Error> {
    let states = ["DRAFT", "SCHEDULED", "RUNNING", "PAUSED"]
        .map(str::to_owned)
        .to_vec();
    let filter = Filter {
        states,
        ..Filter::default()
    };
    let mut found: Vec<Experiment> = truth.all(&call.namespace, &filter).await?;
    found.retain(|experiment| !experiment.traffic.prerequisites.is_empty());
    Ok(found)
}

/// The writes that store `updated` in place of `current`, and what that means for its layer.
pub(super) async fn replacing(
    truth: &Truth,
    call: &Call,
    current: &Experiment,
    mut updated: Experiment,
) -> Result<Writes, Error> {
    if updated.state == State::Draft {
        updated.traffic.holdouts.clear();
    }
    let Some(place) = &updated.traffic.layer else {
        return Ok(Writes::default().replace(current, updated));
    };
    let stored: Option<Layer> = truth.find(&call.namespace, place.key.as_str()).await?;
    let mut settled = stored.clone();
    if let Some(layer) = &mut settled {
        settle(layer, current, &mut updated, truth.now()).map_err(Error::LayerFull)?;
    }
    let writes = Writes::default().replace(current, updated);
    Ok(match (stored, settled) {
        (Some(stored), Some(settled)) if stored != settled => writes.replace(&stored, settled),
        _ => writes,
    })
}
