//! How unit ids become variants, in files and answers.

use assay_proto::config::v1::{self as pb, flagd_hash::Key, hashing::Algorithm};
use serde::{Deserialize, Serialize};

use super::super::text;
use crate::error::Error;

/// Another system's hash. At most one algorithm is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Hashing {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) growthbook: Option<GrowthBook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flagd: Option<Flagd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unleash: Option<Unleash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) eppo: Option<Eppo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buckets: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ranges: Vec<VariantRange>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GrowthBook {
    pub(crate) version: u32,
    pub(crate) seed: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) filters: Vec<Filter>,
}

/// Ranges are `[first, end]`, the end not included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Filter {
    pub(crate) seed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u32>,
    pub(crate) ranges: Vec<(u32, u32)>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Flagd {
    pub(crate) fractional: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) flag_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Unleash {
    pub(crate) rollout_group: String,
    pub(crate) variant_group: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Eppo {
    pub(crate) salt: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) traffic_salt: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shards: Vec<Filter>,
}

/// The buckets of a variant, from the first to before the end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VariantRange {
    pub(crate) variant_key: String,
    pub(crate) first: u32,
    pub(crate) end: u32,
}

impl Hashing {
    pub(super) fn of(hashing: pb::Hashing) -> Self {
        let mut view = Self {
            buckets: given(hashing.buckets),
            ranges: hashing.ranges.into_iter().map(VariantRange::of).collect(),
            ..Self::default()
        };
        match hashing.algorithm {
            None => {}
            Some(Algorithm::Growthbook(hash)) => {
                view.growthbook = Some(GrowthBook {
                    version: hash.version,
                    seed: hash.seed,
                    filters: hash.filters.into_iter().map(Filter::of).collect(),
                });
            }
            Some(Algorithm::Flagd(hash)) => view.flagd = Some(Flagd::of(hash)),
            Some(Algorithm::Unleash(hash)) => {
                view.unleash = Some(Unleash {
                    rollout_group: hash.rollout_group,
                    variant_group: hash.variant_group,
                });
            }
            Some(Algorithm::Eppo(hash)) => {
                view.eppo = Some(Eppo {
                    salt: hash.salt,
                    traffic_salt: hash.traffic_salt,
                    shards: hash.shards.into_iter().map(Filter::of).collect(),
                });
            }
        }
        view
    }

    pub(super) fn message(self) -> Result<pb::Hashing, Error> {
        let growthbook = self.growthbook.map(|hash| {
            Algorithm::Growthbook(pb::GrowthBookHash {
                version: hash.version,
                seed: hash.seed,
                filters: hash.filters.into_iter().map(Filter::message).collect(),
            })
        });
        let flagd = self.flagd.map(Flagd::message).transpose()?.map(Algorithm::Flagd);
        let unleash = self.unleash.map(|hash| {
            Algorithm::Unleash(pb::UnleashHash {
                rollout_group: hash.rollout_group,
                variant_group: hash.variant_group,
            })
        });
        let eppo = self.eppo.map(|hash| {
            Algorithm::Eppo(pb::EppoHash {
                salt: hash.salt,
                traffic_salt: hash.traffic_salt,
                shards: hash.shards.into_iter().map(Filter::message).collect(),
            })
        });
        let mut given = [growthbook, flagd, unleash, eppo].into_iter().flatten();
        let algorithm = given.next();
        if given.next().is_some() {
            return Err(Error::Usage(
                "hashing: more than one algorithm is given; give one".into(),
            ));
        }
        Ok(pb::Hashing {
            algorithm,
            buckets: self.buckets.unwrap_or_default(),
            ranges: self.ranges.into_iter().map(VariantRange::message).collect(),
        })
    }

    /// For people.
    pub(super) fn line(&self) -> String {
        let Self {
            growthbook,
            flagd,
            unleash,
            eppo,
            ..
        } = self;
        let algorithm = match (growthbook, flagd, unleash, eppo) {
            (Some(hash), ..) => format!("GrowthBook v{}, seed {}", hash.version, hash.seed),
            (_, Some(hash), ..) => {
                let key = hash.flag_key.as_ref().or(hash.prefix.as_ref());
                let key = key.map(String::as_str).unwrap_or_default();
                format!("flagd fractional ({}), key {key}", hash.fractional.to_lowercase())
            }
            (_, _, Some(hash), _) => {
                format!(
                    "Unleash, rollout {}, variants {}",
                    hash.rollout_group, hash.variant_group
                )
            }
            (.., Some(hash)) => format!("Eppo, salt {}", hash.salt),
            _ => "Assay".to_owned(),
        };
        match self.ranges.len() {
            0 => algorithm,
            n => format!("{algorithm}, {n} ranges"),
        }
    }
}

impl Flagd {
    fn of(hash: pb::FlagdHash) -> Self {
        let (flag_key, prefix) = match hash.key {
            Some(Key::FlagKey(flag)) => (Some(flag), None),
            Some(Key::Prefix(prefix)) => (None, Some(prefix)),
            None => (None, None),
        };
        Self {
            fractional: text::name_of::<pb::FlagdFractional>(hash.fractional),
            flag_key,
            prefix,
        }
    }

    fn message(self) -> Result<pb::FlagdHash, Error> {
        let fractional = text::named::<pb::FlagdFractional>(&self.fractional, "hashing.flagd.fractional")?;
        let key = match (self.flag_key, self.prefix) {
            (Some(_), Some(_)) => {
                let problem = "hashing.flagd: `flagKey` and `prefix` are given; give one of the two";
                return Err(Error::Usage(problem.into()));
            }
            (flag, prefix) => flag.map(Key::FlagKey).or(prefix.map(Key::Prefix)),
        };
        Ok(pb::FlagdHash {
            fractional: fractional.into(),
            key,
        })
    }
}

impl Filter {
    fn of(filter: pb::HashFilter) -> Self {
        Self {
            seed: filter.seed,
            version: given(filter.version),
            ranges: filter
                .ranges
                .into_iter()
                .map(|range| (range.first, range.end))
                .collect(),
        }
    }

    fn message(self) -> pb::HashFilter {
        let range = |(first, end)| pb::HashRange { first, end };
        pb::HashFilter {
            seed: self.seed,
            version: self.version.unwrap_or_default(),
            ranges: self.ranges.into_iter().map(range).collect(),
        }
    }
}

impl VariantRange {
    fn of(range: pb::VariantRange) -> Self {
        let buckets = range.buckets.unwrap_or_default();
        Self {
            variant_key: range.variant_key,
            first: buckets.first,
            end: buckets.end,
        }
    }

    fn message(self) -> pb::VariantRange {
        pb::VariantRange {
            variant_key: self.variant_key,
            buckets: Some(pb::HashRange {
                first: self.first,
                end: self.end,
            }),
        }
    }
}

/// A number that 0 stands for the absence of.
fn given(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read_again() {
        let files = [
            "growthbook: {version: 2, seed: checkout, filters: [{seed: __pricing, version: 1, ranges: [[0, 400]]}]}",
            "flagd: {fractional: CBOR, flagKey: new-page}\nbuckets: 3\nranges: [{variantKey: on, first: 0, end: 3}]",
            "flagd: {fractional: PERCENT, prefix: ''}",
            "unleash: {rolloutGroup: r, variantGroup: v}",
            "eppo: {salt: s, trafficSalt: t, shards: [{seed: x, ranges: [[0, 5000]]}]}",
        ];
        for file in files {
            let view: Hashing = serde_yaml_ng::from_str(file).unwrap();
            let again = Hashing::of(view.clone().message().unwrap());
            assert_eq!(again, view, "{file}");
            let yaml = serde_yaml_ng::to_string(&again).unwrap();
            assert_eq!(serde_yaml_ng::from_str::<Hashing>(&yaml).unwrap(), view, "{yaml}");
        }
    }

    #[test]
    fn one_algorithm_is_given() {
        let both = "unleash: {rolloutGroup: r}\neppo: {salt: s}";
        let view: Hashing = serde_yaml_ng::from_str(both).unwrap();
        assert!(
            view.message()
                .unwrap_err()
                .to_string()
                .contains("more than one algorithm")
        );
    }
}
