//! Use case: who has asked for a flag or an experiment.

use assay_core::{
    key::{FlagKey, Namespace},
    record::Sighting,
    time::Timestamp,
};

use crate::{Analysis, error::Error};

/// Most callers of an answer.
const MAX_CALLERS: u64 = 100;

/// Those that asked for one of `keys` at `since` or later, the latest first.
///
/// # Errors
/// [`Error::Store`].
pub(crate) async fn list_callers(
    analysis: &Analysis,
    namespace: &Namespace,
    keys: &[FlagKey],
    since: Timestamp,
) -> Result<Vec<Sighting>, Error> {
    let store = &analysis.reader.store;
    Ok(store.callers(namespace, keys, since, MAX_CALLERS).await?)
}
