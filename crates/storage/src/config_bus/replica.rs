//! What replicas say of themselves on the bus.

use std::{collections::BTreeMap, time::Duration};

use assay_core::{key::Namespace, time::Timestamp};

use crate::Error;

/// How long an acknowledgement holds unless it is renewed: a replica that falls silent is gone from the list after this.
pub const LEASE: Duration = Duration::from_secs(6);

/// Most bytes of a replica's id.
const MAX_ID_BYTES: usize = 128;

/// A replica of assignment, as it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its own name, 1 to 128 letters, digits, `.`, `_` and `-`; no other process uses it at the same time.
    pub id: String,
    /// What it serves, by namespace.
    pub served: BTreeMap<Namespace, Served>,
}

/// A generation that a replica serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// The generation.
    pub generation: u64,
    /// Since when, by the replica's clock: every answer that it has given since then is of this generation.
    pub since: Timestamp,
    /// Of every answer that it gave before this generation, what is to be remembered of it is in the unit store. At most `generation`; 0 as
    /// long as there is none.
    pub settled: u64,
}

impl Replica {
    /// Checks the id.
    ///
    /// # Errors
    /// [`Error::Refused`] says what is wrong.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if is_id(&self.id) {
            return Ok(());
        }
        Err(Error::Refused {
            store: "config bus",
            source: format!(
                "{:?} is no id of a replica: give 1 to {MAX_ID_BYTES} letters, digits, `.`, `_` and `-`",
                self.id
            )
            .into(),
        })
    }
}

/// Whether `id` can name a replica.
pub(crate) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(plain)
}
