//! Changes a flag, a segment or a metric.

use crate::{
    error::{Error, refuse},
    simple::Simple,
    truth::{Call, Deed, Truth, Writes, stored_as},
};

/// Stores what `edit` makes of the resource in `version`. An edit that changes nothing writes nothing.
pub(crate) async fn update<R: Simple>(
    truth: &Truth,
    call: &Call,
    key: &str,
    version: u64,
    edit: impl FnOnce(&R) -> Result<R, Error> + Send,
) -> Result<R, Error> {
    let current: R = truth.get_at(&call.namespace, key, version).await?;
    let updated = edit(&current)?;
    if updated == current {
        return Ok(current);
    }
    refuse(updated.check().errors)?;
    let writes = Writes::default().replace(&current, updated.clone());
    let writes = updated.check_references(truth, call, writes).await?;
    let writes = R::check_change(truth, call, &current, &updated, writes).await?;
    truth
        .commit(call, Deed::new::<R>("update", key, ""), writes)
        .await
        .map(stored_as)
}
