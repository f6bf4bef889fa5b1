//! All that a namespace has, at one generation.

use assay_core::lifecycle::State;
use assay_storage::config_store::Resource;

use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// Most times that the namespace is read anew because it was changed while it was read.
const ATTEMPTS: u32 = 16;

/// The generation, and its resources in order of kind and key, but for archived experiments.
pub(crate) async fn export(truth: &Truth, call: &Call) -> Result<(u64, Vec<Resource>), Error> {
    for _ in 0..ATTEMPTS {
        let stage = truth.stage(&call.namespace).await?;
        if truth.generation(&call.namespace).await? == stage.read_at() {
            let mut resources = stage.resources();
            resources.retain(|resource| !is_archived(resource));
            return Ok((stage.read_at(), resources));
        }
    }
    Err(Error::Moved {
        namespace: call.namespace.to_string(),
    })
}

fn is_archived(resource: &Resource) -> bool {
    matches!(resource, Resource::Experiment(experiment) if matches!(experiment.state, State::Archived { .. }))
}
