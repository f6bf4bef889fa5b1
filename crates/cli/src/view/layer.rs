//! Layers in files and answers.

use assay_proto::config::v1 as pb;
use serde::{Deserialize, Serialize};

use super::{View, day, is_zero, text};
use crate::{error::Error, output::number};

/// Number of buckets of a layer.
const BUCKETS: u32 = 1_000_000;

/// A layer. What the server alone says (who has which buckets, times of writing) is printed and passed over when read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Layer {
    pub(crate) namespace: String,
    pub(crate) key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) unit_kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) salt: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) cooldown: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) allocations: Vec<Allocation>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) version: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) updated_at: String,
}

/// The buckets of one experiment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Allocation {
    pub(crate) experiment_key: String,
    pub(crate) ranges: Vec<Range>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) free_at: String,
}

/// Buckets from the first to before the end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Range {
    pub(crate) first: u32,
    pub(crate) end: u32,
}

impl Range {
    pub(crate) fn of(range: pb::BucketRange) -> Self {
        Self {
            first: range.first,
            end: range.end,
        }
    }
}

/// The share of all buckets that `ranges` are, for people.
pub(crate) fn share(ranges: &[Range]) -> String {
    number::share(n_buckets(ranges) / (BUCKETS / 10_000))
}

fn n_buckets(ranges: &[Range]) -> u32 {
    ranges
        .iter()
        .map(|range| range.end.saturating_sub(range.first))
        .sum()
}

impl View for Layer {
    type Message = pb::Layer;

    const COLUMNS: &'static [&'static str] =
        &["key", "unit", "not taken", "experiments", "version", "updated"];

    fn of(layer: pb::Layer) -> Self {
        let allocation = |held: pb::LayerAllocation| Allocation {
            experiment_key: held.experiment_key,
            ranges: held.ranges.into_iter().map(Range::of).collect(),
            free_at: text::time(held.free_at),
        };
        Self {
            namespace: layer.namespace,
            key: layer.key,
            name: layer.name,
            description: layer.description,
            unit_kind: layer.unit_kind,
            salt: layer.salt,
            cooldown: text::duration(layer.cooldown),
            allocations: layer.allocations.into_iter().map(allocation).collect(),
            version: layer.version,
            generation: layer.generation,
            created_at: text::time(layer.created_at),
            updated_at: text::time(layer.updated_at),
        }
    }

    fn message(self) -> Result<pb::Layer, Error> {
        Ok(pb::Layer {
            namespace: self.namespace,
            key: self.key,
            name: self.name,
            description: self.description,
            unit_kind: self.unit_kind,
            salt: self.salt,
            cooldown: text::parse_duration(&self.cooldown, "cooldown")?,
            version: self.version,
            ..pb::Layer::default()
        })
    }

    fn row(&self) -> Vec<String> {
        let taken: u32 = self.allocations.iter().map(|held| n_buckets(&held.ranges)).sum();
        let rest = Range {
            first: taken.min(BUCKETS),
            end: BUCKETS,
        };
        let experiments = self.allocations.iter().map(|held| held.experiment_key.as_str());
        vec![
            self.key.clone(),
            self.unit_kind.clone(),
            share(&[rest]),
            experiments.collect::<Vec<_>>().join(", "),
            self.version.to_string(),
            day(&self.updated_at),
        ]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let taken = self.allocations.iter().map(|held| {
            let free = if held.free_at.is_empty() {
                String::new()
            } else {
                format!("  free at {}", held.free_at)
            };
            format!("{}  {}{free}", held.experiment_key, share(&held.ranges))
        });
        vec![
            ("layer", format!("{}/{}", self.namespace, self.key)),
            ("name", self.name.clone()),
            ("description", self.description.clone()),
            ("unit", self.unit_kind.clone()),
            ("salt", self.salt.clone()),
            ("cool-down", self.cooldown.clone()),
            ("taken", taken.collect::<Vec<_>>().join("\n")),
            (
                "version",
                format!("{} (generation {})", self.version, self.generation),
            ),
            ("created", self.created_at.clone()),
            ("updated", self.updated_at.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read_again() {
        let range = |first, end| pb::BucketRange { first, end };
        let view = Layer::of(pb::Layer {
            key: "checkout".into(),
            allocations: vec![pb::LayerAllocation {
                experiment_key: "a".into(),
                ranges: vec![range(0, 100_000), range(900_000, 925_000)],
                free_at: None,
            }],
            ..Default::default()
        });
        assert_eq!(view.row()[2], "87.5%");
        let yaml = serde_yaml_ng::to_string(&view).unwrap();
        assert_eq!(serde_yaml_ng::from_str::<Layer>(&yaml).unwrap(), view, "{yaml}");
    }
}
