//! One namespace: which generation is believed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use assay_core::key::Namespace;
use assay_storage::config_bus::{Manifest, NamespaceView, Value, digest};

use super::{SavedNamespace, Step, resources::Resources};

/// Most versions of one key that are held back; more are only seen when publishers race.
const MAX_VERSIONS: usize = 8;

/// What was told of a namespace and what is believed of it.
#[derive(Debug, Default)]
pub(super) struct NamespaceReplica {
    /// What the bus holds, as far as told.
    told: NamespaceView,
    /// The versions of each key that is on the bus: the believed one and those newer than the manifest, which are held back.
    versions: BTreeMap<String, BTreeMap<u64, Value>>,
    /// What is served.
    believed: Option<Believed>,
    resources: Resources,
}

#[derive(Debug)]
struct Believed {
    manifest: Manifest,
    resources: BTreeMap<String, Value>,
}

impl NamespaceReplica {
    /// As an earlier life had it; the manifest is verified as any other.
    pub(super) fn restore(&mut self, saved: SavedNamespace) {
        self.resources = Resources::restore(saved.last_good);
        self.replace(NamespaceView {
            manifest: Some(saved.manifest),
            resources: saved.resources,
        });
    }

    pub(super) fn replace(&mut self, view: NamespaceView) {
        let version = |(key, value): (&String, &Value)| {
            (key.clone(), BTreeMap::from([(value.generation, value.clone())]))
        };
        self.versions = view.resources.iter().map(version).collect();
        self.told = view;
    }

    pub(super) fn put(&mut self, key: String, value: Value) {
        let versions = self.versions.entry(key.clone()).or_default();
        versions.insert(value.generation, value.clone());
        if versions.len() > MAX_VERSIONS {
            versions.pop_first();
        }
        self.told.resources.insert(key, value);
    }

    pub(super) fn delete(&mut self, key: &str) {
        self.versions.remove(key);
        self.told.resources.remove(key);
    }

    pub(super) fn announce(&mut self, manifest: Manifest) {
        self.told.manifest = Some(manifest);
    }

    pub(super) fn told(&self) -> &NamespaceView {
        &self.told
    }

    /// Whether the bus stands below what is served.
    pub(super) fn has_regressed(&self) -> bool {
        match (&self.told.manifest, &self.believed) {
            (Some(told), Some(believed)) => told.generation < believed.manifest.generation,
            _ => false,
        }
    }

    pub(super) fn is_unsettled(&self) -> bool {
        self.awaited().is_some()
    }

    /// The manifest that was announced and is not served, unless it would go back.
    fn awaited(&self) -> Option<&Manifest> {
        let told = self.told.manifest.as_ref()?;
        match &self.believed {
            Some(believed)
                if *told == believed.manifest || told.generation < believed.manifest.generation =>
            {
                None
            }
            _ => Some(told),
        }
    }

    /// Believes the announced manifest if what was told confirms it.
    pub(super) fn settle(&mut self, namespace: &Namespace) -> Option<Step> {
        let manifest = self.awaited()?.clone();
        let resources = self.confirmed(&manifest)?;
        let (snapshot, rejected) = self.resources.compile(namespace, manifest.generation, &resources);
        let kept = |(key, value): (&String, &Value)| {
            (key.clone(), BTreeMap::from([(value.generation, value.clone())]))
        };
        let newer = self
            .versions
            .iter_mut()
            .map(|(key, versions)| (key.clone(), versions.split_off(&(manifest.generation + 1))));
        let newer: Vec<_> = newer.filter(|(_, versions)| !versions.is_empty()).collect();
        self.versions = resources.iter().map(kept).collect();
        for (key, versions) in newer {
            self.versions.entry(key).or_default().extend(versions);
        }
        self.believed = Some(Believed { manifest, resources });
        Some(Step {
            snapshot: Arc::new(snapshot),
            rejected,
        })
    }

    /// The resources that `manifest` speaks of: those on the bus that are not newer, else their latest versions that are not.
    fn confirmed(&self, manifest: &Manifest) -> Option<BTreeMap<String, Value>> {
        let told = self
            .told
            .resources
            .iter()
            .filter(|(_, value)| value.generation <= manifest.generation);
        let told = told.map(|(key, value)| (key.clone(), value.clone())).collect();
        if confirms(&told, manifest) {
            return Some(told);
        }
        let latest = |versions: &BTreeMap<u64, Value>| {
            versions
                .range(..=manifest.generation)
                .next_back()
                .map(|(_, value)| value.clone())
        };
        let held = self
            .versions
            .iter()
            .filter_map(|(key, versions)| Some((key.clone(), latest(versions)?)))
            .collect();
        confirms(&held, manifest).then_some(held)
    }

    pub(super) fn save(&self) -> Option<SavedNamespace> {
        let believed = self.believed.as_ref()?;
        Some(SavedNamespace {
            manifest: believed.manifest.clone(),
            resources: believed.resources.clone(),
            last_good: self.resources.last_good(),
        })
    }
}

fn confirms(resources: &BTreeMap<String, Value>, manifest: &Manifest) -> bool {
    resources.len() as u64 == manifest.count && digest(resources) == manifest.digest
}

/// The keys in which two views differ; the empty key is the manifest.
pub(super) fn differences(one: &NamespaceView, other: &NamespaceView) -> Vec<String> {
    let keys: BTreeSet<_> = one.resources.keys().chain(other.resources.keys()).collect();
    let differs = keys
        .into_iter()
        .filter(|key| one.resources.get(*key) != other.resources.get(*key));
    let manifest = (one.manifest != other.manifest).then(String::new);
    manifest.into_iter().chain(differs.cloned()).collect()
}
