//! What is served now: replaced whole, read without a lock.

use std::{collections::HashMap, sync::Arc};

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

    /// Serves `newer` instead of what was served of their namespaces. There is one caller.
    pub(crate) fn replace(&self, newer: impl IntoIterator<Item = Arc<Snapshot>>) {
        let mut snapshots = self.snapshots.load().as_deref().cloned().unwrap_or_default();
        snapshots.extend(
            newer
                .into_iter()
                .map(|snapshot| (snapshot.namespace().clone(), snapshot)),
        );
        self.snapshots.store(Some(Arc::new(snapshots)));
    }
}
