//! Removes a flag, a segment or a metric that nobody refers to.

use crate::{
    error::Error,
    simple::{ATTEMPTS, Simple},
    truth::{Call, Deed, Truth, Writes, name},
};

/// Removes the resource in `version`; refused while anything refers to it, archived experiments too, for their results stay.
pub(crate) async fn delete<R: Simple>(
    truth: &Truth,
    call: &Call,
    key: &str,
    version: u64,
) -> Result<(), Error> {
    for _ in 1..ATTEMPTS {
        match attempt::<R>(truth, call, key, version).await {
            Err(Error::Moved { .. }) => {}
            other => return other,
        }
    }
    attempt::<R>(truth, call, key, version).await
}

async fn attempt<R: Simple>(truth: &Truth, call: &Call, key: &str, version: u64) -> Result<(), Error> {
    let generation = truth.generation(&call.namespace).await?;
    let current: R = truth.get_at(&call.namespace, key, version).await?;
    let by = current.users(truth, call).await?;
    if !by.is_empty() {
        let remedy = "take it out of those that can be changed, delete drafts, or keep it: what has run keeps what it ran with";
        return Err(Error::InUse {
            what: name::<R>(key),
            by,
            remedy,
        });
    }
    // Nobody who comes to use it in this moment is overlooked.
    let writes = Writes::default().delete(&current).at(generation);
    let writes = current.go_along(truth, call, writes).await?;
    truth
        .commit(call, Deed::new::<R>("delete", key, ""), writes)
        .await?;
    Ok(())
}
