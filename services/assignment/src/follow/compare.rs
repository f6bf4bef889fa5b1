//! Whether a full read equals what the watch has built, when both may be a little behind the other.

use std::collections::BTreeMap;

use assay_core::key::Namespace;
use assay_storage::config_bus::{BusEvent, View};

use crate::view::ReplicaView;

/// A comparison under way: it waits until the watch has told all that the read has seen.
#[derive(Debug, Default)]
pub(super) struct Comparison(Option<UnderWay>);

#[derive(Debug)]
struct UnderWay {
    read: View,
    /// What the watch has told since, and when: what it told of later writes cannot be compared.
    told: BTreeMap<(Namespace, String), u64>,
    is_due: bool,
}

/// How it came out.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nothing is under way, or not decided yet.
    None,
    /// They are equal.
    Equal,
    /// They differ in these keys; the read is right.
    Differs(View, Vec<(Namespace, String)>),
}

impl Comparison {
    /// Begins to compare `read` with `view`, which has taken in all that the watch has told so far.
    pub(super) fn begin(&mut self, read: View, view: &ReplicaView) {
        let is_equal = view.differences(&read).is_empty();
        self.0 = (!is_equal).then(|| UnderWay {
            read,
            told: BTreeMap::new(),
            is_due: false,
        });
    }

    /// The watch has told `event`, which is taken in before [`Comparison::verdict`] is asked.
    pub(super) fn saw(&mut self, event: &BusEvent) {
        let Some(under_way) = &mut self.0 else { return };
        let (place, revision) = match event {
            BusEvent::Put {
                namespace,
                key,
                revision,
                ..
            }
            | BusEvent::Delete {
                namespace,
                key,
                revision,
            } => ((namespace.clone(), key.clone()), *revision),
            BusEvent::Manifest {
                namespace, revision, ..
            } => ((namespace.clone(), String::new()), *revision),
            BusEvent::Progress { revision } => {
                under_way.is_due |= *revision >= under_way.read.revision;
                return;
            }
            BusEvent::Relist => return,
        };
        under_way.is_due |= revision > under_way.read.revision;
        under_way.told.insert(place, revision);
    }

    /// Decides once the watch has told all that the read has seen.
    pub(super) fn verdict(&mut self, view: &ReplicaView) -> Verdict {
        let Some(UnderWay { read, told, .. }) = self.0.take_if(|under_way| under_way.is_due) else {
            return Verdict::None;
        };
        let is_later =
            |place: &(Namespace, String)| told.get(place).is_some_and(|revision| *revision >= read.revision);
        let keys: Vec<_> = view
            .differences(&read)
            .into_iter()
            .filter(|place| !is_later(place))
            .collect();
        if keys.is_empty() {
            Verdict::Equal
        } else {
            Verdict::Differs(read, keys)
        }
    }
}

#[cfg(test)]
mod tests {
    use assay_storage::config_bus::{NamespaceView, Value};
    use bytes::Bytes;

    use super::*;

    fn value(generation: u64) -> Value {
        Value {
            generation,
            bytes: Bytes::from_static(b"v"),
        }
    }

    fn view(resources: &[(&str, u64)], revision: u64) -> View {
        let resources = resources
            .iter()
            .map(|(key, generation)| ((*key).to_owned(), value(*generation)))
            .collect();
        View {
            namespaces: BTreeMap::from([(
                Namespace::default(),
                NamespaceView {
                    manifest: None,
                    resources,
                },
            )]),
            revision,
        }
    }

    fn put(key: &str, generation: u64, revision: u64) -> BusEvent {
        BusEvent::Put {
            namespace: Namespace::default(),
            key: key.into(),
            value: value(generation),
            revision,
        }
    }

    fn compared(read: View, events: &[BusEvent]) -> Verdict {
        let mut replica = ReplicaView::default();
        replica.relist(view(&[("a", 1), ("b", 1)], 5));
        let mut comparison = Comparison::default();
        comparison.begin(read, &replica);
        let mut verdict = Verdict::None;
        for event in events {
            comparison.saw(event);
            replica.apply(event.clone());
            verdict = comparison.verdict(&replica);
        }
        verdict
    }

    #[test]
    fn a_watch_that_is_behind_is_waited_for() {
        let read = view(&[("a", 2), ("b", 1)], 6);
        assert!(matches!(compared(read.clone(), &[put("a", 2, 6)]), Verdict::None));
        assert!(matches!(
            compared(read.clone(), &[put("a", 2, 6), put("b", 3, 7)]),
            Verdict::Equal
        ));
        assert!(matches!(
            compared(read, &[put("a", 2, 6), BusEvent::Progress { revision: 6 }]),
            Verdict::Equal
        ));
    }

    #[test]
    fn what_the_watch_has_missed_is_found() {
        let read = view(&[("a", 2)], 7);
        let Verdict::Differs(_, keys) = compared(read, &[put("a", 2, 6), put("c", 3, 8)]) else {
            panic!("differs")
        };
        assert_eq!(keys, [(Namespace::default(), "b".to_owned())]);
    }
}
