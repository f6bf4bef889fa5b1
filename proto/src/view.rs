//! A namespace's configuration as `WatchConfig` hands it over: encoded resources by key, how one view leads to another, and back to core.

use std::{collections::BTreeMap, sync::Arc};

use assay_core::{
    key::Namespace,
    snapshot::{self, Configuration, Rejected, Snapshot},
};

use crate::{
    assignment::v1::ConfigEntry,
    bus::{self, Published},
};

/// Encoded resources by key.
pub type Entries = BTreeMap<String, Arc<[u8]>>;

/// All that is served of a namespace at one generation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The generation.
    pub generation: u64,
    /// Its resources, such as [`bus::encode`] makes them.
    pub entries: Entries,
}

impl View {
    /// The view of `resources` by their keys on the bus.
    pub fn new<'a>(
        generation: u64,
        resources: impl IntoIterator<Item = (&'a String, &'a Published)>,
    ) -> Self {
        let encoded = resources
            .into_iter()
            .map(|(key, published)| (key.clone(), bus::encode(published).into()));
        Self {
            generation,
            entries: encoded.collect(),
        }
    }

    /// What confirms that a copy is whole and right.
    pub fn digest(&self) -> [u8; 32] {
        let entries = self.entries.iter();
        snapshot::digest(entries.map(|(key, bytes)| (key.as_str(), &**bytes)))
    }

    /// What must be put and removed, in order of key, to make this view of `base`.
    pub fn since(&self, base: &Self) -> Vec<(String, Option<Arc<[u8]>>)> {
        let changed = self
            .entries
            .iter()
            .filter(|(key, bytes)| base.entries.get(*key) != Some(bytes));
        let changed = changed.map(|(key, bytes)| (key.clone(), Some(bytes.clone())));
        let gone = base.entries.keys().filter(|key| !self.entries.contains_key(*key));
        let mut all: BTreeMap<_, _> = changed.collect();
        all.extend(gone.map(|key| (key.clone(), None)));
        all.into_iter().collect()
    }

    /// Takes in an entry.
    pub fn apply(&mut self, entry: ConfigEntry) {
        if entry.resource.is_empty() {
            self.entries.remove(&entry.key);
        } else {
            self.entries.insert(entry.key, entry.resource.into());
        }
    }

    /// Compiled; what cannot be decoded or compiled is left out and listed.
    pub fn compile(&self, namespace: &Namespace) -> (Snapshot, Vec<Rejected>) {
        let (mut resources, mut rejected) = (Vec::new(), Vec::new());
        for (key, bytes) in &self.entries {
            match bus::decode(bytes) {
                Ok(published) => resources.push(published),
                Err(errors) => rejected.push(Rejected {
                    resource: key.replacen('/', " ", 1),
                    reason: errors.to_string(),
                }),
            }
        }
        let configuration = configuration(namespace, self.generation, resources);
        let (snapshot, refused) = Snapshot::compile(&configuration);
        rejected.extend(refused);
        (snapshot, rejected)
    }
}

/// The configuration of `resources`.
pub fn configuration(
    namespace: &Namespace,
    generation: u64,
    resources: impl IntoIterator<Item = Published>,
) -> Configuration {
    let mut configuration = Configuration {
        namespace: namespace.clone(),
        generation,
        ..Configuration::default()
    };
    for published in resources {
        match published {
            Published::Flag(flag) => configuration.flags.push(flag),
            Published::Segment(segment) => configuration.segments.push(segment),
            Published::Experiment(experiment) => configuration.experiments.push(experiment),
            Published::Holdout(holdout) => configuration.holdouts.push(holdout),
        }
    }
    configuration
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(entries: &[(&str, &[u8])]) -> View {
        let entries = entries
            .iter()
            .map(|(key, bytes)| ((*key).to_owned(), Arc::from(*bytes)));
        View {
            generation: 1,
            entries: entries.collect(),
        }
    }

    #[test]
    fn what_leads_from_one_view_to_another_makes_it() {
        let base = view(&[("flag/a", b"1"), ("flag/b", b"2"), ("flag/c", b"3")]);
        let next = view(&[("flag/a", b"1"), ("flag/c", b"4"), ("flag/d", b"5")]);
        let steps = next.since(&base);
        let keys: Vec<_> = steps
            .iter()
            .map(|(key, bytes)| (key.as_str(), bytes.is_some()))
            .collect();
        assert_eq!(keys, [("flag/b", false), ("flag/c", true), ("flag/d", true)]);
        let mut copy = base.clone();
        for (key, bytes) in steps {
            copy.apply(ConfigEntry {
                key,
                resource: bytes.map(|bytes| bytes.to_vec()).unwrap_or_default(),
            });
        }
        assert_eq!((copy.digest(), &copy), (next.digest(), &next));
        assert_ne!(base.digest(), next.digest());
        assert_eq!(next.since(&next), []);
    }

    #[test]
    fn the_digest_tells_where_a_key_ends() {
        assert_ne!(view(&[("ab", b"c")]).digest(), view(&[("a", b"bc")]).digest());
    }

    #[test]
    fn what_cannot_be_decoded_is_left_out_alone() {
        let (snapshot, rejected) = view(&[("flag/a", b"no message")]).compile(&Namespace::default());
        assert_eq!(snapshot.flags().count(), 0);
        assert_eq!(rejected[0].resource, "flag a");
    }
}
