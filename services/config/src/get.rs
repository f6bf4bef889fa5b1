//! Reads one resource of any kind.

use crate::{
    error::Error,
    truth::{Call, Stored, Truth},
};

/// The resource; `NotFound` when there is none.
pub(crate) async fn get<R: Stored>(truth: &Truth, call: &Call, key: &str) -> Result<R, Error> {
    truth.get(&call.namespace, key).await
}
