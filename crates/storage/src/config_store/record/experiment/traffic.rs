//! The stored form of how an experiment shares units.

use assay_core::{
    hashing::Hashing,
    key::{FlagKey, HoldoutKey, LayerKey},
    traffic::{Eligibility, InLayer, Opening, Prerequisite, Sticky, Traffic},
    weights::Weights,
};
use serde::{Deserialize, Serialize};

use super::super::{
    Broken,
    layer::{RangeRecord, ranges, ranges_from},
    value::{ValueRecord, names},
};
use super::hashing::HashingRecord;

names!(StickyRecord is Sticky { HashOnly, Stored });
names!(EligibilityRecord is Eligibility { EachRequest, AtEnrollment });

/// Shares are ten-thousandths.
#[derive(Serialize, Deserialize)]
pub(super) struct TrafficRecord {
    sticky: StickyRecord,
    eligibility: EligibilityRecord,
    layer: Option<PlaceRecord>,
    holdouts: Vec<String>,
    prerequisites: Vec<PrerequisiteRecord>,
    opening: Option<OpeningRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hashing: Option<HashingRecord>,
}

#[derive(Serialize, Deserialize)]
struct PlaceRecord {
    key: String,
    salt: String,
    ranges: Vec<RangeRecord>,
}

#[derive(Serialize, Deserialize)]
struct PrerequisiteRecord {
    flag: String,
    value: ValueRecord,
}

#[derive(Serialize, Deserialize)]
struct OpeningRecord {
    weights: Vec<u32>,
    since: u64,
}

/// Of documents from before there was any of it.
impl Default for TrafficRecord {
    fn default() -> Self {
        (&Traffic::default()).into()
    }
}

impl From<&Traffic> for TrafficRecord {
    fn from(traffic: &Traffic) -> Self {
        let prerequisite = |prerequisite: &Prerequisite| PrerequisiteRecord {
            flag: prerequisite.flag.to_string(),
            value: (&prerequisite.value).into(),
        };
        Self {
            sticky: traffic.sticky.into(),
            eligibility: traffic.eligibility.into(),
            layer: traffic.layer.as_ref().map(|place| PlaceRecord {
                key: place.key.to_string(),
                salt: place.salt.clone(),
                ranges: ranges(&place.ranges),
            }),
            holdouts: traffic.holdouts.iter().map(ToString::to_string).collect(),
            prerequisites: traffic.prerequisites.iter().map(prerequisite).collect(),
            opening: traffic.opening.as_ref().map(|opening| OpeningRecord {
                weights: opening.weights.shares().to_vec(),
                since: opening.since,
            }),
            hashing: HashingRecord::of(&traffic.hashing),
        }
    }
}

impl TryFrom<TrafficRecord> for Traffic {
    type Error = Broken;

    fn try_from(record: TrafficRecord) -> Result<Self, Broken> {
        let place = |place: PlaceRecord| {
            Ok::<_, Broken>(InLayer {
                key: LayerKey::new(place.key)?,
                salt: place.salt,
                ranges: ranges_from(place.ranges)?,
            })
        };
        let prerequisite = |prerequisite: PrerequisiteRecord| {
            Ok::<_, Broken>(Prerequisite {
                flag: FlagKey::new(prerequisite.flag)?,
                value: prerequisite.value.into(),
            })
        };
        let opening = |opening: OpeningRecord| {
            Ok::<_, Broken>(Opening {
                weights: Weights::new(opening.weights)?,
                since: opening.since,
            })
        };
        Ok(Self {
            sticky: record.sticky.into(),
            eligibility: record.eligibility.into(),
            layer: record.layer.map(place).transpose()?,
            holdouts: record
                .holdouts
                .into_iter()
                .map(HoldoutKey::new)
                .collect::<Result<_, _>>()?,
            prerequisites: record
                .prerequisites
                .into_iter()
                .map(prerequisite)
                .collect::<Result<_, _>>()?,
            opening: record.opening.map(opening).transpose()?,
            hashing: record
                .hashing
                .map(Hashing::try_from)
                .transpose()?
                .unwrap_or_default(),
        })
    }
}
