//! What a replica believes of all it was told by the bus: whole, verified generations and nothing else.
//!
//! Pure: events and full reads go in, compiled snapshots come out. [`namespace`] decides which generation is believed,
//! [`resources`] what of it is served when single resources are broken.

mod namespace;
mod resources;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use assay_core::{
    key::Namespace,
    snapshot::{Rejected, Snapshot},
};
use assay_proto::view::View;
use assay_storage::config_bus::{self, BusEvent, Manifest, Value};
use bytes::Bytes;

use namespace::NamespaceReplica;

/// What is told to those who watch.
#[derive(Debug)]
pub(crate) enum Told {
    /// All of it.
    Whole(View),
    /// The generation, and what is other in it than in the one before: encoded, or gone.
    Changed(u64, Vec<(String, Option<Arc<[u8]>>)>),
}

/// A generation that is to be served from now on.
#[derive(Debug)]
pub(crate) struct Step {
    /// It, compiled.
    pub(crate) snapshot: Arc<Snapshot>,
    /// The same for those who compile it themselves.
    pub(crate) told: Told,
    /// Its broken resources; each is served in its last good version if there is one.
    pub(crate) rejected: Vec<Rejected>,
}

/// What must be kept to serve a namespace again after a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// By namespace.
    pub(crate) namespaces: BTreeMap<Namespace, SavedNamespace>,
}

/// One namespace of [`Saved`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedNamespace {
    /// What is served.
    pub(crate) manifest: Manifest,
    /// The resources that the manifest confirms.
    pub(crate) resources: BTreeMap<String, Value>,
    /// Last good versions that are served instead of broken resources.
    pub(crate) last_good: BTreeMap<String, Bytes>,
}

/// What a replica was told and what it believes of it.
#[derive(Debug, Default)]
pub(crate) struct ReplicaView {
    namespaces: BTreeMap<Namespace, NamespaceReplica>,
    n_regressed: u64,
}

impl ReplicaView {
    /// Takes up what an earlier life has served.
    pub(crate) fn restore(&mut self, saved: Saved) -> Vec<Step> {
        let restore = |(namespace, saved): (Namespace, SavedNamespace)| {
            let replica = self.namespaces.entry(namespace.clone()).or_default();
            replica.restore(saved);
            replica.settle(&namespace)
        };
        saved.namespaces.into_iter().filter_map(restore).collect()
    }

    /// Replaces all that was told by a full read. What is served stays until the read confirms something newer, so a bus that was
    /// wiped or restored changes nothing.
    pub(crate) fn relist(&mut self, mut view: config_bus::View) -> Vec<Step> {
        for namespace in view.namespaces.keys() {
            self.namespaces.entry(namespace.clone()).or_default();
        }
        let mut steps = Vec::new();
        for (namespace, replica) in &mut self.namespaces {
            replica.replace(view.namespaces.remove(namespace).unwrap_or_default());
            self.n_regressed += u64::from(replica.has_regressed());
            steps.extend(replica.settle(namespace));
        }
        steps
    }

    /// Takes in one event; a generation that it completes is returned.
    #[cfg(test)]
    pub(crate) fn apply(&mut self, event: BusEvent) -> Option<Step> {
        let namespace = self.take_in(event)?;
        self.settle_small(&namespace).or_else(|| self.settle(&namespace))
    }

    /// Takes in one event; the answer is the namespace that it may complete a generation of.
    pub(crate) fn take_in(&mut self, event: BusEvent) -> Option<Namespace> {
        let namespace = match event {
            BusEvent::Put {
                namespace,
                key,
                value,
                ..
            } => {
                self.replica(&namespace).put(key, value);
                namespace
            }
            BusEvent::Delete { namespace, key, .. } => {
                self.replica(&namespace).delete(&key);
                namespace
            }
            BusEvent::Manifest {
                namespace, manifest, ..
            } => {
                let replica = self.replica(&namespace);
                replica.announce(manifest);
                let has_regressed = replica.has_regressed();
                self.n_regressed += u64::from(has_regressed);
                namespace
            }
            BusEvent::Progress { .. } | BusEvent::Relist => return None,
        };
        self.replica(&namespace).is_unsettled().then_some(namespace)
    }

    fn replica(&mut self, namespace: &Namespace) -> &mut NamespaceReplica {
        self.namespaces.entry(namespace.clone()).or_default()
    }

    /// A generation of `namespace` that is complete and differs little from the one before.
    pub(crate) fn settle_small(&mut self, namespace: &Namespace) -> Option<Step> {
        self.namespaces.get_mut(namespace)?.settle_small(namespace)
    }

    /// A generation of `namespace` that is complete. Computes for long where there is much.
    pub(crate) fn settle(&mut self, namespace: &Namespace) -> Option<Step> {
        self.namespaces.get_mut(namespace)?.settle(namespace)
    }

    /// The keys of `namespace` in which it differs from what was told; the empty key is the manifest.
    pub(crate) fn differences(&self, view: &config_bus::View) -> Vec<(Namespace, String)> {
        let none = config_bus::NamespaceView::default();
        let mut found = Vec::new();
        let names = view.namespaces.keys().chain(
            self.namespaces
                .keys()
                .filter(|name| !view.namespaces.contains_key(*name)),
        );
        for name in names {
            let told = self.namespaces.get(name).map_or(&none, NamespaceReplica::told);
            let read = view.namespaces.get(name).unwrap_or(&none);
            let keys = namespace::differences(told, read);
            found.extend(keys.into_iter().map(|key| (name.clone(), key)));
        }
        found
    }

    /// Whether a manifest was announced that what was told does not confirm: a publication under way, or something was missed.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.namespaces.values().any(NamespaceReplica::is_unsettled)
    }

    /// How many manifests of a generation below the served one were seen; all were ignored.
    pub(crate) fn n_regressed(&self) -> u64 {
        self.n_regressed
    }

    /// What must be kept for a restart.
    pub(crate) fn save(&self) -> Saved {
        let saved = |(namespace, replica): (&Namespace, &NamespaceReplica)| {
            Some((namespace.clone(), replica.save()?))
        };
        Saved {
            namespaces: self.namespaces.iter().filter_map(saved).collect(),
        }
    }
}
