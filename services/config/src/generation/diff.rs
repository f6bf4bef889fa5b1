//! What differs between two generations.

use std::collections::BTreeMap;

use assay_storage::config_store::{Kind, Resource};

use super::Pair;
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// The resources of both generations, in order of kind and key, each with what it was in the other.
pub(crate) async fn diff(truth: &Truth, call: &Call, from: u64, to: u64) -> Result<Vec<Pair>, Error> {
    let from = truth.published_at(&call.namespace, from).await?;
    let to = truth.published_at(&call.namespace, to).await?;
    let mut pairs: BTreeMap<(Kind, String), Pair> = BTreeMap::new();
    for resource in from.resources {
        let pair = pairs.entry(id(&resource)).or_default();
        pair.0 = Some(resource);
    }
    for resource in to.resources {
        let pair = pairs.entry(id(&resource)).or_default();
        pair.1 = Some(resource);
    }
    Ok(pairs.into_values().collect())
}

fn id(resource: &Resource) -> (Kind, String) {
    (resource.kind(), resource.key().to_owned())
}
