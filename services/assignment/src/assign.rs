//! Use case: decide for units, from one generation, and record what is an exposure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use assay_core::{
    assign::{Assignment, Explained, Keep, assign, assign_with, explain_with},
    key::Unit,
    memory::{Memory, Remembered},
    snapshot::Snapshot,
    time::Timestamp,
    traffic::MAX_PREREQUISITE_DEPTH,
    value::Attributes,
};
use assay_platform::error::chain;
use assay_proto::hot;
use assay_storage::{Error, unit_store::Place};
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::{Assignments, error::Refusal, record::Parcels};

/// How long an answer waits at most for what is remembered.
const RECALL_WAIT: Duration = Duration::from_millis(20);
/// What is looked up may lead to more: each flag on a way of prerequisites needs a look and a write at most.
const MAX_ROUNDS: u32 = 2 * (MAX_PREREQUISITE_DEPTH + 1);

/// What becomes of answers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Use {
    /// They are recorded as exposures.
    pub(crate) records: bool,
    /// They are served, not only looked at: first assignments are remembered.
    pub(crate) remembers: bool,
}

/// One request under way: all of its answers come from one snapshot and one instant, and its exposures are recorded together.
pub(crate) struct Sitting<'a> {
    assignments: &'a Assignments,
    snapshot: Arc<Snapshot>,
    now: Timestamp,
    used: Use,
    /// What is remembered of the units asked for, as far as it was needed and could be had.
    memories: HashMap<Unit, Memory>,
    parcels: Parcels,
}

impl<'a> Sitting<'a> {
    /// Begins to answer in `namespace`.
    ///
    /// # Errors
    /// [`Refusal::NoConfiguration`] until any was seen.
    pub(crate) fn begin(assignments: &'a Assignments, namespace: &str, used: Use) -> Result<Self, Refusal> {
        Ok(Self {
            assignments,
            snapshot: assignments.serving.snapshot(namespace)?,
            now: assignments.now(),
            used,
            memories: HashMap::new(),
            parcels: Parcels::default(),
        })
    }

    /// What all answers come from.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.clone()
    }

    /// What `unit` gets for `key`, of a flag or of an experiment.
    pub(crate) fn decide(
        &mut self,
        key: &str,
        unit: Option<&Unit>,
        attributes: &Attributes,
    ) -> Assignment<'_> {
        let Self { snapshot, now, .. } = self;
        let decided = match unit.and_then(|unit| self.memories.get(unit)) {
            Some(memory) => assign_with(snapshot, key, unit, attributes, memory, *now),
            None => assign(snapshot, key, unit, attributes, *now),
        };
        if self.used.remembers
            && decided.keep == Keep::Later
            && let Some((place, first)) = unit.and_then(|unit| first(snapshot, &decided, unit))
        {
            self.assignments.memories.later(place, first);
        }
        if self.used.records
            && decided.exposes
            && let Some(unit) = unit
        {
            let partition = snapshot.partition(unit, self.assignments.recorder.partitions());
            let carried = decided.segmenting_of(attributes);
            self.parcels.add(partition, |out| {
                hot::exposure(out, snapshot.namespace(), &decided, unit, carried, *now);
            });
        }
        decided
    }

    /// Why `unit` gets what it gets for `key`. Nothing comes of it.
    pub(crate) fn explain(&self, key: &str, unit: Option<&Unit>, attributes: &Attributes) -> Explained<'_> {
        let memory = unit.and_then(|unit| self.memories.get(unit));
        let nothing = Memory::default();
        explain_with(
            &self.snapshot,
            key,
            unit,
            attributes,
            memory.unwrap_or(&nothing),
            self.now,
        )
    }

    /// The keys of all flags, in order.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.snapshot.flags().map(ToString::to_string).collect();
        keys.sort_unstable();
        keys
    }

    /// The generation that answers.
    pub(crate) fn generation(&self) -> u64 {
        self.snapshot.generation()
    }

    /// Looks up what the answers for `keys` depend on, and remembers the first assignments that must be before they are given, within
    /// 20 ms. Where that fails the answers are degraded. Most namespaces have no such experiment: then nothing is done.
    pub(crate) async fn recall(&mut self, keys: &[String], subjects: &[(&Unit, &Attributes)]) {
        if !self.snapshot.remembers() {
            return;
        }
        let deadline = Instant::now() + RECALL_WAIT;
        for _ in 0..MAX_ROUNDS {
            let (places, firsts) = self.open_questions(keys, subjects);
            if places.is_empty() && firsts.is_empty() {
                return;
            }
            let answered = timeout_at(deadline, self.ask(places, firsts)).await;
            let problem = match answered {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => chain(&error).to_string(),
                Err(_) => "no answer in time".to_owned(),
            };
            tracing::debug!(problem, "what is remembered is out of reach");
            break;
        }
        // What could not be remembered is not given.
        let (_, firsts) = self.open_questions(keys, subjects);
        for place in firsts.keys() {
            if let Some(memory) = self.memories.get_mut(&place.unit) {
                memory.forget(&place.experiment);
            }
        }
    }

    /// What must be looked up, and what must be remembered, before the answers can be given.
    fn open_questions(
        &self,
        keys: &[String],
        subjects: &[(&Unit, &Attributes)],
    ) -> (BTreeSet<Place>, BTreeMap<Place, Remembered>) {
        let (mut places, mut firsts) = (BTreeSet::new(), BTreeMap::new());
        let nothing = Memory::default();
        for (unit, attributes) in subjects {
            let memory = self.memories.get(*unit).unwrap_or(&nothing);
            for key in keys {
                let decided = assign_with(&self.snapshot, key, Some(*unit), attributes, memory, self.now);
                if let Some(experiment) = decided.needs {
                    places.insert(Place {
                        namespace: self.snapshot.namespace().clone(),
                        unit: (*unit).clone(),
                        experiment: experiment.clone(),
                    });
                } else if self.used.remembers && decided.keep == Keep::First {
                    firsts.extend(first(&self.snapshot, &decided, unit));
                }
            }
        }
        (places, firsts)
    }

    async fn ask(
        &mut self,
        places: BTreeSet<Place>,
        firsts: BTreeMap<Place, Remembered>,
    ) -> Result<(), Error> {
        let memories = &self.assignments.memories;
        let found = memories.find(places.into_iter().collect()).await?;
        let kept = memories.put(firsts).await?;
        let kept = kept.into_iter().map(|(place, first)| (place, Some(first)));
        for (place, remembered) in found.into_iter().chain(kept) {
            let memory = self.memories.entry(place.unit).or_default();
            memory.learn(place.experiment, remembered);
        }
        Ok(())
    }

    /// Records the exposures. What is answered waits for the future, if there is one: at most two milliseconds.
    pub(crate) fn end(self) -> Option<BoxFuture<'static, ()>> {
        self.assignments.recorder.record(self.parcels)
    }
}

/// The first assignment that `decided` is for `unit`, and its place.
fn first(snapshot: &Snapshot, decided: &Assignment<'_>, unit: &Unit) -> Option<(Place, Remembered)> {
    let place = Place {
        namespace: snapshot.namespace().clone(),
        unit: unit.clone(),
        experiment: decided.experiment?.clone(),
    };
    let first = Remembered {
        variant: decided.variant?.clone(),
        cohort: decided.cohort,
    };
    Some((place, first))
}
