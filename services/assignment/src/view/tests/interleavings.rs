//! Whatever a replica is told, in whatever order.

use proptest::prelude::*;

use super::*;

/// What may happen to a replica.
#[derive(Debug, Clone)]
enum Op {
    /// The next generation: for each of four keys whether it is there, changed or kept.
    Publish(Vec<u8>),
    /// Values of a publication that never gets its manifest.
    Torn(usize),
    /// The last events come again.
    Repeat(usize),
    /// A full read of the bus as it is.
    Relist,
    /// A full read in the middle of the next publication, which then goes on.
    RelistWithin(Vec<u8>, usize),
    /// The next generation, of which the watch misses one event.
    Missed(Vec<u8>, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let change = || prop::collection::vec(0_u8..3, 4);
    prop_oneof![
        4 => change().prop_map(Op::Publish),
        1 => (0_usize..4).prop_map(Op::Torn),
        1 => (1_usize..6).prop_map(Op::Repeat),
        1 => Just(Op::Relist),
        2 => (change(), 0_usize..6).prop_map(|(change, at)| Op::RelistWithin(change, at)),
        2 => (change(), 0_usize..6).prop_map(|(change, at)| Op::Missed(change, at)),
    ]
}

/// The bus, and all generations that it ever published.
#[derive(Default)]
struct Bus {
    held: NamespaceView,
    truth: Content,
    published: BTreeMap<u64, Content>,
    generation: u64,
    told: Vec<BusEvent>,
    shown: u64,
}

impl Bus {
    fn next(&mut self, change: &[u8]) -> Vec<BusEvent> {
        self.generation += 1;
        let mut content = self.truth.clone();
        for (i, change) in change.iter().enumerate() {
            let published = flag(&format!("k{i}"), self.generation as f64);
            match change {
                0 => drop(content.remove(&published.key())),
                1 => drop(content.insert(published.key(), value(self.generation, &published))),
                _ => {}
            }
        }
        // What the bus holds, torn values included, is replaced by what differs.
        let events = publication(&self.held.resources, self.generation, &content);
        self.truth = content.clone();
        self.published.insert(self.generation, content);
        events
    }

    fn write(&mut self, event: &BusEvent) {
        match event.clone() {
            BusEvent::Put { key, value, .. } => drop(self.held.resources.insert(key, value)),
            BusEvent::Delete { key, .. } => drop(self.held.resources.remove(&key)),
            BusEvent::Manifest { manifest, .. } => self.held.manifest = Some(manifest),
            BusEvent::Progress { .. } | BusEvent::Relist => {}
        }
    }

    fn tell(&mut self, replica: &mut ReplicaView, event: BusEvent) {
        self.write(&event);
        self.told.push(event.clone());
        let step = replica.apply(event);
        self.check(step);
    }

    fn relist(&mut self, replica: &mut ReplicaView) {
        let steps = replica.relist(view(self.held.manifest.clone(), self.held.resources.clone()));
        self.check(steps);
    }

    /// Only whole published generations, each later than the one before.
    fn check(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            let generation = step.snapshot.generation();
            assert!(generation > self.shown, "{generation} after {}", self.shown);
            self.shown = generation;
            let content = &self.published[&generation];
            for i in 0..4 {
                let key = format!("k{i}");
                let expected = content
                    .get(&format!("flag/{key}"))
                    .map(|value| value.generation as f64);
                assert_eq!(number(&step.snapshot, &key), expected, "{key} of {generation}");
            }
        }
    }

    fn run(&mut self, replica: &mut ReplicaView, op: Op) {
        match op {
            Op::Publish(change) => {
                for event in self.next(&change) {
                    self.tell(replica, event);
                }
            }
            Op::Torn(key) => {
                let published = flag(&format!("k{key}"), -1.0);
                let value = value(self.generation + 5, &published);
                self.tell(replica, put(&published.key(), &value));
            }
            Op::Repeat(n) => {
                // A watch that goes on from an earlier position tells all from there.
                let again = self.told.split_off(self.told.len().saturating_sub(n));
                for event in again {
                    let step = replica.apply(event.clone());
                    self.check(step);
                    self.told.push(event);
                }
            }
            Op::Relist => self.relist(replica),
            Op::Missed(change, at) => {
                for (i, event) in self.next(&change).into_iter().enumerate() {
                    if i == at {
                        self.write(&event);
                    } else {
                        self.tell(replica, event);
                    }
                }
            }
            Op::RelistWithin(change, at) => {
                for (i, event) in self.next(&change).into_iter().enumerate() {
                    if i == at {
                        self.relist(replica);
                    }
                    self.tell(replica, event);
                }
            }
        }
    }
}

proptest! {
    /// Whatever comes in whatever order: only whole generations are shown, never an older one, and the last one in the end.
    #[test]
    fn a3_a4_only_whole_generations_are_shown(ops in prop::collection::vec(op(), 1..20)) {
        let (mut bus, mut replica) = (Bus::default(), ReplicaView::default());
        for op in ops {
            bus.run(&mut replica, op);
        }
        bus.run(&mut replica, Op::Publish(vec![1, 2, 0, 1]));
        bus.run(&mut replica, Op::Relist);
        assert_eq!(bus.shown, bus.generation);
        assert!(!replica.is_unsettled());
        assert!(replica.differences(&view(bus.held.manifest.clone(), bus.held.resources.clone())).is_empty());
    }
}
