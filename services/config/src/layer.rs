//! What layers must keep besides their own rules: where its buckets lie does not change beneath an experiment that has met units.

use assay_core::{
    experiment::Experiment,
    holdout::{Holdout, Scope},
    layer::Layer,
    lifecycle::State,
    validate::{self, Findings},
};
use assay_storage::config_store::Filter;

use crate::{
    error::Error,
    simple::{Changed, Simple, experiments, names},
    truth::{Call, Stored, Truth, Writes, name},
};

#[tonic::async_trait]
impl Simple for Layer {
    fn check(&self) -> Findings {
        validate::layer(self)
    }

    async fn check_references(&self, _: &Truth, _: &Call, writes: Writes) -> Result<Writes, Error> {
        Ok(writes)
    }

    async fn check_change(
        truth: &Truth,
        call: &Call,
        current: &Self,
        updated: &Self,
        _: u64,
        writes: Writes,
    ) -> Result<Changed, Error> {
        if updated.salt == current.salt && updated.unit_kind == current.unit_kind {
            return Ok(writes.into());
        }
        // A draft takes what it finds at Start, which reads the layer in its version of then.
        let by = experiments(truth, call, |e| refers(e, current) && e.state != State::Draft).await?;
        if by.is_empty() {
            return Ok(writes.into());
        }
        let remedy = "its salt and unit kind are fixed while they refer to it; create another layer";
        Err(Error::InUse {
            what: name::<Self>(current.key()),
            by: names(&by),
            remedy,
        })
    }

    async fn users(&self, truth: &Truth, call: &Call) -> Result<Vec<String>, Error> {
        let mut users = names(&experiments(truth, call, |e| refers(e, self)).await?);
        let mut holdouts: Vec<Holdout> = truth.all(&call.namespace, &Filter::default()).await?;
        holdouts
            .retain(|holdout| matches!(&holdout.scope, Scope::Layers(layers) if layers.contains(&self.key)));
        users.extend(names(&holdouts));
        Ok(users)
    }
}

/// Whether `experiment` refers to `layer`.
fn refers(experiment: &Experiment, layer: &Layer) -> bool {
    let place = experiment.traffic.layer.as_ref();
    place.is_some_and(|place| place.key == layer.key)
}
