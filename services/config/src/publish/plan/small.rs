//! The plan of a small change, without a look at all the rest.

use std::collections::BTreeMap;

use assay_core::{
    experiment::Experiment,
    key::{Namespace, SegmentKey},
    lifecycle::State,
};
use assay_proto::bus;
use assay_storage::{
    config_bus::{Digest, Manifest, NamespaceView, Publication, Value},
    config_store::{Changed, Kind, Resource},
};

/// What makes `held`, which equals the truth of its manifest's generation, equal to the truth that has `changed` since. Nothing when it
/// takes more than that to know: where segments or holdouts have changed, or an experiment no longer pins a version of a segment, more
/// may have to come or go.
pub(in crate::publish) fn plan_small(
    namespace: &Namespace,
    held: &NamespaceView,
    changed: Changed,
) -> Option<Publication> {
    let before = held.manifest.as_ref()?;
    let mut digest = Digest::of(before);
    let mut count = held.resources.len();
    let (mut puts, mut deletes) = (BTreeMap::new(), Vec::new());
    for (key, now) in after(changed.resources, changed.gone)? {
        let there = held.resources.get(&key);
        keeps_segments(held, there, now.as_ref())?;
        if let Some(there) = there {
            digest.remove(&key, there);
            count -= 1;
        }
        match now {
            Some((generation, published)) => {
                let bytes = bus::encode(&published).into();
                let value = Value { generation, bytes };
                digest.add(&key, &value);
                count += 1;
                puts.insert(key, value);
            }
            None if there.is_some() => deletes.push(key),
            None => {}
        }
    }
    Some(Publication {
        namespace: namespace.clone(),
        from: Some(before.generation),
        puts,
        deletes,
        manifest: Manifest {
            generation: changed.generation,
            count: count as u64,
            digest: digest.bytes(),
        },
    })
}

/// By key on the bus what is to be there, and of which generation.
type After = BTreeMap<String, Option<(u64, bus::Published)>>;

/// Of flags and experiments; nothing when others have changed, but for those that are never published.
fn after(resources: Vec<Resource>, gone: Vec<(Kind, String)>) -> Option<After> {
    let mut after = After::new();
    for (kind, key) in gone {
        match kind {
            Kind::Flag | Kind::Experiment => drop(after.insert(format!("{}/{key}", kind.name()), None)),
            Kind::Metric | Kind::Layer => {}
            Kind::Segment | Kind::Holdout => return None,
        }
    }
    for resource in resources {
        let key = format!("{}/{}", resource.kind().name(), resource.key());
        let generation = resource.meta().generation;
        let published = match resource {
            Resource::Flag(flag) => Some(bus::Published::Flag(flag)),
            Resource::Experiment(experiment) if experiment.state == State::Draft => None,
            Resource::Experiment(experiment) => Some(bus::Published::Experiment(experiment)),
            Resource::Metric(_) | Resource::Layer(_) => continue,
            Resource::Segment(_) | Resource::Holdout(_) => return None,
        };
        after.insert(key, published.map(|published| (generation, published)));
    }
    Some(after)
}

/// Whether the versions of segments that are to be there stay the same: what is pinned stays pinned, or begins to be while it is there.
fn keeps_segments(
    held: &NamespaceView,
    there: Option<&Value>,
    now: Option<&(u64, bus::Published)>,
) -> Option<()> {
    let there = there.map(|there| bus::decode(&there.bytes)).transpose().ok()?;
    let before = there.as_ref().and_then(pin);
    let now = now.and_then(|(_, published)| pin(published));
    match (before, now) {
        (None, Some((segment, version))) => {
            let key = format!("segment/{segment}@{version}");
            held.resources.contains_key(&key).then_some(())
        }
        (before, now) => (before == now).then_some(()),
    }
}

/// The version of a segment that a live experiment has pinned.
fn pin(published: &bus::Published) -> Option<(&SegmentKey, u64)> {
    match published {
        bus::Published::Experiment(Experiment {
            state,
            segment: Some(segment),
            segment_version: Some(version),
            ..
        }) if state.is_live() => Some((segment, *version)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
