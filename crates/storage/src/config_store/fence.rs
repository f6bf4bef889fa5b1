//! When a published generation had taken hold everywhere.

use std::time::Duration;

use assay_core::{key::Namespace, time::Timestamp};

/// A generation that went to the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    /// The namespace.
    pub namespace: Namespace,
    /// The generation.
    pub generation: u64,
    /// When it was there, by the publisher's clock.
    pub published_at: Timestamp,
    /// The ids of the replicas that were to take it up: those that were there when it was published.
    pub expected: Vec<String>,
}

/// When a generation had taken hold everywhere, as far as anybody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// From then on every replica that answered served this generation or a later one.
    pub at: Timestamp,
    /// How many answered.
    pub replicas: u32,
    /// How long after publishing the last of them did.
    pub slowest: Duration,
    /// The ids of those that were there and did not answer.
    pub unconfirmed: Vec<String>,
}

/// The start of an experiment that Assay assigns, and that began when there were fences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The experiment's key.
    pub experiment: String,
    /// The generation that began it.
    pub generation: u64,
    /// From when it counts; absent until the fence of its start is known.
    pub counting: Option<Counting>,
}

/// From when an experiment counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counting {
    /// The fence of its start.
    pub from: Timestamp,
    /// The replicas that had not answered by then.
    pub unconfirmed: Vec<String>,
}
