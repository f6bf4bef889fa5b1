//! One namespace: which generation is believed.

use std::collections::{BTreeMap, BTreeSet};

use assay_core::key::Namespace;
use assay_proto::{bus, view::View};
use assay_storage::config_bus::{Digest, Manifest, NamespaceView, Value};

use super::{SavedNamespace, Step, Told, resources::Resources};

/// Most keys of a change that is taken up in passing, on the thread that hears of it: what fits into one write of the bus.
const MAX_SMALL: usize = 128;

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
    /// Where what was told may differ from what is believed: it does not anywhere else.
    changed: BTreeSet<String>,
    resources: Resources,
}

#[derive(Debug)]
struct Believed {
    manifest: Manifest,
    resources: BTreeMap<String, Value>,
    /// Of the resources.
    digest: Digest,
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
        self.compare();
    }

    /// Finds out where what was told differs from what is believed.
    fn compare(&mut self) {
        let none = BTreeMap::new();
        let believed = self
            .believed
            .as_ref()
            .map_or(&none, |believed| &believed.resources);
        self.changed = differing(believed, &self.told.resources).cloned().collect();
    }

    pub(super) fn put(&mut self, key: String, value: Value) {
        self.changed.insert(key.clone());
        let versions = self.versions.entry(key.clone()).or_default();
        versions.insert(value.generation, value.clone());
        if versions.len() > MAX_VERSIONS {
            versions.pop_first();
        }
        self.told.resources.insert(key, value);
    }

    pub(super) fn delete(&mut self, key: &str) {
        self.changed.insert(key.to_owned());
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

    /// Believes the announced manifest if what was told confirms it and little has changed; it then costs as little.
    pub(super) fn settle_small(&mut self, namespace: &Namespace) -> Option<Step> {
        let manifest = self.awaited()?.clone();
        if self.changed.len() > MAX_SMALL {
            return None;
        }
        let digest = self.confirmed_by_changes(&manifest)?;
        let changes = self.changed.iter();
        let changes = changes.map(|key| (key.as_str(), self.told.resources.get(key)));
        let snapshot = self
            .resources
            .revise(namespace, manifest.generation, &changes.collect())?;
        let believed = self.believed.as_mut()?;
        let served = self.resources.served();
        let encoded = |key: &String| (key.clone(), served.get(key).map(|one| bus::encode(one).into()));
        let told = Told::Changed(manifest.generation, self.changed.iter().map(encoded).collect());
        for key in std::mem::take(&mut self.changed) {
            match self.told.resources.get(&key).cloned() {
                Some(value) => {
                    let only = BTreeMap::from([(value.generation, value.clone())]);
                    self.versions.insert(key.clone(), only);
                    believed.resources.insert(key, value);
                }
                None => drop(believed.resources.remove(&key)),
            }
        }
        (believed.manifest, believed.digest) = (manifest, digest);
        Some(Step {
            snapshot,
            told,
            rejected: Vec::new(),
        })
    }

    /// The digest of what was told, if it is all that `manifest` speaks of.
    fn confirmed_by_changes(&self, manifest: &Manifest) -> Option<Digest> {
        let believed = self.believed.as_ref()?;
        let mut digest = believed.digest;
        for key in &self.changed {
            if let Some(before) = believed.resources.get(key) {
                digest.remove(key, before);
            }
            match self.told.resources.get(key) {
                Some(value) if value.generation > manifest.generation => return None,
                Some(value) => digest.add(key, value),
                None => {}
            }
        }
        let is_whole = self.told.resources.len() as u64 == manifest.count;
        (is_whole && digest.bytes() == manifest.digest).then_some(digest)
    }

    /// Believes the announced manifest if what was told confirms it.
    pub(super) fn settle(&mut self, namespace: &Namespace) -> Option<Step> {
        let manifest = self.awaited()?.clone();
        let (resources, digest) = self.confirmed(&manifest)?;
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
        self.believed = Some(Believed {
            manifest,
            resources,
            digest,
        });
        self.compare();
        Some(Step {
            told: Told::Whole(View::new(snapshot.generation(), self.resources.served())),
            snapshot,
            rejected,
        })
    }

    /// The resources that `manifest` speaks of: those on the bus that are not newer, else their latest versions that are not.
    fn confirmed(&self, manifest: &Manifest) -> Option<(BTreeMap<String, Value>, Digest)> {
        let told = self
            .told
            .resources
            .iter()
            .filter(|(_, value)| value.generation <= manifest.generation);
        let told = told.map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Some(digest) = confirms(&told, manifest) {
            return Some((told, digest));
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
        confirms(&held, manifest).map(|digest| (held, digest))
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

/// The digest of `resources`, if they are what `manifest` speaks of.
fn confirms(resources: &BTreeMap<String, Value>, manifest: &Manifest) -> Option<Digest> {
    if resources.len() as u64 != manifest.count {
        return None;
    }
    let mut digest = Digest::default();
    for (key, value) in resources {
        digest.add(key, value);
    }
    (digest.bytes() == manifest.digest).then_some(digest)
}

/// The keys in which two views differ; the empty key is the manifest.
pub(super) fn differences(one: &NamespaceView, other: &NamespaceView) -> Vec<String> {
    let manifest = (one.manifest != other.manifest).then(String::new);
    let resources = differing(&one.resources, &other.resources).cloned();
    manifest.into_iter().chain(resources).collect()
}

/// The keys under which two maps have different values.
fn differing<'a>(
    one: &'a BTreeMap<String, Value>,
    other: &'a BTreeMap<String, Value>,
) -> impl Iterator<Item = &'a String> {
    let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key))
}
