//! What is served now: replaced whole, read without a lock.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use assay_core::{
    key::Namespace,
    snapshot::{Configuration, Snapshot},
    time::Timestamp,
};

use crate::error::Refusal;

/// Who has heard nothing of the bus for so long may serve what is out of date, and says so.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// The time of what never was.
const NEVER: i64 = i64::MIN;

/// The snapshots of all namespaces.
pub(crate) struct Serving {
    /// None until any configuration was seen.
    snapshots: ArcSwapOption<HashMap<Namespace, Arc<Snapshot>>>,
    /// Answers for namespaces that have none.
    empty: Arc<Snapshot>,
    /// When the bus was heard of last, in microseconds; [`NEVER`] before.
    heard: AtomicI64,
}

impl Serving {
    pub(crate) fn new() -> Self {
        let (empty, _) = Snapshot::compile(&Configuration::default());
        Self {
            snapshots: ArcSwapOption::empty(),
            empty: Arc::new(empty),
            heard: AtomicI64::new(NEVER),
        }
    }

    /// The bus was heard of at `now`: what is served is what it has.
    pub(crate) fn heard(&self, now: Timestamp) {
        self.heard.store(now.micros(), Ordering::Relaxed);
    }

    /// For how long nothing was heard of the bus; none when nothing ever was.
    pub(crate) fn age(&self, now: Timestamp) -> Option<Duration> {
        let heard = self.heard.load(Ordering::Relaxed);
        (heard != NEVER).then(|| now.since(Timestamp::from_micros(heard)))
    }

    /// Whether what is served may be out of date: from the snapshot file, or the bus has been silent for a minute.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        self.age(now).is_none_or(|age| age >= STALE_AFTER)
    }

    /// What is served, in order of namespace.
    pub(crate) fn generations(&self) -> Vec<(Namespace, u64)> {
        let snapshots = self.snapshots.load();
        let served = snapshots.iter().flat_map(|snapshots| snapshots.iter());
        let mut generations: Vec<_> = served
            .map(|(namespace, snapshot)| (namespace.clone(), snapshot.generation()))
            .collect();
        generations.sort();
        generations
    }

    /// The snapshot that answers one request about `namespace`, from its first to its last item.
    pub(crate) fn snapshot(&self, namespace: &str) -> Result<Arc<Snapshot>, Refusal> {
        let snapshots = self.snapshots.load();
        let snapshots = snapshots.as_ref().ok_or(Refusal::NoConfiguration)?;
        Ok(snapshots.get(namespace).unwrap_or(&self.empty).clone())
    }

    /// Serves `newer` instead of what was served of their namespaces, which is returned: requests that have begun with it end with it.
    /// There is one caller.
    pub(crate) fn replace(&self, newer: impl IntoIterator<Item = Arc<Snapshot>>) -> Vec<Weak<Snapshot>> {
        let mut snapshots = self.snapshots.load().as_deref().cloned().unwrap_or_default();
        let mut replaced = Vec::new();
        for snapshot in newer {
            let older = snapshots.insert(snapshot.namespace().clone(), snapshot);
            replaced.extend(older.as_ref().map(Arc::downgrade));
        }
        self.snapshots.store(Some(Arc::new(snapshots)));
        replaced
    }
}
