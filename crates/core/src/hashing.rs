//! How an experiment turns unit ids into variants: by Assay's own hash, or exactly as the system did that a team moves in from.
//!
//! The outside algorithms are those of the official packages, checked against them in `testdata/hashes`. They exist so that nobody gets
//! another variant on the day of the move; a new experiment has no reason to use one. What is published here can never change.
//!
//! Read [`functions`] (the hashes), [`hash`] (from a unit id to a bucket), [`division`] (from a bucket to a variant).

pub mod division;
pub mod functions;
pub mod hash;

use std::ops::Range;

pub use division::{Division, Impossible};

use crate::{bucketing::BUCKETS, key::VariantKey, weights::WHOLE};

/// Which of GrowthBook's hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GrowthBookVersion {
    /// `hashVersion` 1: FNV-1a of id and seed, modulo 1,000. Biased, and the default of old SDKs.
    V1,
    /// `hashVersion` 2: FNV-1a twice, of seed and id, modulo 10,000.
    V2,
}

impl GrowthBookVersion {
    /// The number of its buckets; GrowthBook divides by it and compares fractions.
    pub fn buckets(self) -> u32 {
        match self {
            Self::V1 => 1_000,
            Self::V2 => 10_000,
        }
    }

    /// The first bucket that is at or after `limit`, a fraction as GrowthBook's ranges have it: the buckets from `bucket(start)` to before
    /// `bucket(end)` are exactly those that GrowthBook finds in `[start, end)`.
    pub fn bucket(self, limit: f64) -> u32 {
        let n = self.buckets();
        first(n, |bucket| f64::from(bucket) / f64::from(n) >= limit)
    }
}

/// A hash of its own that must fall into one of some ranges, else the unit is not in the experiment: a namespace or filter of GrowthBook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Which hash.
    pub version: GrowthBookVersion,
    /// The seed of the filter; of a namespace `__` and its name.
    pub seed: String,
    /// Ranges of its buckets.
    pub ranges: Vec<Range<u32>>,
}

/// What flagd's `fractional` computes. It has changed twice, and each change moved units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlagdVersion {
    /// Until spring 2026: the absolute value of the signed hash as a percentage, in floating point.
    Percent,
    /// Since then: `(hash × total weight) >> 32`.
    Scaled,
    /// The same of a CBOR encoding of the key.
    Cbor,
}

/// What flagd's `fractional` hashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FlagdKey {
    /// The key of the flag, and the unit id: what `fractional` does when it is not told what to hash.
    Flag(String),
    /// One text: this prefix, and the unit id. May be empty.
    Prefix(String),
}

/// One of Eppo's shards that must hold besides the one that divides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its salt.
    pub salt: String,
    /// Ranges of the shards.
    pub ranges: Vec<Range<u32>>,
}

/// From a unit id to a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// Assay's own: see [`crate::bucketing`].
    #[default]
    Xxh3,
    /// GrowthBook's, with the coverage that it computes from the same hash.
    GrowthBook {
        /// Which hash.
        version: GrowthBookVersion,
        /// The experiment's `seed`, else its key.
        seed: String,
        /// All must hold.
        filters: Vec<Filter>,
    },
    /// flagd's `fractional`. It has no coverage; the experiment's is computed as Assay does.
    Flagd {
        /// Which form.
        version: FlagdVersion,
        /// What is hashed.
        key: FlagdKey,
    },
    /// Unleash's normalized murmur3.
    Unleash {
        /// The `groupId` of the strategy `flexibleRollout`; the experiment's coverage is its rollout.
        rollout_group: String,
        /// What the variants are drawn with: the name of the feature, or the `groupId` for variants of a strategy.
        variant_group: String,
    },
    /// Eppo's MD5 shards.
    Eppo {
        /// The salt of the shard that divides.
        salt: String,
        /// The salt of the shard that admits, from 0 up to the experiment's coverage; empty when there is none.
        traffic_salt: String,
        /// All must hold.
        shards: Vec<Shard>,
    },
}

/// The buckets of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantRange {
    /// The variant.
    pub variant: VariantKey,
    /// Its buckets, at least one.
    pub buckets: Range<u32>,
}

/// How an experiment turns unit ids into variants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hashing {
    /// From a unit id to a bucket.
    pub algorithm: Algorithm,
    /// The number of buckets: flagd's and Unleash's total weight, Eppo's total shards; absent for the default of the algorithm. The
    /// others have theirs.
    pub buckets: Option<u32>,
    /// The buckets of each variant, none twice; a variant may have several ranges. Empty: they follow from weights and coverage as the
    /// system computes it.
    pub ranges: Vec<VariantRange>,
}

impl Hashing {
    /// Whether it is another system's.
    pub fn is_outside(&self) -> bool {
        self.algorithm != Algorithm::Xxh3
    }

    /// How many buckets `ranges` divides.
    pub fn n_buckets(&self) -> u32 {
        let default = match &self.algorithm {
            Algorithm::Xxh3 => BUCKETS,
            Algorithm::GrowthBook { version, .. } => version.buckets(),
            Algorithm::Unleash { .. } => 1_000,
            Algorithm::Flagd { .. } | Algorithm::Eppo { .. } => WHOLE,
        };
        self.buckets.unwrap_or(default)
    }

    /// Whether the ranges say who is admitted, so that the experiment's coverage cannot.
    pub fn fixes_coverage(&self) -> bool {
        match &self.algorithm {
            Algorithm::GrowthBook { .. } => !self.ranges.is_empty(),
            Algorithm::Eppo { traffic_salt, .. } => traffic_salt.is_empty(),
            Algorithm::Xxh3 | Algorithm::Flagd { .. } | Algorithm::Unleash { .. } => false,
        }
    }

    /// The shares in ten-thousandths that the ranges give `variants`, as near as it goes: what analysis expects to see. None without
    /// ranges.
    #[expect(clippy::arithmetic_side_effects, reason = "in u64, and the sum is above 0")]
    pub fn shares<'a>(&self, variants: impl Iterator<Item = &'a VariantKey>) -> Option<Vec<u32>> {
        let width = |range: &VariantRange| u64::from(range.buckets.end.saturating_sub(range.buckets.start));
        let sum: u64 = self.ranges.iter().map(width).sum();
        if sum == 0 {
            return None;
        }
        let own = |variant: &VariantKey| {
            let ranges = self.ranges.iter().filter(|range| range.variant == *variant);
            ranges.map(width).sum::<u64>()
        };
        // Ends are rounded, not shares, so that the shares sum to the whole.
        let ends = variants.scan(0, |end, variant| {
            *end += own(variant);
            Some(((*end * u64::from(WHOLE) + sum / 2) / sum) as u32)
        });
        let mut last = 0;
        let shares = ends.map(|end| end.saturating_sub(std::mem::replace(&mut last, end)));
        Some(shares.collect())
    }
}

/// The first of 0 to `n` for which `holds`, which stays true once it is; `n` when none below is.
pub(crate) fn first(n: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    low
}

#[cfg(test)]
mod tests;
