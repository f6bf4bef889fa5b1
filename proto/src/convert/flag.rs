use assay_core::{
    flag::{Flag, HeldDefault, SegmentOverride, TargetPath, TargetPathError, UnitOverride, Variation},
    key::{FlagKey, HoldoutKey, SegmentKey, VariantKey},
    value::Value,
};

use super::{
    each, enum_from, key_from, meta_from, meta_time, namespace_from, unit_from, value, value_from, value_to,
};
use crate::{config::v1 as pb, field::FieldErrors};

impl TryFrom<pb::Flag> for Flag {
    type Error = FieldErrors;

    /// Without variations it gets one, `control`, with the default value; without a default value that of the first variation; without
    /// a type that of the default value.
    fn try_from(flag: pb::Flag) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(flag.namespace, "namespace"));
        let key = errors.keep(key_from(flag.key, "key", FlagKey::new));
        let stated_type = errors.keep(enum_from(flag.r#type, "type"));
        let variations = errors.keep(each(flag.variations, "variations", variation_from));
        let default = match (flag.default_value, &variations) {
            (None, Some(variations)) if !variations.is_empty() => Some(variations[0].value.clone()),
            (None, None) => None,
            (given, _) => errors.keep(value_from(given, "default_value")),
        };
        let by_segment = errors.keep(each(
            flag.segment_overrides,
            "segment_overrides",
            segment_override_from,
        ));
        let by_unit = errors.keep(each(flag.unit_overrides, "unit_overrides", unit_override_from));
        let target_path = errors.keep(target_path_from(flag.target_path));
        errors.keep(source_from(flag.source));
        let held = errors.keep(each(flag.held_defaults, "held_defaults", held_default_from));
        let meta = errors.keep(meta_from(
            flag.version,
            flag.generation,
            flag.created_at,
            flag.updated_at,
        ));
        let made = || {
            let default_value = default?;
            Some(Self {
                namespace: namespace?,
                key: key?,
                name: flag.name,
                description: flag.description,
                value_type: value::value_type(stated_type?).unwrap_or(default_value.value_type()),
                variations: with_control(variations?, &default_value),
                default_value,
                segment_overrides: by_segment?,
                unit_overrides: by_unit?,
                target_path: target_path?,
                held_defaults: held?,
                meta: meta?,
            })
        };
        let made = made();
        errors.finish(made)
    }
}

/// `variations`, or the one that every flag has.
fn with_control(mut variations: Vec<Variation>, default: &Value) -> Vec<Variation> {
    if variations.is_empty() {
        let key = VariantKey::new("control").expect("`control` is a key");
        variations.push(Variation {
            key,
            name: String::new(),
            value: default.clone(),
        });
    }
    variations
}

fn target_path_from(text: String) -> Result<Option<TargetPath>, FieldErrors> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |error: TargetPathError| FieldErrors::one("target_path", "TARGET_PATH", error.to_string());
    TargetPath::new(text).map(Some).map_err(wrong)
}

fn source_from(number: i32) -> Result<(), FieldErrors> {
    match enum_from(number, "source")? {
        pb::FlagSource::Unspecified | pb::FlagSource::Manual => Ok(()),
        pb::FlagSource::Discovered => {
            let message = "is reserved for flags that are found in responses; leave it out, or give MANUAL";
            Err(FieldErrors::one("source", "RESERVED", message))
        }
    }
}

fn variation_from(variation: pb::Variation) -> Result<Variation, FieldErrors> {
    let mut errors = FieldErrors::default();
    let key = errors.keep(key_from(variation.key, "key", VariantKey::new));
    let value = errors.keep(value_from(variation.value, "value"));
    let made = key.zip(value).map(|(key, value)| Variation {
        key,
        name: variation.name,
        value,
    });
    errors.finish(made)
}

fn segment_override_from(hit: pb::SegmentOverride) -> Result<SegmentOverride, FieldErrors> {
    let mut errors = FieldErrors::default();
    let segment = errors.keep(key_from(hit.segment_key, "segment_key", SegmentKey::new));
    let value = errors.keep(value_from(hit.value, "value"));
    let made = segment
        .zip(value)
        .map(|(segment, value)| SegmentOverride { segment, value });
    errors.finish(made)
}

fn unit_override_from(hit: pb::UnitOverride) -> Result<UnitOverride, FieldErrors> {
    let mut errors = FieldErrors::default();
    let unit = errors.keep(unit_from(hit.unit, "unit"));
    let value = errors.keep(value_from(hit.value, "value"));
    let made = unit.zip(value).map(|(unit, value)| UnitOverride { unit, value });
    errors.finish(made)
}

impl From<&Flag> for pb::Flag {
    fn from(flag: &Flag) -> Self {
        Self {
            namespace: flag.namespace.to_string(),
            key: flag.key.to_string(),
            name: flag.name.clone(),
            description: flag.description.clone(),
            r#type: pb::FlagType::from(flag.value_type).into(),
            variations: flag.variations.iter().map(pb::Variation::from).collect(),
            default_value: Some(value_to(&flag.default_value)),
            segment_overrides: flag
                .segment_overrides
                .iter()
                .map(pb::SegmentOverride::from)
                .collect(),
            unit_overrides: flag.unit_overrides.iter().map(pb::UnitOverride::from).collect(),
            target_path: flag
                .target_path
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            source: pb::FlagSource::Manual.into(),
            held_defaults: flag.held_defaults.iter().map(pb::HeldDefault::from).collect(),
            version: flag.meta.version,
            generation: flag.meta.generation,
            created_at: meta_time(flag.meta.created_at),
            updated_at: meta_time(flag.meta.updated_at),
        }
    }
}

impl From<&Variation> for pb::Variation {
    fn from(variation: &Variation) -> Self {
        Self {
            key: variation.key.to_string(),
            name: variation.name.clone(),
            value: Some(value_to(&variation.value)),
        }
    }
}

impl From<&SegmentOverride> for pb::SegmentOverride {
    fn from(hit: &SegmentOverride) -> Self {
        Self {
            segment_key: hit.segment.to_string(),
            value: Some(value_to(&hit.value)),
        }
    }
}

fn held_default_from(held: pb::HeldDefault) -> Result<HeldDefault, FieldErrors> {
    let mut errors = FieldErrors::default();
    let holdout = errors.keep(key_from(held.holdout_key, "holdout_key", HoldoutKey::new));
    let value = errors.keep(value_from(held.value, "value"));
    let made = holdout
        .zip(value)
        .map(|(holdout, value)| HeldDefault { holdout, value });
    errors.finish(made)
}

impl From<&HeldDefault> for pb::HeldDefault {
    fn from(held: &HeldDefault) -> Self {
        Self {
            holdout_key: held.holdout.to_string(),
            value: Some(value_to(&held.value)),
        }
    }
}

impl From<&UnitOverride> for pb::UnitOverride {
    fn from(hit: &UnitOverride) -> Self {
        Self {
            unit: Some((&hit.unit).into()),
            value: Some(value_to(&hit.value)),
        }
    }
}
