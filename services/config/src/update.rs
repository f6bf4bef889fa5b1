//! Changes a flag, a segment or a metric.

use assay_core::validate::Violation;

use crate::{
    error::{Error, refuse},
    simple::{ATTEMPTS, Simple},
    truth::{Call, Deed, Truth, Writes, stored_as},
};

/// Stores what `edit` makes of the resource in `version`, and says what is worth a look. An edit that changes nothing writes nothing.
pub(crate) async fn update<R: Simple>(
    truth: &Truth,
    call: &Call,
    key: &str,
    version: u64,
    edit: impl Fn(&R) -> Result<R, Error> + Send + Sync,
) -> Result<(R, Vec<Violation>), Error> {
    for _ in 1..ATTEMPTS {
        match attempt(truth, call, key, version, &edit).await {
            Err(Error::Moved { .. }) => {}
            other => return other,
        }
    }
    attempt(truth, call, key, version, &edit).await
}

async fn attempt<R: Simple>(
    truth: &Truth,
    call: &Call,
    key: &str,
    version: u64,
    edit: &(impl Fn(&R) -> Result<R, Error> + Send + Sync),
) -> Result<(R, Vec<Violation>), Error> {
    let generation = truth.generation(&call.namespace).await?;
    let current: R = truth.get_at(&call.namespace, key, version).await?;
    let updated = edit(&current)?;
    if updated == current {
        return Ok((current, Vec::new()));
    }
    refuse(updated.check().errors)?;
    let updated = updated.resolve(truth, call).await?;
    let writes = Writes::default().replace(&current, updated.clone());
    let writes = updated.check_references(truth, call, writes).await?;
    let changed = R::check_change(truth, call, &current, &updated, generation, writes).await?;
    let deed = Deed::new::<R>("update", key, "");
    let stored = truth.commit(call, deed, changed.writes).await.map(stored_as)?;
    Ok((stored, changed.warnings))
}
