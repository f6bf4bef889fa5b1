//! What is remembered of units: their first assignments. Profiles and first sight have their place beside them.
//!
//! As durable as the store it lives in, and no more: an assignment that a store forgets is decided anew.

mod embedded;
#[cfg(any(test, feature = "laws"))]
pub mod laws;
mod redis;

use assay_core::{
    key::{ExperimentKey, Namespace, Unit},
    memory::Remembered,
};
use async_trait::async_trait;

use crate::Error;

pub use self::{embedded::EmbeddedUnitStore, redis::RedisUnitStore};

/// Most places of one call; more are for the caller to divide.
pub const MAX_BATCH: usize = 1_000;

/// Where an assignment is remembered: of which unit, in which experiment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The namespace.
    pub namespace: Namespace,
    /// The unit.
    pub unit: Unit,
    /// The experiment.
    pub experiment: ExperimentKey,
}

/// Remembers first assignments.
///
/// Guarantees: of all that is ever put in a place the first stays and is what every later call answers, whichever process asks; what was
/// answered is there to be read. A batch is not atomic: when it fails some of it may have been put.
#[async_trait]
pub trait UnitStore: Send + Sync {
    /// What is remembered in each of `places`, at most [`MAX_BATCH`], in their order.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn get(&self, places: &[Place]) -> Result<Vec<Option<Remembered>>, Error>;

    /// Puts each assignment in its place unless there is one, and answers with what is there afterwards, in their order; at most
    /// [`MAX_BATCH`].
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Full`], [`Error::Corrupt`]; putting the same again is safe.
    async fn put_if_absent(&self, firsts: &[(Place, Remembered)]) -> Result<Vec<Remembered>, Error>;
}
