//! The stored form of a flag.

use assay_core::{
    flag::{Flag, HeldDefault, SegmentOverride, TargetPath, UnitOverride, Variation},
    key::{FlagKey, HoldoutKey, SegmentKey, VariantKey},
};
use serde::{Deserialize, Serialize};

use super::{
    Broken, Identity,
    value::{UnitRecord, ValueRecord, ValueTypeRecord},
};

#[derive(Serialize, Deserialize)]
pub(super) struct FlagRecord {
    name: String,
    description: String,
    value_type: ValueTypeRecord,
    variations: Vec<VariationRecord>,
    default_value: ValueRecord,
    segment_overrides: Vec<SegmentOverrideRecord>,
    unit_overrides: Vec<UnitOverrideRecord>,
    #[serde(default)]
    held_defaults: Vec<HeldDefaultRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_path: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeldDefaultRecord {
    holdout: String,
    value: ValueRecord,
}

impl From<&HeldDefault> for HeldDefaultRecord {
    fn from(held: &HeldDefault) -> Self {
        Self {
            holdout: held.holdout.to_string(),
            value: (&held.value).into(),
        }
    }
}

impl TryFrom<HeldDefaultRecord> for HeldDefault {
    type Error = Broken;

    fn try_from(record: HeldDefaultRecord) -> Result<Self, Broken> {
        Ok(Self {
            holdout: HoldoutKey::new(record.holdout)?,
            value: record.value.into(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct VariationRecord {
    key: String,
    name: String,
    value: ValueRecord,
}

#[derive(Serialize, Deserialize)]
struct SegmentOverrideRecord {
    segment: String,
    value: ValueRecord,
}

#[derive(Serialize, Deserialize)]
struct UnitOverrideRecord {
    unit: UnitRecord,
    value: ValueRecord,
}

impl From<&Flag> for FlagRecord {
    fn from(flag: &Flag) -> Self {
        Self {
            name: flag.name.clone(),
            description: flag.description.clone(),
            value_type: flag.value_type.into(),
            variations: flag.variations.iter().map(VariationRecord::from).collect(),
            default_value: (&flag.default_value).into(),
            segment_overrides: flag
                .segment_overrides
                .iter()
                .map(SegmentOverrideRecord::from)
                .collect(),
            unit_overrides: flag.unit_overrides.iter().map(UnitOverrideRecord::from).collect(),
            target_path: flag.target_path.as_ref().map(ToString::to_string),
            held_defaults: flag.held_defaults.iter().map(HeldDefaultRecord::from).collect(),
        }
    }
}

impl FlagRecord {
    pub(super) fn flag(self, identity: Identity) -> Result<Flag, Broken> {
        Ok(Flag {
            namespace: identity.namespace,
            key: FlagKey::new(identity.key)?,
            name: self.name,
            description: self.description,
            value_type: self.value_type.into(),
            variations: self
                .variations
                .into_iter()
                .map(Variation::try_from)
                .collect::<Result<_, _>>()?,
            default_value: self.default_value.into(),
            segment_overrides: self
                .segment_overrides
                .into_iter()
                .map(SegmentOverride::try_from)
                .collect::<Result<_, _>>()?,
            unit_overrides: self
                .unit_overrides
                .into_iter()
                .map(UnitOverride::try_from)
                .collect::<Result<_, _>>()?,
            target_path: self.target_path.map(TargetPath::new).transpose()?,
            held_defaults: self
                .held_defaults
                .into_iter()
                .map(HeldDefault::try_from)
                .collect::<Result<_, _>>()?,
            meta: identity.meta,
        })
    }
}

impl From<&Variation> for VariationRecord {
    fn from(variation: &Variation) -> Self {
        Self {
            key: variation.key.to_string(),
            name: variation.name.clone(),
            value: (&variation.value).into(),
        }
    }
}

impl TryFrom<VariationRecord> for Variation {
    type Error = Broken;

    fn try_from(record: VariationRecord) -> Result<Self, Broken> {
        Ok(Self {
            key: VariantKey::new(record.key)?,
            name: record.name,
            value: record.value.into(),
        })
    }
}

impl From<&SegmentOverride> for SegmentOverrideRecord {
    fn from(over: &SegmentOverride) -> Self {
        Self {
            segment: over.segment.to_string(),
            value: (&over.value).into(),
        }
    }
}

impl TryFrom<SegmentOverrideRecord> for SegmentOverride {
    type Error = Broken;

    fn try_from(record: SegmentOverrideRecord) -> Result<Self, Broken> {
        Ok(Self {
            segment: SegmentKey::new(record.segment)?,
            value: record.value.into(),
        })
    }
}

impl From<&UnitOverride> for UnitOverrideRecord {
    fn from(over: &UnitOverride) -> Self {
        Self {
            unit: (&over.unit).into(),
            value: (&over.value).into(),
        }
    }
}

impl TryFrom<UnitOverrideRecord> for UnitOverride {
    type Error = Broken;

    fn try_from(record: UnitOverrideRecord) -> Result<Self, Broken> {
        Ok(Self {
            unit: record.unit.try_into()?,
            value: record.value.into(),
        })
    }
}
