//! What can go wrong with a store, in words that say whether trying again can help.

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The thing does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// The thing exists already.
    #[error("{what} exists already")]
    AlreadyExists {
        /// What was to be created.
        what: String,
    },
    /// Somebody else has written meanwhile; read again and decide anew.
    #[error("{what} has been changed meanwhile: version {expected} was expected, {found} is stored")]
    Stale {
        /// What was to be written.
        what: String,
        /// The version that the writer had read.
        expected: u64,
        /// The version that is stored.
        found: u64,
    },
    /// Something else of the namespace has been changed meanwhile; read again and decide anew.
    #[error("namespace {namespace} is at generation {found}, not {expected} any more")]
    Moved {
        /// The namespace.
        namespace: String,
        /// The generation at which the writer had read.
        expected: u64,
        /// The present generation.
        found: u64,
    },
    /// A rule between resources forbids it, such as a second live experiment on a flag.
    #[error("{what} is taken by {by}")]
    Taken {
        /// What was wanted.
        what: String,
        /// Who has it.
        by: String,
    },
    /// The idempotency key of the change was used before: look up what was answered.
    #[error("the idempotency key was used before")]
    Claimed,
    /// The store is away or too slow; trying again later can help.
    #[error("{store} is unavailable")]
    Unavailable {
        /// Which store: `postgres`, `etcd`, `redis`, `sqlite`.
        store: &'static str,
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store has no room; trying again helps only after room is made.
    #[error("{store} is full")]
    Full {
        /// Which store.
        store: &'static str,
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is stored cannot be understood; trying again does not help.
    #[error("{what} in {store} is corrupt: {detail}")]
    Corrupt {
        /// Which store.
        store: &'static str,
        /// What was read.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The store refused for a reason of its own; trying again does not help.
    #[error("{store} refused")]
    Refused {
        /// Which store.
        store: &'static str,
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Whether the same call may succeed later without anything else being done.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full { .. })
    }
}
