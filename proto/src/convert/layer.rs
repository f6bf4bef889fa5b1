use std::time::Duration;

use assay_core::{
    key::{ExperimentKey, LayerKey},
    layer::{Allocation, BucketRange, DEFAULT_COOLDOWN, Layer},
};

use super::{
    duration, duration_from, each, key_from, meta_from, meta_time, namespace_from, optional_timestamp_from,
    timestamp, unit_kind_from,
};
use crate::{config::v1 as pb, field::FieldErrors};

impl TryFrom<pb::Layer> for Layer {
    type Error = FieldErrors;

    /// Without a cool-down it gets the default one.
    fn try_from(layer: pb::Layer) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(layer.namespace, "namespace"));
        let key = errors.keep(key_from(layer.key, "key", LayerKey::new));
        let unit_kind = errors.keep(unit_kind_from(layer.unit_kind, "unit_kind"));
        let cooldown = errors.keep(cooldown_from(layer.cooldown));
        let allocations = errors.keep(each(layer.allocations, "allocations", allocation_from));
        let meta = errors.keep(meta_from(
            layer.version,
            layer.generation,
            layer.created_at,
            layer.updated_at,
        ));
        let made = || {
            Some(Self {
                namespace: namespace?,
                key: key?,
                name: layer.name,
                description: layer.description,
                unit_kind: unit_kind?,
                salt: layer.salt,
                cooldown: cooldown?,
                allocations: allocations?,
                meta: meta?,
            })
        };
        let made = made();
        errors.finish(made)
    }
}

fn cooldown_from(cooldown: Option<prost_types::Duration>) -> Result<Duration, FieldErrors> {
    cooldown.map_or(Ok(DEFAULT_COOLDOWN), |cooldown| {
        duration_from(cooldown, "cooldown")
    })
}

pub(super) fn range_from(range: pb::BucketRange) -> Result<BucketRange, FieldErrors> {
    BucketRange::new(range.first, range.end).ok_or_else(|| {
        let message = format!(
            "is {}, after a first bucket of {}; give an end above that, at most 1000000",
            range.end, range.first
        );
        FieldErrors::one("end", "BUCKET_RANGE", message)
    })
}

fn allocation_from(allocation: pb::LayerAllocation) -> Result<Allocation, FieldErrors> {
    let mut errors = FieldErrors::default();
    let experiment = errors.keep(key_from(
        allocation.experiment_key,
        "experiment_key",
        ExperimentKey::new,
    ));
    let ranges = errors.keep(each(allocation.ranges, "ranges", range_from));
    let free_at = errors.keep(optional_timestamp_from(allocation.free_at, "free_at"));
    let made = || {
        Some(Allocation {
            experiment: experiment?,
            ranges: ranges?,
            free_at: free_at?,
        })
    };
    let made = made();
    errors.finish(made)
}

impl From<&Layer> for pb::Layer {
    fn from(layer: &Layer) -> Self {
        Self {
            namespace: layer.namespace.to_string(),
            key: layer.key.to_string(),
            name: layer.name.clone(),
            description: layer.description.clone(),
            unit_kind: layer.unit_kind.to_string(),
            salt: layer.salt.clone(),
            cooldown: Some(duration(layer.cooldown)),
            allocations: layer.allocations.iter().map(pb::LayerAllocation::from).collect(),
            version: layer.meta.version,
            generation: layer.meta.generation,
            created_at: meta_time(layer.meta.created_at),
            updated_at: meta_time(layer.meta.updated_at),
        }
    }
}

impl From<&Allocation> for pb::LayerAllocation {
    fn from(allocation: &Allocation) -> Self {
        Self {
            experiment_key: allocation.experiment.to_string(),
            ranges: allocation.ranges.iter().map(pb::BucketRange::from).collect(),
            free_at: allocation.free_at.map(timestamp),
        }
    }
}

impl From<&BucketRange> for pb::BucketRange {
    fn from(range: &BucketRange) -> Self {
        Self {
            first: range.first(),
            end: range.end(),
        }
    }
}
