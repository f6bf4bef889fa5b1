//! Removes a flag, a segment or a metric that nobody refers to.

use crate::{
    error::Error,
    simple::Simple,
    truth::{Call, Deed, Truth, Writes, name},
};

/// Removes the resource in `version`; refused while anything refers to it, archived experiments too, for their results stay.
pub(crate) async fn delete<R: Simple>(
    truth: &Truth,
    call: &Call,
    key: &str,
    version: u64,
) -> Result<(), Error> {
    let current: R = truth.get_at(&call.namespace, key, version).await?;
    let by = current.users(truth, call).await?;
    if !by.is_empty() {
        let remedy = "change or delete them first, or keep it";
        return Err(Error::InUse {
            what: name::<R>(key),
            by,
            remedy,
        });
    }
    let writes = Writes::default().delete(&current);
    let writes = current.go_along(truth, call, writes).await?;
    truth
        .commit(call, Deed::new::<R>("delete", key, ""), writes)
        .await?;
    Ok(())
}
