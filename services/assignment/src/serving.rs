//! What is served now: replaced whole, read without a lock.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use arc_swap::ArcSwapOption;
use assay_core::{
    key::Namespace,
    snapshot::{Configuration, Snapshot},
};

use crate::error::Refusal;

/// The snapshots of all namespaces.
pub(crate) struct Serving {
    /// None until any configuration was seen.
    snapshots: ArcSwapOption<HashMap<Namespace, Arc<Snapshot>>>,
    /// Answers for namespaces that have none.
    empty: Arc<Snapshot>,
}

impl Serving {
    pub(crate) fn new() -> Self {
        let (empty, _) = Snapshot::compile(&Configuration::default());
        Self {
            snapshots: ArcSwapOption::empty(),
            empty: Arc::new(empty),
        }
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
