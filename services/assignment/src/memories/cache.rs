//! A bounded cache of what is remembered. A first assignment never changes, so nothing in it can be wrong, only missing.

use std::collections::HashMap;

use assay_core::memory::Remembered;
use assay_storage::unit_store::Place;

/// Most entries of each half.
const HALF: usize = 50_000;

/// Two halves: when the young one is full it becomes the old one, and what nobody has asked for since is gone.
#[derive(Debug, Default)]
pub(super) struct Cache {
    young: HashMap<Place, Remembered>,
    old: HashMap<Place, Remembered>,
}

impl Cache {
    pub(super) fn get(&mut self, place: &Place) -> Option<&Remembered> {
        if let Some((place, remembered)) = self.old.remove_entry(place) {
            self.put(place, remembered);
        }
        self.young.get(place)
    }

    pub(super) fn put(&mut self, place: Place, remembered: Remembered) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(place, remembered);
    }
}

#[cfg(test)]
mod tests {
    use assay_core::key::{ExperimentKey, Namespace, Unit, VariantKey};

    use super::*;

    fn place(n: usize) -> Place {
        Place {
            namespace: Namespace::default(),
            unit: Unit::user(n.to_string()).unwrap(),
            experiment: ExperimentKey::new("a").unwrap(),
        }
    }

    #[test]
    fn it_keeps_what_is_asked_for_and_stays_small() {
        let on = Remembered {
            variant: VariantKey::new("on").unwrap(),
            cohort: 1,
        };
        let mut cache = Cache::default();
        for n in 0..3 * HALF {
            cache.put(place(n), on.clone());
            assert!(cache.get(&place(0)).is_some());
            assert!(cache.young.len() + cache.old.len() <= 2 * HALF);
        }
        assert!(cache.get(&place(1)).is_none());
        assert!(cache.get(&place(3 * HALF - 1)).is_some());
    }
}
