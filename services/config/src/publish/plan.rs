//! What must be written so that the bus equals the truth: a pure function of both.

mod small;

use std::collections::BTreeMap;

use assay_proto::bus::{self, encode};
use assay_storage::{
    config_bus::{Manifest, NamespaceView, Publication, Value, digest},
    config_store::{Published, Resource, Unreadable},
};
use bytes::Bytes;

pub(super) use small::plan_small;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Plan {
    /// The bus equals the truth.
    Nothing,
    /// The bus has gone further than the truth, which was restored or diverged: generations must not be used twice.
    Raise {
        /// The generation to raise the truth to.
        to: u64,
    },
    /// Write this.
    Publish(Publication),
}

/// What makes `held` equal to `truth`.
pub(super) fn plan(held: &NamespaceView, truth: Published) -> Plan {
    let (namespace, generation) = (truth.namespace, truth.generation);
    let mut wanted = wanted(truth.resources);
    wanted.extend(last_good(held, &truth.unreadable));
    let manifest = Manifest {
        generation,
        count: wanted.len() as u64,
        digest: digest(&wanted),
    };
    let above = held
        .manifest
        .as_ref()
        .filter(|there| is_foreign(there, &manifest));
    if let Some(there) = above {
        return Plan::Raise {
            to: there.generation.saturating_add(1),
        };
    }
    let deletes: Vec<_> = held
        .resources
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .cloned()
        .collect();
    let mut puts = wanted;
    puts.retain(|key, value| held.resources.get(key) != Some(value));
    if puts.is_empty() && deletes.is_empty() && held.manifest.as_ref() == Some(&manifest) {
        return Plan::Nothing;
    }
    let from = held.manifest.as_ref().map(|manifest| manifest.generation);
    Plan::Publish(Publication {
        namespace,
        from,
        puts,
        deletes,
        manifest,
    })
}

/// Whether `there` says of a generation what the truth does not: it is not reached yet, or has other content.
fn is_foreign(there: &Manifest, manifest: &Manifest) -> bool {
    there.generation > manifest.generation || there.generation == manifest.generation && there != manifest
}

/// What the bus is to hold, by key.
fn wanted(resources: Vec<Resource>) -> BTreeMap<String, Value> {
    let mut wanted = BTreeMap::new();
    for resource in resources {
        match resource {
            Resource::Flag(flag) => put(&mut wanted, flag.meta.generation, bus::Published::Flag(flag)),
            Resource::Experiment(experiment) => {
                put(
                    &mut wanted,
                    experiment.meta.generation,
                    bus::Published::Experiment(experiment),
                );
            }
            Resource::Holdout(holdout) => {
                put(
                    &mut wanted,
                    holdout.meta.generation,
                    bus::Published::Holdout(holdout),
                );
            }
            Resource::Segment(segment) => {
                put(
                    &mut wanted,
                    segment.meta.generation,
                    bus::Published::Segment(segment),
                );
            }
            // What assignment does not look at is not published.
            Resource::Metric(_) | Resource::Layer(_) => {}
        }
    }
    wanted
}

/// What the bus holds of resources that cannot be read: it stays, until they are mended or deleted.
fn last_good(held: &NamespaceView, unreadable: &[Unreadable]) -> BTreeMap<String, Value> {
    let is_unreadable = |key: &str| {
        unreadable.iter().any(|broken| {
            let name = format!("{}/{}", broken.kind.name(), broken.key);
            let version = key.strip_prefix(&name);
            version.is_some_and(|version| version.is_empty() || version.starts_with('@'))
        })
    };
    let kept = held.resources.iter().filter(|(key, _)| is_unreadable(key));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn put(wanted: &mut BTreeMap<String, Value>, generation: u64, published: bus::Published) {
    wanted.insert(
        published.key(),
        Value {
            generation,
            bytes: Bytes::from(encode(&published)),
        },
    );
}

#[cfg(test)]
mod tests;
