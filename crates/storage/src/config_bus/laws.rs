//! What every [`ConfigBus`] must do. A law panics when it is broken.
//!
//! Each law works in a namespace of its own, so all of them can run on one bus; the bus must be fresh.

mod publishing;
mod replicas;
mod watching;

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use assay_core::key::Namespace;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};

use super::{BusEvent, ConfigBus, KeyBus, Manifest, NamespaceView, Publication, Value, View, digest};
use crate::Error;

pub use publishing::{
    a_broken_projection_can_be_repaired, a_large_publication_arrives_whole, a_publication_is_read_back,
    deletes_remove, nonsense_is_refused, of_concurrent_large_publishers_one_wins,
    of_concurrent_publishers_one_wins, stale_publishers_are_harmless,
};
pub use replicas::{
    a_silent_replica_is_gone_when_its_lease_ends, replicas_are_no_configuration,
    replicas_stand_as_they_said_last,
};
pub use watching::{
    a_lost_history_relists, a_position_that_never_was_relists, a_publication_is_watched_in_order,
    a_watch_resumes_after_any_position, a_watcher_that_checks_digests_sees_whole_generations,
    every_watcher_sees_everything,
};

/// How long anything may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every law, on a fresh bus. `forget` makes the bus lose its history so far, as compaction does.
pub async fn all<F: Future<Output = ()>>(bus: Arc<dyn ConfigBus>, forget: impl FnOnce() -> F) {
    a_publication_is_read_back(&*bus).await;
    nonsense_is_refused(&*bus).await;
    deletes_remove(&*bus).await;
    stale_publishers_are_harmless(&*bus).await;
    a_broken_projection_can_be_repaired(&*bus).await;
    of_concurrent_publishers_one_wins(&bus).await;
    a_large_publication_arrives_whole(&*bus).await;
    of_concurrent_large_publishers_one_wins(&bus).await;
    a_publication_is_watched_in_order(&*bus).await;
    every_watcher_sees_everything(&*bus).await;
    a_watch_resumes_after_any_position(&*bus).await;
    a_watcher_that_checks_digests_sees_whole_generations(&bus).await;
    replicas_stand_as_they_said_last(&*bus).await;
    a_silent_replica_is_gone_when_its_lease_ends(&*bus).await;
    replicas_are_no_configuration(&*bus).await;
    a_position_that_never_was_relists(&*bus).await;
    a_lost_history_relists(&*bus, forget).await;
}

/// The laws of a [`KeyBus`], on a fresh one.
pub async fn keys(bus: &dyn KeyBus) {
    assert_eq!(bus.keys().await.expect("read"), None);
    for value in [&b"one"[..], b"one", b"", b"two"] {
        bus.put_keys(Bytes::from_static(value)).await.expect("write");
        assert_eq!(bus.keys().await.expect("read").as_deref(), Some(value));
    }
}

/// A namespace's truth, from which publications are made.
#[derive(Debug, Clone)]
struct Truth {
    namespace: Namespace,
    generation: Option<u64>,
    resources: BTreeMap<String, Value>,
}

impl Truth {
    fn new(namespace: &str) -> Self {
        let namespace = Namespace::new(namespace).expect("laws name their namespaces well");
        Self {
            namespace,
            generation: None,
            resources: BTreeMap::new(),
        }
    }

    /// The step to `generation` which writes `puts`, of `size` bytes each, and removes `deletes`.
    fn step(&mut self, generation: u64, puts: &[&str], size: usize, deletes: &[&str]) -> Publication {
        let value = Value {
            generation,
            bytes: Bytes::from(vec![generation as u8; size]),
        };
        let puts: BTreeMap<_, _> = puts.iter().map(|&key| (key.to_owned(), value.clone())).collect();
        self.resources.extend(puts.clone());
        self.resources.retain(|key, _| !deletes.contains(&key.as_str()));
        let from = self.generation.replace(generation);
        let manifest = Manifest {
            generation,
            count: self.resources.len() as u64,
            digest: digest(&self.resources),
        };
        let deletes = deletes.iter().map(|&key| key.to_owned()).collect();
        Publication {
            namespace: self.namespace.clone(),
            from,
            puts,
            deletes,
            manifest,
        }
    }

    /// Publishes the step.
    async fn publish(
        &mut self,
        bus: &dyn ConfigBus,
        generation: u64,
        puts: &[&str],
        deletes: &[&str],
    ) -> Publication {
        let publication = self.step(generation, puts, 20, deletes);
        bus.publish(publication.clone())
            .await
            .expect("it starts from what is there");
        publication
    }

    /// Checks that `view` is exactly this.
    fn assert_is(&self, view: &NamespaceView) {
        assert_eq!(view.resources, self.resources);
        assert_eq!(
            view.manifest.as_ref().map(|manifest| manifest.generation),
            self.generation
        );
        assert!(
            self.generation.is_none() || whole(view),
            "the digest does not confirm the view"
        );
    }
}

/// Whether the manifest confirms the resources.
fn whole(view: &NamespaceView) -> bool {
    let Some(manifest) = &view.manifest else {
        return false;
    };
    manifest.count == view.resources.len() as u64 && manifest.digest == digest(&view.resources)
}

async fn read(bus: &dyn ConfigBus) -> View {
    bus.read().await.expect("read")
}

async fn read_of(bus: &dyn ConfigBus, namespace: &Namespace) -> NamespaceView {
    read(bus).await.namespaces.remove(namespace).unwrap_or_default()
}

/// The events of one namespace.
struct Watcher {
    stream: BoxStream<'static, Result<BusEvent, Error>>,
    namespace: Namespace,
}

impl Watcher {
    async fn open(bus: &dyn ConfigBus, namespace: &Namespace, revision: u64) -> Self {
        Self {
            stream: bus.watch(revision).await.expect("watch"),
            namespace: namespace.clone(),
        }
    }

    /// The next event of the namespace, or `Relist`.
    async fn next(&mut self) -> BusEvent {
        loop {
            let item = tokio::time::timeout(PATIENCE, self.stream.next())
                .await
                .expect("an event in time");
            let event = item.expect("the watch goes on").expect("the watch is well");
            match &event {
                BusEvent::Relist => return event,
                BusEvent::Progress { .. } => {}
                BusEvent::Put { namespace, .. }
                | BusEvent::Delete { namespace, .. }
                | BusEvent::Manifest { namespace, .. } => {
                    if *namespace == self.namespace {
                        return event;
                    }
                }
            }
        }
    }

    /// The events of the namespace up to the manifest of `generation`.
    async fn until(&mut self, wanted: u64) -> Vec<BusEvent> {
        let mut events = vec![];
        loop {
            events.push(self.next().await);
            match events.last() {
                Some(BusEvent::Manifest { manifest, .. }) if manifest.generation == wanted => return events,
                Some(BusEvent::Relist) => panic!("history was lost"),
                _ => {}
            }
        }
    }
}

/// What `event` makes of `view`.
fn apply(view: &mut NamespaceView, event: BusEvent) {
    match event {
        BusEvent::Put { key, value, .. } => {
            view.resources.insert(key, value);
        }
        BusEvent::Delete { key, .. } => {
            view.resources.remove(&key);
        }
        BusEvent::Manifest { manifest, .. } => view.manifest = Some(manifest),
        BusEvent::Progress { .. } | BusEvent::Relist => {}
    }
}

fn revision_of(event: &BusEvent) -> u64 {
    match event {
        BusEvent::Put { revision, .. }
        | BusEvent::Delete { revision, .. }
        | BusEvent::Manifest { revision, .. }
        | BusEvent::Progress { revision } => *revision,
        BusEvent::Relist => panic!("history was lost"),
    }
}

/// Names of `n` resources.
fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("flag/f{i:03}")).collect()
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
