//! Creates a flag, a segment or a metric.

use crate::{
    error::{Error, refuse},
    simple::Simple,
    truth::{Call, Deed, Truth, Writes, stored_as},
};

/// Stores `new` as version 1.
pub(crate) async fn create<R: Simple>(truth: &Truth, call: &Call, new: R) -> Result<R, Error> {
    refuse(new.check().errors)?;
    let new = new.resolve(truth, call).await?;
    let deed = Deed::new::<R>("create", new.key(), "");
    let writes = Writes::default().create(new.clone());
    let writes = new.check_references(truth, call, writes).await?;
    truth.commit(call, deed, writes).await.map(stored_as)
}
