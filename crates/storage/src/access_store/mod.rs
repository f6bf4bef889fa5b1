//! Who may, and who did: API keys, the audit trail to read, and the answers to requests with an idempotency key. SQL, in the database of
//! the configuration.

use assay_core::{key::Namespace, time::Timestamp};
use async_trait::async_trait;

use crate::{
    Error,
    config_store::{Audit, AuditEntry},
};

#[cfg(any(test, feature = "laws"))]
pub mod laws;
mod sql;
pub(crate) mod tables;

pub use sql::SqlAccessStore;

/// An API key. Of its secret only the hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, never used twice: the name of its holder in the audit trail.
    pub id: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Names of its roles, in order. This store does not know what they mean.
    pub roles: Vec<String>,
    /// Its namespaces, in order; none when it is for all.
    pub namespaces: Option<Vec<String>>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// From when on it is not valid.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Which rows of the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those about this, such as `flag/gate`.
    pub subject: Option<String>,
    /// Those by this principal.
    pub actor: Option<String>,
    /// Those at or after this.
    pub from: Option<Timestamp>,
    /// Those before this.
    pub until: Option<Timestamp>,
}

/// What a walk along the chain of a namespace has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// How many rows it has.
    pub n_rows: u64,
    /// The first row that does not fit the one before it.
    pub first_broken: Option<u64>,
    /// Hash of the last row; absent without rows.
    pub head: Option<[u8; 32]>,
}

/// A request that was done under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// SHA-256 of method and request.
    pub request: [u8; 32],
    /// Where it was done.
    pub namespace: String,
    /// The generation that it made.
    pub generation: u64,
    /// What was answered; absent until that is kept, or for ever when the process died between.
    pub answer: Option<Vec<u8>>,
}

/// What the database of the configuration knows of callers.
///
/// Guarantees: a key's change is one transaction with its audit row; ids and hashes of keys are unique for ever; reads see every
/// committed change; the chain of a namespace has its rows in the order of their ids.
#[async_trait]
pub trait AccessStore: Send + Sync {
    /// All keys in order of id, the revoked and the expired ones too.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn keys(&self) -> Result<Vec<ApiKey>, Error>;

    /// Stores a new key; its audit row is in its first namespace, or in `default` when it is for all.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when id or hash was used before; [`Error::Unavailable`].
    async fn create_key(&self, key: &ApiKey, audit: &Audit) -> Result<(), Error>;

    /// Revokes a key at `at`, unless it is revoked already; then nothing is written.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    async fn revoke_key(&self, id: &str, at: Timestamp, audit: &Audit) -> Result<ApiKey, Error>;

    /// Up to `limit` ≥ 1 changes of `namespace`, latest first, those with an id less than `before`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn trail(
        &self,
        namespace: &Namespace,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<AuditEntry>, Error>;

    /// Walks along the chain of `namespace`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn verify(&self, namespace: &Namespace) -> Result<Chain, Error>;

    /// What was done under `key` of `principal`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn done(&self, principal: &str, key: &str) -> Result<Option<Done>, Error>;

    /// Keeps the answer to what was done under `key` of `principal`; the first one stays.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn keep_answer(&self, principal: &str, key: &str, answer: &[u8]) -> Result<(), Error>;

    /// Forgets what was done before `before`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn forget_done(&self, before: Timestamp) -> Result<(), Error>;
}
