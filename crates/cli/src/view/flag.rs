//! Flags in files and answers.

use assay_proto::{config::v1 as pb, convert};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{View, day, is_zero, text};
use crate::error::Error;

/// A flag.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Flag {
    pub(crate) namespace: String,
    pub(crate) key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(rename = "type")]
    pub(crate) value_type: String,
    pub(crate) variations: Vec<Variation>,
    pub(crate) default_value: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) segment_overrides: Vec<SegmentOverride>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unit_overrides: Vec<UnitOverride>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) target_path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) source: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) held_defaults: Vec<HeldDefault>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) version: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) updated_at: String,
}

/// A named value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Variation {
    pub(crate) key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// A value by audience.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SegmentOverride {
    pub(crate) segment_key: String,
    pub(crate) value: Value,
}

/// A value by unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UnitOverride {
    pub(crate) unit: String,
    pub(crate) value: Value,
}

/// An old default that the units of a holdout keep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HeldDefault {
    pub(crate) holdout_key: String,
    pub(crate) value: Value,
}

/// A value as JSON; what is not there is null.
pub(crate) fn json(value: Option<assay_proto::Value>) -> Value {
    convert::json_from(value, "").unwrap_or(Value::Null)
}

/// The message of a value; null is one that is not there.
pub(crate) fn value(json: &Value) -> Option<assay_proto::Value> {
    (!json.is_null()).then(|| convert::json_to(json))
}

impl View for Flag {
    type Message = pb::Flag;

    const COLUMNS: &'static [&'static str] = &["key", "type", "default", "variations", "version", "updated"];

    fn of(flag: pb::Flag) -> Self {
        Self {
            value_type: text::name_of::<pb::FlagType>(flag.r#type),
            variations: flag
                .variations
                .into_iter()
                .map(|v| Variation {
                    key: v.key,
                    name: v.name,
                    value: json(v.value),
                })
                .collect(),
            default_value: json(flag.default_value),
            segment_overrides: flag
                .segment_overrides
                .into_iter()
                .map(|o| SegmentOverride {
                    segment_key: o.segment_key,
                    value: json(o.value),
                })
                .collect(),
            unit_overrides: flag
                .unit_overrides
                .into_iter()
                .map(|o| UnitOverride {
                    unit: text::unit(o.unit),
                    value: json(o.value),
                })
                .collect(),
            held_defaults: flag
                .held_defaults
                .into_iter()
                .map(|held| HeldDefault {
                    holdout_key: held.holdout_key,
                    value: json(held.value),
                })
                .collect(),
            namespace: flag.namespace,
            key: flag.key,
            name: flag.name,
            description: flag.description,
            target_path: flag.target_path,
            source: text::name_of::<pb::FlagSource>(flag.source),
            version: flag.version,
            generation: flag.generation,
            created_at: text::time(flag.created_at),
            updated_at: text::time(flag.updated_at),
        }
    }

    fn message(self) -> Result<pb::Flag, Error> {
        let unit_override = |o: UnitOverride| {
            let unit = text::parse_unit(&o.unit, "unitOverrides.unit")?;
            Ok(pb::UnitOverride {
                unit: Some((&unit).into()),
                value: value(&o.value),
            })
        };
        Ok(pb::Flag {
            namespace: self.namespace,
            key: self.key,
            name: self.name,
            description: self.description,
            r#type: text::named::<pb::FlagType>(&self.value_type, "type")?.into(),
            variations: self
                .variations
                .into_iter()
                .map(|v| pb::Variation {
                    key: v.key,
                    name: v.name,
                    value: value(&v.value),
                })
                .collect(),
            default_value: value(&self.default_value),
            segment_overrides: self
                .segment_overrides
                .into_iter()
                .map(|o| pb::SegmentOverride {
                    segment_key: o.segment_key,
                    value: value(&o.value),
                })
                .collect(),
            unit_overrides: self
                .unit_overrides
                .into_iter()
                .map(unit_override)
                .collect::<Result<_, Error>>()?,
            target_path: self.target_path,
            source: text::named::<pb::FlagSource>(&self.source, "source")?.into(),
            version: self.version,
            ..pb::Flag::default()
        })
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            self.value_type.clone(),
            self.default_value.to_string(),
            self.variations
                .iter()
                .map(|v| v.key.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            self.version.to_string(),
            day(&self.updated_at),
        ]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let variations = self.variations.iter().map(|v| format!("{} = {}", v.key, v.value));
        let by_segment = self
            .segment_overrides
            .iter()
            .map(|o| format!("{} → {}", o.segment_key, o.value));
        let by_unit = self
            .unit_overrides
            .iter()
            .map(|o| format!("{} → {}", o.unit, o.value));
        let held = self
            .held_defaults
            .iter()
            .map(|held| format!("{} → {}", held.holdout_key, held.value));
        vec![
            ("flag", format!("{}/{}", self.namespace, self.key)),
            ("name", self.name.clone()),
            ("description", self.description.clone()),
            ("type", self.value_type.clone()),
            ("variations", variations.collect::<Vec<_>>().join("\n")),
            ("default", self.default_value.to_string()),
            ("segment overrides", by_segment.collect::<Vec<_>>().join("\n")),
            ("unit overrides", by_unit.collect::<Vec<_>>().join("\n")),
            ("target path", self.target_path.clone()),
            ("kept for holdouts", held.collect::<Vec<_>>().join("\n")),
            (
                "version",
                format!("{} (generation {})", self.version, self.generation),
            ),
            ("created", self.created_at.clone()),
            ("updated", self.updated_at.clone()),
        ]
    }
}
