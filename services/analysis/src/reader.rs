//! The reader of one partition: a batch of records in, one transaction out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use assay_core::{
    key::{ExperimentKey, Namespace},
    record::Sighting,
    time::Timestamp,
};
use assay_platform::{SharedClock, telemetry};
use assay_proto::stream::{self, Records};
use assay_storage::{
    analysis_store::{AnalysisStore, Commit, Progress, Tally, UnitChange, UnitRef},
    event_log::{Entry, EventLog, Position, Topic},
};
use tracing::{Instrument as _, Span, info_span, warn};

use crate::{
    definitions::{Counting, Definitions, DefinitionsError, NamespaceDefinitions},
    effect::{self, Incoming},
};

/// Most units whose windows close in one step.
const MAX_DUE: u64 = 2_000;
/// Most links from one processing span to the requests that its records come from.
const MAX_LINKS: usize = 128;

/// Why a step was not made; the next one tries again from the same position.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// A store did not do what it was asked.
    #[error(transparent)]
    Store(#[from] assay_storage::Error),
    /// The definitions could not be had.
    #[error(transparent)]
    Definitions(#[from] DefinitionsError),
    /// An experiment with records in the batch has just begun, and from when it counts is not known yet.
    #[error("the fence of experiment {experiment} is not known yet")]
    Awaited {
        /// Which.
        experiment: ExperimentKey,
    },
}

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Nothing.
    Idle,
    /// Some records, and no more for now.
    CaughtUp,
    /// There may be more at once.
    Busy,
}

/// Reads partitions.
pub(crate) struct Reader {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) store: Arc<dyn AnalysisStore>,
    pub(crate) definitions: Definitions,
    pub(crate) clock: SharedClock,
    pub(crate) batch_entries: usize,
    pub(crate) settle: Duration,
}

/// What one log of a partition gave.
struct Read {
    entries: Vec<Entry>,
    from: Position,
    /// Whether it gave all it has.
    exhausted: bool,
}

impl Read {
    fn to(&self) -> Position {
        self.entries.last().map_or(self.from, |entry| entry.position)
    }
}

/// The records of a batch by unit.
#[derive(Default)]
struct Batch {
    units: BTreeMap<UnitRef, Incoming>,
    tallies: BTreeMap<Namespace, Tally>,
    callers: Vec<Sighting>,
    traceparents: BTreeSet<String>,
    /// The newest time of receipt in each log.
    newest: BTreeMap<Topic, Timestamp>,
}

impl Reader {
    /// Reads, folds and commits one batch of `partition`.
    ///
    /// # Errors
    /// [`StepError`]; then nothing of the batch has been counted.
    pub(crate) async fn step(&self, partition: u32) -> Result<Step, StepError> {
        let all = self.store.progress(self.log.partitions()).await?;
        let from = all.get(partition as usize).copied().unwrap_or_default();
        let read_at = self.clock.now_micros();
        let exposures = self.read(partition, Topic::Exposures, from.exposures).await?;
        let events = self.read(partition, Topic::Events, from.events).await?;
        let batch = decode(partition, &exposures, &events);
        let through = self.through(
            &from,
            &batch,
            &[(Topic::Exposures, &exposures), (Topic::Events, &events)],
            read_at,
        );
        let others = all
            .iter()
            .enumerate()
            .filter(|(p, _)| *p != partition as usize)
            .map(|(_, progress)| progress.through);
        let tau = others.fold(through, Timestamp::min);
        let to = Progress {
            exposures: exposures.to(),
            events: events.to(),
            through,
            version: from.version,
        };
        let more = !(exposures.exhausted && events.exhausted);
        let messages = exposures.entries.len() + events.entries.len();
        let span = if messages == 0 {
            Span::none()
        } else {
            process_span(partition, messages)
        };
        for traceparent in batch.traceparents.iter().take(MAX_LINKS) {
            telemetry::link_span(&span, traceparent);
        }
        let full = self
            .count(partition, from, to, batch, tau)
            .instrument(span)
            .await?;
        Ok(match messages {
            _ if more || full => Step::Busy,
            0 => Step::Idle,
            _ => Step::CaughtUp,
        })
    }

    async fn read(&self, partition: u32, topic: Topic, from: Position) -> Result<Read, StepError> {
        let entries = self.log.read(partition, topic, from, self.batch_entries).await?;
        let exhausted = entries.len() < self.batch_entries;
        if entries.is_empty() && self.log.tail(partition, topic).await? < from {
            warn!(partition, topic = topic.name(), position = %from, "the log came back behind our position: reading it again from its beginning");
            let entries = self
                .log
                .read(partition, topic, Position::START, self.batch_entries)
                .await?;
            let exhausted = entries.len() < self.batch_entries;
            return Ok(Read {
                entries,
                from: Position::START,
                exhausted,
            });
        }
        Ok(Read {
            entries,
            from,
            exhausted,
        })
    }

    /// The instant up to which the partition's records are complete: of a log that gave all it has, the time of reading less the time that
    /// a record may be on its way; of another, its newest time of receipt. It never goes back.
    fn through(&self, from: &Progress, batch: &Batch, reads: &[(Topic, &Read)], read_at: i64) -> Timestamp {
        let settle = i64::try_from(self.settle.as_micros()).unwrap_or(i64::MAX);
        let settled = Timestamp::from_micros(read_at.saturating_sub(settle));
        let of = |(topic, read): &(Topic, &Read)| {
            if read.exhausted {
                settled
            } else {
                batch.newest.get(topic).copied().unwrap_or(from.through)
            }
        };
        reads
            .iter()
            .map(of)
            .fold(Timestamp::MAX, Timestamp::min)
            .max(from.through)
    }

    /// Folds the batch and the units whose windows have closed, and commits. Returns whether more windows may be due.
    async fn count(
        &self,
        partition: u32,
        from: Progress,
        to: Progress,
        mut batch: Batch,
        tau: Timestamp,
    ) -> Result<bool, StepError> {
        let due = self.store.due(partition, tau, MAX_DUE).await?;
        let full = due.len() as u64 >= MAX_DUE;
        for due in due {
            batch.units.entry(due.unit).or_default();
        }
        let moved = (from.exposures, from.events) != (to.exposures, to.events);
        if batch.units.is_empty() && !moved && to.through <= from.through.plus(self.settle) {
            return Ok(false);
        }
        let newest = batch
            .newest
            .values()
            .copied()
            .max()
            .unwrap_or(Timestamp::MIN)
            .max(tau);
        let units = self.changes(&mut batch, newest, tau).await?;
        let tallies = batch
            .tallies
            .into_iter()
            .filter(|(_, tally)| *tally != Tally::default())
            .collect();
        let callers = batch.callers;
        self.store
            .commit(Commit {
                partition,
                from,
                to,
                units,
                tallies,
                callers,
            })
            .await?;
        Ok(full)
    }

    async fn changes(
        &self,
        batch: &mut Batch,
        newest: Timestamp,
        tau: Timestamp,
    ) -> Result<Vec<UnitChange>, StepError> {
        let units: Vec<UnitRef> = batch.units.keys().cloned().collect();
        let mut definitions = BTreeMap::new();
        for namespace in units.iter().map(|unit| &unit.namespace).collect::<BTreeSet<_>>() {
            definitions.insert(
                namespace.clone(),
                self.definitions.as_of(namespace, newest).await?,
            );
        }
        for (unit, incoming) in &batch.units {
            if let Some(experiment) = definitions
                .get(&unit.namespace)
                .and_then(|d| awaited(incoming, d))
            {
                self.definitions.forget(&unit.namespace).await;
                return Err(StepError::Awaited { experiment });
            }
        }
        let states = self.store.units(&units).await?;
        let mut changes = Vec::new();
        for ((unit, incoming), state) in std::mem::take(&mut batch.units).into_iter().zip(states) {
            let Some(definitions) = definitions.get(&unit.namespace) else {
                continue;
            };
            let namespace = unit.namespace.clone();
            let (change, tally) = effect::effect(unit, state, incoming, definitions, tau);
            add(batch.tallies.entry(namespace).or_default(), &tally);
            if !effect::is_empty(&change) {
                changes.push(change);
            }
        }
        Ok(changes)
    }

    /// Removes from the log what every commit has counted.
    ///
    /// # Errors
    /// The store's or the log's error.
    pub(crate) async fn trim(&self) -> Result<(), StepError> {
        for (partition, progress) in (0..).zip(self.store.progress(self.log.partitions()).await?) {
            for (topic, position) in [
                (Topic::Exposures, progress.exposures),
                (Topic::Events, progress.events),
            ] {
                if position > Position::START {
                    self.log.trim(partition, topic, position).await?;
                }
            }
        }
        Ok(())
    }
}

/// An experiment of `incoming` whose fence is not known.
fn awaited(incoming: &Incoming, definitions: &NamespaceDefinitions) -> Option<ExperimentKey> {
    let awaits = |key: &&ExperimentKey| {
        let definition = definitions.experiments.get(*key);
        definition.is_some_and(|definition| definition.counting == Counting::Awaited)
    };
    incoming
        .exposures
        .iter()
        .map(|exposure| &exposure.experiment)
        .find(awaits)
        .cloned()
}

fn process_span(partition: u32, messages: usize) -> Span {
    info_span!(
        "process records",
        otel.kind = "consumer",
        messaging.system = "redis",
        messaging.operation.name = "process",
        messaging.operation.r#type = "process",
        messaging.destination.name = partition,
        messaging.batch.message_count = messages,
    )
}

fn add(total: &mut Tally, more: &Tally) {
    total.duplicates += more.duplicates;
    total.conflicts += more.conflicts;
    total.late += more.late;
    total.invalid += more.invalid;
    total.before_counting += more.before_counting;
    total.older_generation += more.older_generation;
}

fn decode(partition: u32, exposures: &Read, events: &Read) -> Batch {
    let mut batch = Batch::default();
    for entry in exposures.entries.iter().chain(&events.entries) {
        match stream::decode(&entry.payload) {
            Ok(decoded) => batch.take(decoded),
            Err(error) => {
                warn!(partition, position = %entry.position, error = %error, "an entry of the log cannot be understood");
                batch.tallies.entry(Namespace::default()).or_default().invalid += 1;
            }
        }
    }
    batch
}

impl Batch {
    fn take(&mut self, decoded: stream::Batch) {
        if !decoded.traceparent.is_empty() {
            self.traceparents.insert(decoded.traceparent);
        }
        match decoded.records {
            Records::Exposures(exposures) => {
                for exposure in exposures {
                    self.received(Topic::Exposures, exposure.received_at);
                    let unit = UnitRef {
                        namespace: exposure.namespace.clone(),
                        unit: exposure.unit.clone(),
                    };
                    self.units.entry(unit).or_default().exposures.push(exposure);
                }
            }
            Records::Events(events) => {
                for event in events {
                    self.received(Topic::Events, event.received_at);
                    let unit = UnitRef {
                        namespace: event.namespace.clone(),
                        unit: event.unit.clone(),
                    };
                    self.units.entry(unit).or_default().events.push(event);
                }
            }
            Records::Callers(callers) => self.callers.extend(callers),
        }
    }

    fn received(&mut self, topic: Topic, at: Timestamp) {
        let newest = self.newest.entry(topic).or_insert(at);
        *newest = at.max(*newest);
    }
}
