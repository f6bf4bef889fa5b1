//! The stored form of another system's hash.

use std::ops::Range;

use assay_core::{
    hashing::{Algorithm, Filter, FlagdKey, FlagdVersion, GrowthBookVersion, Hashing, Shard, VariantRange},
    key::VariantKey,
};
use serde::{Deserialize, Serialize};

use super::super::{Broken, value::names};

names!(GrowthBookRecord is GrowthBookVersion { V1, V2 });
names!(FlagdRecord is FlagdVersion { Percent, Scaled, Cbor });

/// Ranges are `[first, end]`, the end not included.
#[derive(Serialize, Deserialize)]
pub(super) struct HashingRecord {
    algorithm: AlgorithmRecord,
    buckets: Option<u32>,
    ranges: Vec<(String, u32, u32)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AlgorithmRecord {
    Xxh3,
    Growthbook {
        version: GrowthBookRecord,
        seed: String,
        filters: Vec<FilterRecord>,
    },
    Flagd {
        fractional: FlagdRecord,
        key: FlagdKeyRecord,
    },
    Unleash {
        rollout_group: String,
        variant_group: String,
    },
    Eppo {
        salt: String,
        traffic_salt: String,
        shards: Vec<(String, Vec<(u32, u32)>)>,
    },
}

#[derive(Serialize, Deserialize)]
struct FilterRecord {
    version: GrowthBookRecord,
    seed: String,
    ranges: Vec<(u32, u32)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FlagdKeyRecord {
    Flag(String),
    Prefix(String),
}

fn pairs(ranges: &[Range<u32>]) -> Vec<(u32, u32)> {
    ranges.iter().map(|range| (range.start, range.end)).collect()
}

fn ranges(pairs: Vec<(u32, u32)>) -> Vec<Range<u32>> {
    pairs.into_iter().map(|(first, end)| first..end).collect()
}

impl HashingRecord {
    /// Nothing where it is Assay's own and says nothing else, as in documents from before there was another.
    pub(super) fn of(hashing: &Hashing) -> Option<Self> {
        (*hashing != Hashing::default()).then(|| Self {
            algorithm: (&hashing.algorithm).into(),
            buckets: hashing.buckets,
            ranges: hashing
                .ranges
                .iter()
                .map(|range| (range.variant.to_string(), range.buckets.start, range.buckets.end))
                .collect(),
        })
    }
}

impl TryFrom<HashingRecord> for Hashing {
    type Error = Broken;

    fn try_from(record: HashingRecord) -> Result<Self, Broken> {
        let range = |(variant, first, end): (String, u32, u32)| {
            Ok::<_, Broken>(VariantRange {
                variant: VariantKey::new(variant)?,
                buckets: first..end,
            })
        };
        Ok(Self {
            algorithm: record.algorithm.into(),
            buckets: record.buckets,
            ranges: record.ranges.into_iter().map(range).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Algorithm> for AlgorithmRecord {
    fn from(algorithm: &Algorithm) -> Self {
        match algorithm {
            Algorithm::Xxh3 => Self::Xxh3,
            Algorithm::GrowthBook {
                version,
                seed,
                filters,
            } => Self::Growthbook {
                version: (*version).into(),
                seed: seed.clone(),
                filters: filters
                    .iter()
                    .map(|filter| FilterRecord {
                        version: filter.version.into(),
                        seed: filter.seed.clone(),
                        ranges: pairs(&filter.ranges),
                    })
                    .collect(),
            },
            Algorithm::Flagd { version, key } => Self::Flagd {
                fractional: (*version).into(),
                key: match key {
                    FlagdKey::Flag(flag) => FlagdKeyRecord::Flag(flag.clone()),
                    FlagdKey::Prefix(prefix) => FlagdKeyRecord::Prefix(prefix.clone()),
                },
            },
            Algorithm::Unleash {
                rollout_group,
                variant_group,
            } => Self::Unleash {
                rollout_group: rollout_group.clone(),
                variant_group: variant_group.clone(),
            },
            Algorithm::Eppo {
                salt,
                traffic_salt,
                shards,
            } => Self::Eppo {
                salt: salt.clone(),
                traffic_salt: traffic_salt.clone(),
                shards: shards
                    .iter()
                    .map(|shard| (shard.salt.clone(), pairs(&shard.ranges)))
                    .collect(),
            },
        }
    }
}

impl From<AlgorithmRecord> for Algorithm {
    fn from(record: AlgorithmRecord) -> Self {
        match record {
            AlgorithmRecord::Xxh3 => Self::Xxh3,
            AlgorithmRecord::Growthbook {
                version,
                seed,
                filters,
            } => Self::GrowthBook {
                version: version.into(),
                seed,
                filters: filters
                    .into_iter()
                    .map(|filter| Filter {
                        version: filter.version.into(),
                        seed: filter.seed,
                        ranges: ranges(filter.ranges),
                    })
                    .collect(),
            },
            AlgorithmRecord::Flagd { fractional, key } => Self::Flagd {
                version: fractional.into(),
                key: match key {
                    FlagdKeyRecord::Flag(flag) => FlagdKey::Flag(flag),
                    FlagdKeyRecord::Prefix(prefix) => FlagdKey::Prefix(prefix),
                },
            },
            AlgorithmRecord::Unleash {
                rollout_group,
                variant_group,
            } => Self::Unleash {
                rollout_group,
                variant_group,
            },
            AlgorithmRecord::Eppo {
                salt,
                traffic_salt,
                shards,
            } => Self::Eppo {
                salt,
                traffic_salt,
                shards: shards
                    .into_iter()
                    .map(|(salt, pairs)| Shard {
                        salt,
                        ranges: ranges(pairs),
                    })
                    .collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written once can be read for ever: a line never changes, a new algorithm adds lines.
    const GOLDEN: &str = include_str!("../../golden/hashing.v1.jsonl");

    #[test]
    fn golden_hashes_decode_and_are_written_the_same() {
        let at = |variant: &str, buckets| VariantRange {
            variant: VariantKey::new(variant).unwrap(),
            buckets,
        };
        let hashing = |algorithm, buckets, ranges| Hashing {
            algorithm,
            buckets,
            ranges,
        };
        let growthbook = Algorithm::GrowthBook {
            version: GrowthBookVersion::V2,
            seed: "checkout".into(),
            filters: vec![Filter {
                version: GrowthBookVersion::V1,
                seed: "__pricing".into(),
                ranges: vec![0..400, 900..1_000],
            }],
        };
        let flagd = |version, key| Algorithm::Flagd { version, key };
        let expected = [
            hashing(
                growthbook,
                None,
                vec![at("off", 0..3_000), at("on", 5_000..8_000)],
            ),
            hashing(
                flagd(FlagdVersion::Percent, FlagdKey::Flag("page".into())),
                Some(3),
                vec![at("on", 0..1), at("off", 1..3)],
            ),
            hashing(
                flagd(FlagdVersion::Scaled, FlagdKey::Prefix(String::new())),
                None,
                vec![],
            ),
            hashing(
                flagd(FlagdVersion::Cbor, FlagdKey::Prefix("p-".into())),
                None,
                vec![],
            ),
            hashing(
                Algorithm::Unleash {
                    rollout_group: "r".into(),
                    variant_group: "v".into(),
                },
                Some(100),
                vec![],
            ),
            hashing(
                Algorithm::Eppo {
                    salt: "s".into(),
                    traffic_salt: "t".into(),
                    shards: vec![Shard {
                        salt: "x".into(),
                        ranges: std::iter::once(0..5_000).collect(),
                    }],
                },
                None,
                vec![],
            ),
            hashing(Algorithm::Xxh3, Some(1), vec![]),
        ];
        let lines: Vec<_> = GOLDEN.lines().collect();
        assert_eq!(lines.len(), expected.len());
        for (line, hashing) in lines.into_iter().zip(expected) {
            let record: HashingRecord = serde_json::from_str(line).unwrap();
            assert_eq!(Hashing::try_from(record).unwrap(), hashing, "{line}");
            let record = HashingRecord::of(&hashing).unwrap();
            assert_eq!(serde_json::to_string(&record).unwrap(), line);
        }
        assert!(HashingRecord::of(&Hashing::default()).is_none());
    }
}
