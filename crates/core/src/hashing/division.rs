//! Who is admitted and who gets what: hashing, weights and coverage, compiled.

use std::ops::Range;

use super::{
    Algorithm, FlagdVersion, GrowthBookVersion, Hashing, first,
    hash::{Hash, UNLEASH_VARIANT_SEED},
};
use crate::{
    bucketing::{Domain, Seed},
    key::VariantKey,
    weights::{Coverage, WHOLE, Weights},
};

/// Why an algorithm cannot do what its experiment asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// A range names a variant that the experiment does not have.
    #[error("range {place} is of `{variant}`, and there is no such variant; name one of the variants")]
    Variant {
        /// The place of the range, from 0.
        place: usize,
        /// What it names.
        variant: VariantKey,
    },
    /// A share is not a whole number of buckets.
    #[error(
        "a share of {share} of {WHOLE} is not a whole number of the {buckets} buckets; change the weights, or give ranges"
    )]
    Share {
        /// The share, in ten-thousandths.
        share: u32,
        /// How many buckets there are.
        buckets: u32,
    },
}

/// Who is admitted and who gets what.
#[derive(Debug)]
pub struct Division {
    /// All must hold.
    gates: Vec<(Hash, Vec<Range<u32>>)>,
    hash: Hash,
    /// The buckets of variants by their place; the first that holds a bucket decides.
    ranges: Vec<(Range<u32>, usize)>,
}

impl Division {
    /// How `hashing` divides `variants`, where the experiment has these weights and this coverage. `salt` is that of the experiment,
    /// for what Assay hashes itself.
    ///
    /// # Errors
    /// [`Impossible`].
    pub fn new<'a>(
        hashing: &Hashing,
        salt: &str,
        variants: impl Iterator<Item = &'a VariantKey>,
        weights: &Weights,
        coverage: Coverage,
    ) -> Result<Self, Impossible> {
        let n = hashing.n_buckets();
        let own = || {
            (
                Hash::xxh3(Seed::new(Domain::Coverage, salt)),
                below(coverage.buckets()),
            )
        };
        let listed = || listed(hashing, variants, weights);
        Ok(match &hashing.algorithm {
            Algorithm::Xxh3 => Self {
                gates: vec![own()],
                hash: Hash::xxh3(Seed::new(Domain::Split, salt)),
                ranges: listed()?,
            },
            Algorithm::GrowthBook {
                version,
                seed,
                filters,
            } => {
                let filters = filters
                    .iter()
                    .map(|f| (Hash::growthbook(f.version, &f.seed), f.ranges.clone()));
                Self {
                    gates: filters.collect(),
                    hash: Hash::growthbook(*version, seed),
                    ranges: if hashing.ranges.is_empty() {
                        let fraction = |share: u32| f64::from(share) / f64::from(WHOLE);
                        let weights = weights.shares().iter().map(|share| fraction(*share));
                        let ranges = growthbook_ranges(*version, weights, fraction(coverage.share()));
                        ranges.into_iter().zip(0..).collect()
                    } else {
                        listed()?
                    },
                }
            }
            Algorithm::Flagd { version, key } => Self {
                gates: vec![own()],
                hash: Hash::flagd(*version, key, n),
                ranges: if *version == FlagdVersion::Percent {
                    percent_ranges(&listed()?, n)
                } else {
                    listed()?
                },
            },
            Algorithm::Unleash {
                rollout_group,
                variant_group,
            } => Self {
                // Unleash admits numbers from 1 to the rollout's percentage, and this counts from 0.
                gates: vec![(
                    Hash::unleash(0, rollout_group, 100),
                    below(coverage.share() / (WHOLE / 100)),
                )],
                hash: Hash::unleash(UNLEASH_VARIANT_SEED, variant_group, n),
                ranges: listed()?,
            },
            Algorithm::Eppo {
                salt,
                traffic_salt,
                shards,
            } => {
                let shards = shards
                    .iter()
                    .map(|shard| (Hash::eppo(&shard.salt, n), shard.ranges.clone()));
                let mut gates: Vec<_> = shards.collect();
                if !traffic_salt.is_empty() {
                    gates.push((Hash::eppo(traffic_salt, n), below(of(coverage.share(), n)?)));
                }
                Self {
                    gates,
                    hash: Hash::eppo(salt, n),
                    ranges: listed()?,
                }
            }
        })
    }

    /// The place of the variant of a unit id; none when the unit is not admitted.
    pub fn variant(&self, unit_id: &str) -> Option<usize> {
        let mut gates = self.gates(unit_id);
        let is_in = gates.all(|(bucket, ranges)| ranges.iter().any(|range| range.contains(&bucket)));
        is_in.then(|| self.holder(self.bucket(unit_id))).flatten()
    }

    /// What must hold of a unit id before it is split: its bucket, and the buckets that are admitted.
    pub(crate) fn gates(&self, unit_id: &str) -> impl Iterator<Item = (u32, &[Range<u32>])> {
        self.gates
            .iter()
            .map(move |(hash, ranges)| (hash.bucket(unit_id), &**ranges))
    }

    /// The bucket of a unit id by which it is split.
    pub(crate) fn bucket(&self, unit_id: &str) -> u32 {
        self.hash.bucket(unit_id)
    }

    /// The place of the variant that has `bucket`; none when no variant has.
    pub(crate) fn holder(&self, bucket: u32) -> Option<usize> {
        let found = self.ranges.iter().find(|(range, _)| range.contains(&bucket));
        found.map(|(_, variant)| *variant)
    }

    /// The buckets of variants by their place; the first that holds a bucket decides.
    pub(crate) fn ranges(&self) -> &[(Range<u32>, usize)] {
        &self.ranges
    }
}

#[expect(clippy::single_range_in_vec_init, reason = "one range is meant")]
fn below(end: u32) -> Vec<Range<u32>> {
    vec![0..end]
}

/// The ranges that are given, else one for each variant behind the other.
fn listed<'a>(
    hashing: &Hashing,
    variants: impl Iterator<Item = &'a VariantKey>,
    weights: &Weights,
) -> Result<Vec<(Range<u32>, usize)>, Impossible> {
    if hashing.ranges.is_empty() {
        let mut end = 0_u32;
        let ranges = weights.shares().iter().enumerate().map(|(variant, share)| {
            let first = end;
            end = end.saturating_add(of(*share, hashing.n_buckets())?);
            Ok((first..end, variant))
        });
        return ranges.collect();
    }
    let variants: Vec<_> = variants.collect();
    let ranges = hashing.ranges.iter().enumerate().map(|(place, range)| {
        let found = variants.iter().position(|variant| **variant == range.variant);
        let variant = found.ok_or_else(|| Impossible::Variant {
            place,
            variant: range.variant.clone(),
        })?;
        Ok((range.buckets.clone(), variant))
    });
    ranges.collect()
}

/// `share`, in ten-thousandths, of `buckets`.
#[expect(clippy::arithmetic_side_effects, reason = "in u64, by a constant")]
fn of(share: u32, buckets: u32) -> Result<u32, Impossible> {
    let product = u64::from(share) * u64::from(buckets);
    if product.is_multiple_of(u64::from(WHOLE)) {
        Ok((product / u64::from(WHOLE)) as u32)
    } else {
        Err(Impossible::Share { share, buckets })
    }
}

/// GrowthBook's `getBucketRanges` in its own floating point: each variation has the first part of its weight, in order.
pub fn growthbook_ranges(
    version: GrowthBookVersion,
    weights: impl Iterator<Item = f64>,
    coverage: f64,
) -> Vec<Range<u32>> {
    let mut cumulative = 0.0;
    let ranges = weights.map(|weight| {
        let start = cumulative;
        cumulative += weight;
        version.bucket(start)..version.bucket(start + coverage * weight)
    });
    ranges.collect()
}

/// The absolute hashes that flagd finds in each of `ranges` of `n` buckets, in its own floating point: the weights as percentages, added up.
fn percent_ranges(ranges: &[(Range<u32>, usize)], n: u32) -> Vec<(Range<u32>, usize)> {
    /// The greatest absolute value of a signed 32-bit number.
    const GREATEST: u32 = 1 << 31;
    let percentage = |hash: u32| f64::from(hash) / f64::from(i32::MAX) * 100.0;
    let (mut start, mut cumulative) = (0, 0.0);
    let ranges = ranges.iter().map(|(range, variant)| {
        let weight = range.end.saturating_sub(range.start);
        cumulative += f64::from(weight) * 100.0 / f64::from(n);
        let end = first(GREATEST.saturating_add(1), |hash| percentage(hash) >= cumulative);
        (std::mem::replace(&mut start, end)..end, *variant)
    });
    ranges.collect()
}
