//! The stored form of a layer.

use std::time::Duration;

use assay_core::{
    key::{ExperimentKey, LayerKey, UnitKind},
    layer::{Allocation, BucketRange, Layer},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Broken, Identity};

/// Times are microseconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct LayerRecord {
    name: String,
    description: String,
    unit_kind: String,
    salt: String,
    cooldown_us: u64,
    allocations: Vec<AllocationRecord>,
}

#[derive(Serialize, Deserialize)]
struct AllocationRecord {
    experiment: String,
    ranges: Vec<RangeRecord>,
    free_us: Option<i64>,
}

/// First bucket, and first bucket after.
pub(super) type RangeRecord = [u32; 2];

pub(super) fn ranges(ranges: &[BucketRange]) -> Vec<RangeRecord> {
    ranges.iter().map(|range| [range.first(), range.end()]).collect()
}

pub(super) fn ranges_from(records: Vec<RangeRecord>) -> Result<Vec<BucketRange>, Broken> {
    let range = |[first, end]: RangeRecord| BucketRange::new(first, end).ok_or(Broken::Buckets(first, end));
    records.into_iter().map(range).collect()
}

impl From<&Layer> for LayerRecord {
    fn from(layer: &Layer) -> Self {
        let allocation = |held: &Allocation| AllocationRecord {
            experiment: held.experiment.to_string(),
            ranges: ranges(&held.ranges),
            free_us: held.free_at.map(Timestamp::micros),
        };
        Self {
            name: layer.name.clone(),
            description: layer.description.clone(),
            unit_kind: layer.unit_kind.to_string(),
            salt: layer.salt.clone(),
            cooldown_us: u64::try_from(layer.cooldown.as_micros()).unwrap_or(u64::MAX),
            allocations: layer.allocations.iter().map(allocation).collect(),
        }
    }
}

impl LayerRecord {
    pub(super) fn layer(self, identity: Identity) -> Result<Layer, Broken> {
        let allocation = |held: AllocationRecord| {
            Ok::<_, Broken>(Allocation {
                experiment: ExperimentKey::new(held.experiment)?,
                ranges: ranges_from(held.ranges)?,
                free_at: held.free_us.map(Timestamp::from_micros),
            })
        };
        Ok(Layer {
            namespace: identity.namespace,
            key: LayerKey::new(identity.key)?,
            name: self.name,
            description: self.description,
            unit_kind: UnitKind::new(self.unit_kind)?,
            salt: self.salt,
            cooldown: Duration::from_micros(self.cooldown_us),
            allocations: self
                .allocations
                .into_iter()
                .map(allocation)
                .collect::<Result<_, _>>()?,
            meta: identity.meta,
        })
    }
}
