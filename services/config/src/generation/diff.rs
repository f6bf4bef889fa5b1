//! What differs between two generations.

use super::Pair;
use crate::{
    error::Error,
    stage::pairs,
    truth::{Call, Truth},
};

/// The resources of both generations, in order of kind and key, each with what it was in the other.
pub(crate) async fn diff(truth: &Truth, call: &Call, from: u64, to: u64) -> Result<Vec<Pair>, Error> {
    let from = truth.published_at(&call.namespace, from).await?;
    let to = truth.published_at(&call.namespace, to).await?;
    Ok(pairs(from.resources, to.resources))
}
