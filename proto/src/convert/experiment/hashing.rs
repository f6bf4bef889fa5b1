use std::ops::Range;

use assay_core::{
    hashing::{Algorithm, Filter, FlagdKey, FlagdVersion, GrowthBookVersion, Hashing, Shard, VariantRange},
    key::VariantKey,
};

use super::super::{each, enum_from, key_from};
use crate::{
    config::v1::{self as pb, flagd_hash::Key, hashing::Algorithm as Wire},
    field::FieldErrors,
};

pub(super) fn hashing_from(hashing: Option<pb::Hashing>) -> Result<Hashing, FieldErrors> {
    let Some(hashing) = hashing else {
        return Ok(Hashing::default());
    };
    let mut errors = FieldErrors::default();
    let algorithm = errors.keep(hashing.algorithm.map_or(Ok(Algorithm::Xxh3), algorithm_from));
    let ranges = errors.keep(each(hashing.ranges, "ranges", variant_range_from));
    let made = algorithm.zip(ranges).map(|(algorithm, ranges)| Hashing {
        algorithm,
        buckets: (hashing.buckets > 0).then_some(hashing.buckets),
        ranges,
    });
    errors.finish(made).map_err(|errors| errors.under("hashing"))
}

fn algorithm_from(algorithm: Wire) -> Result<Algorithm, FieldErrors> {
    Ok(match algorithm {
        Wire::Growthbook(hash) => growthbook_from(hash).map_err(|errors| errors.under("growthbook"))?,
        Wire::Flagd(hash) => flagd_from(hash).map_err(|errors| errors.under("flagd"))?,
        Wire::Unleash(hash) => Algorithm::Unleash {
            rollout_group: hash.rollout_group,
            variant_group: hash.variant_group,
        },
        Wire::Eppo(hash) => {
            let shard = |shard: pb::HashFilter| {
                Ok::<_, FieldErrors>(Shard {
                    salt: shard.seed,
                    ranges: shard.ranges.into_iter().map(range_from).collect(),
                })
            };
            Algorithm::Eppo {
                salt: hash.salt,
                traffic_salt: hash.traffic_salt,
                shards: each(hash.shards, "eppo.shards", shard)?,
            }
        }
    })
}

fn growthbook_from(hash: pb::GrowthBookHash) -> Result<Algorithm, FieldErrors> {
    let mut errors = FieldErrors::default();
    let version = errors.keep(version_from(hash.version));
    let filter = |filter: pb::HashFilter| {
        Ok::<_, FieldErrors>(Filter {
            version: version_from(filter.version)?,
            seed: filter.seed,
            ranges: filter.ranges.into_iter().map(range_from).collect(),
        })
    };
    let filters = errors.keep(each(hash.filters, "filters", filter));
    let seed = hash.seed;
    let made = version
        .zip(filters)
        .map(|(version, filters)| Algorithm::GrowthBook {
            version,
            seed,
            filters,
        });
    errors.finish(made)
}

fn version_from(version: u32) -> Result<GrowthBookVersion, FieldErrors> {
    match version {
        1 => Ok(GrowthBookVersion::V1),
        2 => Ok(GrowthBookVersion::V2),
        other => {
            let message = format!("is {other}; give the hashVersion, 1 or 2");
            Err(FieldErrors::one("version", "HASH_VERSION", message))
        }
    }
}

fn flagd_from(hash: pb::FlagdHash) -> Result<Algorithm, FieldErrors> {
    let mut errors = FieldErrors::default();
    let version = match errors.keep(enum_from(hash.fractional, "fractional")) {
        Some(pb::FlagdFractional::Percent) => Some(FlagdVersion::Percent),
        Some(pb::FlagdFractional::Scaled) => Some(FlagdVersion::Scaled),
        Some(pb::FlagdFractional::Cbor) => Some(FlagdVersion::Cbor),
        Some(pb::FlagdFractional::Unspecified) => {
            let message = "is missing; say which of the three forms the flagd in use computes";
            errors.push("fractional", "REQUIRED", message);
            None
        }
        None => None,
    };
    let key = match hash.key {
        Some(Key::FlagKey(flag)) => Some(FlagdKey::Flag(flag)),
        Some(Key::Prefix(prefix)) => Some(FlagdKey::Prefix(prefix)),
        None => {
            let message = "is missing; give the key of the flag, or the text that is hashed before the unit id in `prefix`";
            errors.push("flag_key", "REQUIRED", message);
            None
        }
    };
    let made = version
        .zip(key)
        .map(|(version, key)| Algorithm::Flagd { version, key });
    errors.finish(made)
}

fn variant_range_from(range: pb::VariantRange) -> Result<VariantRange, FieldErrors> {
    let variant = key_from(range.variant_key, "variant_key", VariantKey::new)?;
    let buckets = range_from(range.buckets.unwrap_or_default());
    Ok(VariantRange { variant, buckets })
}

fn range_from(range: pb::HashRange) -> Range<u32> {
    range.first..range.end
}

/// Nothing where it is Assay's own and says nothing else.
pub(super) fn hashing_to(hashing: &Hashing) -> Option<pb::Hashing> {
    (*hashing != Hashing::default()).then(|| pb::Hashing {
        algorithm: algorithm_to(&hashing.algorithm),
        buckets: hashing.buckets.unwrap_or_default(),
        ranges: hashing
            .ranges
            .iter()
            .map(|range| pb::VariantRange {
                variant_key: range.variant.to_string(),
                buckets: Some(range_to(&range.buckets)),
            })
            .collect(),
    })
}

fn algorithm_to(algorithm: &Algorithm) -> Option<Wire> {
    Some(match algorithm {
        Algorithm::Xxh3 => return None,
        Algorithm::GrowthBook {
            version,
            seed,
            filters,
        } => Wire::Growthbook(pb::GrowthBookHash {
            version: version_to(*version),
            seed: seed.clone(),
            filters: filters
                .iter()
                .map(|filter| filter_to(&filter.seed, version_to(filter.version), &filter.ranges))
                .collect(),
        }),
        Algorithm::Flagd { version, key } => Wire::Flagd(pb::FlagdHash {
            fractional: match version {
                FlagdVersion::Percent => pb::FlagdFractional::Percent,
                FlagdVersion::Scaled => pb::FlagdFractional::Scaled,
                FlagdVersion::Cbor => pb::FlagdFractional::Cbor,
            }
            .into(),
            key: Some(match key {
                FlagdKey::Flag(flag) => Key::FlagKey(flag.clone()),
                FlagdKey::Prefix(prefix) => Key::Prefix(prefix.clone()),
            }),
        }),
        Algorithm::Unleash {
            rollout_group,
            variant_group,
        } => Wire::Unleash(pb::UnleashHash {
            rollout_group: rollout_group.clone(),
            variant_group: variant_group.clone(),
        }),
        Algorithm::Eppo {
            salt,
            traffic_salt,
            shards,
        } => Wire::Eppo(pb::EppoHash {
            salt: salt.clone(),
            traffic_salt: traffic_salt.clone(),
            shards: shards
                .iter()
                .map(|shard| filter_to(&shard.salt, 0, &shard.ranges))
                .collect(),
        }),
    })
}

fn version_to(version: GrowthBookVersion) -> u32 {
    match version {
        GrowthBookVersion::V1 => 1,
        GrowthBookVersion::V2 => 2,
    }
}

fn filter_to(seed: &str, version: u32, ranges: &[Range<u32>]) -> pb::HashFilter {
    pb::HashFilter {
        seed: seed.to_owned(),
        version,
        ranges: ranges.iter().map(range_to).collect(),
    }
}

fn range_to(range: &Range<u32>) -> pb::HashRange {
    pb::HashRange {
        first: range.start,
        end: range.end,
    }
}
