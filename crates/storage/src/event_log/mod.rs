//! The partitioned log of exposures and events: Redis Streams, or SQLite when embedded.

mod embedded;
#[cfg(any(test, feature = "laws"))]
pub mod laws;
pub(crate) mod redis;

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use bytes::Bytes;

pub use self::{
    embedded::EmbeddedLog,
    redis::{Durability, RedisLog},
};
use crate::Error;

/// The two logs of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Exposures.
    Exposures,
    /// Events.
    Events,
}

impl Topic {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Exposures, Self::Events];

    /// `exposures` or `events`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exposures => "exposures",
            Self::Events => "events",
        }
    }
}

/// Where an entry stands in its log: grows with every append, begins above [`Position::START`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Major part: milliseconds in Redis.
    pub major: u64,
    /// Minor part.
    pub minor: u64,
}

impl Position {
    /// Before the first entry.
    pub const START: Self = Self { major: 0, minor: 0 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.major, self.minor)
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let corrupt = || Error::Corrupt {
            store: "log",
            what: "position".into(),
            detail: format!("{text:?} is not `major-minor`"),
        };
        let (major, minor) = text.split_once('-').ok_or_else(corrupt)?;
        Ok(Self {
            major: major.parse().map_err(|_| corrupt())?,
            minor: minor.parse().map_err(|_| corrupt())?,
        })
    }
}

/// One entry: a batch of records of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// The encoded batch.
    pub payload: Bytes,
}

/// One entry to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// To which partition.
    pub partition: u32,
    /// To which of its logs.
    pub topic: Topic,
    /// The encoded batch.
    pub payload: Bytes,
}

/// The log.
///
/// Guarantees: entries of one (partition, topic) have growing positions in the order of their acknowledgement; an acknowledged entry can be
/// read until it is trimmed; nothing is ever dropped to make room (a full log refuses with [`Error::Full`]). A failed append may
/// have happened: readers remove duplicates.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Number of partitions, fixed for the life of the log.
    fn partitions(&self) -> u32;

    /// Appends `entries`, pipelined, each to its own log. The results follow their order.
    ///
    /// # Errors
    /// An entry's own result says why it was not acknowledged.
    async fn append(&self, entries: Vec<Append>) -> Vec<Result<Position, Error>>;

    /// Up to `limit` entries after `after`, oldest first; none when there are none now.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn read(
        &self,
        partition: u32,
        topic: Topic,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Entry>, Error>;

    /// The greatest position ever given in this log; [`Position::START`] when it never had an entry (or lost all memory of it).
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn tail(&self, partition: u32, topic: Topic) -> Result<Position, Error>;

    /// Drops the entries up to and including `through`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn trim(&self, partition: u32, topic: Topic, through: Position) -> Result<(), Error>;
}
