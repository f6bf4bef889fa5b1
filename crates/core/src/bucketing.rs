//! From a unit id to a bucket, by integers only.
//!
//! `seed = first 8 bytes, big-endian, of SHA-256(len32be(domain) ‖ domain ‖ len32be(salt) ‖ salt)`, `H = XXH3_64(unit id, seed)`,
//! `bucket = (H × 1,000,000) >> 64`. The lengths keep joined keys from colliding; a domain for each use keeps them independent.
//!
//! Checked against an independent implementation in `testdata/bucketing`. What is published here can never change:
//! another seed, hash or bucket would re-randomize every running experiment.

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::key::{Namespace, Unit};

/// Number of buckets.
pub const BUCKETS: u32 = 1_000_000;

/// What a hash decides; each domain is independent of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Domain {
    /// The place of a unit in a layer.
    Layer,
    /// Whether a unit is held out.
    Holdout,
    /// Whether a unit is admitted.
    Coverage,
    /// Which variant it gets.
    Split,
    /// Which partition of the log its records go to.
    Partition,
}

impl Domain {
    fn name(self) -> &'static str {
        match self {
            Self::Layer => "layer",
            Self::Holdout => "holdout",
            Self::Coverage => "coverage",
            Self::Split => "split",
            Self::Partition => "partition",
        }
    }
}

/// A hash function for one use, computed once when a snapshot is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The seed of `domain` and `salt`.
    pub fn new(domain: Domain, salt: &str) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(len32be(domain.name()))
            .chain_update(domain.name())
            .chain_update(len32be(salt))
            .chain_update(salt)
            .finalize()
            .into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The 64-bit hash of a unit id.
    pub fn hash(self, unit_id: &str) -> u64 {
        xxh3_64_with_seed(unit_id.as_bytes(), self.0)
    }

    /// The bucket of a unit id, 0 to 999,999.
    pub fn bucket(self, unit_id: &str) -> u32 {
        scale(self.hash(unit_id), BUCKETS)
    }

    /// The partition of a unit, by a seed that [`partition_seed`] made.
    pub fn partition(self, unit: &Unit, partitions: u32) -> u32 {
        scale(self.hash(&unit.to_string()), partitions)
    }
}

/// The partition, 0 to `partitions` − 1, of a unit's exposures and events in a namespace: by the hash of `kind/id`, salted
/// with the namespace. `partitions` is at least 1.
pub fn partition(namespace: &Namespace, unit: &Unit, partitions: u32) -> u32 {
    partition_seed(namespace).partition(unit, partitions)
}

/// The seed of [`partition`] in a namespace.
pub fn partition_seed(namespace: &Namespace) -> Seed {
    Seed::new(Domain::Partition, namespace.as_str())
}

/// `hash`, uniform below 2⁶⁴, as a number below `n`: (hash × n) >> 64.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a product of 64 and 32 bits fits 128, and its top part fits 32"
)]
fn scale(hash: u64, n: u32) -> u32 {
    ((u128::from(hash) * u128::from(n)) >> 64) as u32
}

/// The length of `text` in bytes; no key or salt comes near 4 GiB.
fn len32be(text: &str) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests;
