//! A map of which a copy with a few changes costs little: copies share every part in which they do not differ.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher},
    sync::Arc,
};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// As many as a byte tells apart. With 10,000 entries a change copies some 40 of them.
const SHARDS: usize = 1 << u8::BITS;

/// By keys that come from a configuration: nobody else can choose them to collide.
#[derive(Debug, Clone)]
pub(crate) struct Sharded<K, V>(Vec<Arc<Shard<K, V>>>);

type Shard<K, V> = HashMap<K, V, ByText>;
type ByText = BuildHasherDefault<OneShot>;

/// Hashes one text at once.
#[derive(Debug, Default)]
struct OneShot(u64);

impl Hasher for OneShot {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The end of a text, which is all that is hashed.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<K, V> Default for Sharded<K, V> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Arc::default()).collect())
    }
}

/// Which part has a key. The map in it uses the lowest and the highest bits of the same hash.
fn place<Q: Hash + ?Sized>(key: &Q) -> usize {
    let hash = ByText::default().hash_one(key);
    usize::from((hash >> 32) as u8)
}

impl<K, V> Sharded<K, V> {
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q> + Hash + Eq,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(place(key))?.get(key)
    }

    pub(crate) fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q> + Hash + Eq,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).is_some()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().flat_map(|shard| shard.keys())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().flat_map(|shard| shard.iter())
    }
}

impl<K: Clone + Hash + Eq, V: Clone> Sharded<K, V> {
    /// What the key had before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let shard = self.0.get_mut(place(&key))?;
        Arc::make_mut(shard).insert(key, value)
    }

    /// What the key had.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let shard = self.0.get_mut(place(key))?;
        if !shard.contains_key(key) {
            return None;
        }
        Arc::make_mut(shard).remove(key)
    }

    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Arc::make_mut(self.0.get_mut(place(key))?).get_mut(key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_and_its_copies_are_their_own(
            first in prop::collection::vec((0_u16..300, any::<Option<u8>>()), 0..400),
            then in prop::collection::vec((0_u16..300, any::<Option<u8>>()), 0..40),
        ) {
            let write = |map: &mut Sharded<String, u8>, model: &mut BTreeMap<String, u8>, writes: &[(u16, Option<u8>)]| {
                for (key, value) in writes {
                    let key = format!("key-{key}");
                    let before = match value {
                        Some(value) => (map.insert(key.clone(), *value), model.insert(key, *value)),
                        None => (map.remove(&*key), model.remove(&key)),
                    };
                    assert_eq!(before.0, before.1);
                }
            };
            let same = |map: &Sharded<String, u8>, model: &BTreeMap<String, u8>| {
                let mut keys: Vec<_> = map.keys().collect();
                keys.sort();
                assert!(keys.into_iter().eq(model.keys()));
                assert!(model.iter().all(|(key, value)| map.get(key.as_str()) == Some(value)));
            };
            let (mut map, mut model) = (Sharded::default(), BTreeMap::new());
            write(&mut map, &mut model, &first);
            let (mut copy, mut copied) = (map.clone(), model.clone());
            write(&mut copy, &mut copied, &then);
            same(&map, &model);
            same(&copy, &copied);
            let shared = map.0.iter().zip(&copy.0).filter(|(one, other)| Arc::ptr_eq(one, other)).count();
            assert!(shared.saturating_add(then.len()) >= SHARDS);
        }
    }

    #[test]
    fn keys_are_spread() {
        let mut map = Sharded::default();
        for i in 0..10_000 {
            map.insert(format!("flag-{i}"), ());
        }
        let largest = map.0.iter().map(|shard| shard.len()).max();
        assert!(largest < Some(80), "{largest:?}");
    }
}
