//! What a batch does to one unit: pure, so that order, repetition and batching can be proved to change nothing.

use std::collections::{BTreeMap, BTreeSet};

use assay_core::{
    experiment::AssignmentSource,
    fold::{self, Enrollment, EventFact, ExposureFact, UnitValue},
    key::ExperimentKey,
    metric::Metric,
    record::{Event, Exposure},
    time::Timestamp,
};
use assay_storage::analysis_store::{
    CellKey, Contribution, EventRow, ExposureRow, Measure, Tally, UnitChange, UnitRef, UnitState,
};

use crate::definitions::{Counting, Definition, NamespaceDefinitions};

/// The records of one unit in a batch.
#[derive(Debug, Default, Clone)]
pub(crate) struct Incoming {
    pub(crate) exposures: Vec<Exposure>,
    pub(crate) events: Vec<Event>,
}

/// What `incoming` changes of `unit`, whose state is `state`, when records are complete up to `through`; and what was not counted.
pub(crate) fn effect(
    unit: UnitRef,
    state: UnitState,
    incoming: Incoming,
    definitions: &NamespaceDefinitions,
    through: Timestamp,
) -> (UnitChange, Tally) {
    let mut tally = Tally::default();
    let (exposures, changed_exposures) =
        join_exposures(state.exposures, incoming.exposures, definitions, &mut tally);
    let (events, changed_events) = join_events(state.events, incoming.events, &mut tally);
    let (contributions, dues) = derive(&unit, &exposures, events, definitions, through);
    let change = UnitChange {
        unit,
        exposures: changed_exposures,
        events: changed_events,
        retracted: without(&state.contributions, &contributions),
        added: without(&contributions, &state.contributions),
        dues_removed: without(&state.dues, &dues),
        dues_added: without(&dues, &state.dues),
    };
    (change, tally)
}

/// Whether the change writes anything.
pub(crate) fn is_empty(change: &UnitChange) -> bool {
    change.exposures.is_empty()
        && change.events.is_empty()
        && change.retracted.is_empty()
        && change.added.is_empty()
        && change.dues_removed.is_empty()
        && change.dues_added.is_empty()
}

fn without<T: Clone + PartialEq>(all: &[T], taken: &[T]) -> Vec<T> {
    all.iter().filter(|item| !taken.contains(item)).cloned().collect()
}

/// Keeps the first time by (experiment, variant, cohort): a join of sets, so that order and repetition change nothing.
fn join_exposures(
    known: Vec<ExposureRow>,
    incoming: Vec<Exposure>,
    definitions: &NamespaceDefinitions,
    tally: &mut Tally,
) -> (Vec<ExposureRow>, Vec<ExposureRow>) {
    let key = |row: &ExposureRow| (row.experiment.clone(), row.variant.clone(), row.cohort);
    let mut rows: BTreeMap<_, _> = known.into_iter().map(|row| (key(&row), row)).collect();
    let mut changed = BTreeSet::new();
    for exposure in incoming {
        let definition = definitions.experiments.get(&exposure.experiment);
        let Some(definition) = definition.filter(|definition| fits(&exposure, definition)) else {
            tally.invalid += 1;
            continue;
        };
        if is_before_counting(&exposure, definition) {
            tally.before_counting += 1;
            continue;
        }
        tally.older_generation += u64::from(is_of_older_generation(&exposure, definition));
        let row = ExposureRow {
            experiment: exposure.experiment,
            variant: exposure.variant,
            cohort: exposure.cohort,
            time: exposure.time,
        };
        let key = key(&row);
        if rows.get(&key).is_none_or(|known| row.time < known.time) {
            changed.insert(key.clone());
            rows.insert(key, row);
        }
    }
    let changed = changed.iter().filter_map(|key| rows.get(key).cloned()).collect();
    (rows.into_values().collect(), changed)
}

/// Whether the exposure is of a variant that the experiment has, and came by the door that its assignment source says.
fn fits(exposure: &Exposure, definition: &Definition) -> bool {
    let experiment = &definition.experiment;
    let imported = experiment.source == AssignmentSource::Imported;
    imported == exposure.imported && experiment.variants.iter().any(|v| v.key == exposure.variant)
}

/// Whether the exposure came before its experiment had taken hold everywhere: it is as if it had not been. The fence is known, for the
/// reader holds back what awaits one, and never changes, so the answer is the same whenever it is given.
fn is_before_counting(exposure: &Exposure, definition: &Definition) -> bool {
    match &definition.counting {
        Counting::Always => false,
        Counting::Awaited => true,
        Counting::From { time, .. } => exposure.time < *time,
    }
}

/// Whether a generation decided that did not know the exposure's cohort yet.
fn is_of_older_generation(exposure: &Exposure, definition: &Definition) -> bool {
    let mut cohorts = definition.experiment.cohorts.iter();
    let cohort = cohorts.find(|cohort| cohort.number == exposure.cohort);
    !exposure.imported && cohort.is_some_and(|cohort| exposure.generation < cohort.generation)
}

/// Keeps, by event id, the content with the smallest (`received_at`, hash).
fn join_events(
    known: Vec<EventRow>,
    incoming: Vec<Event>,
    tally: &mut Tally,
) -> (Vec<EventRow>, Vec<EventRow>) {
    let mut rows: BTreeMap<_, _> = known
        .into_iter()
        .map(|row| (row.event.event_id.clone(), row))
        .collect();
    let mut changed = BTreeSet::new();
    for event in incoming {
        let row = EventRow {
            hash: event.content_hash(),
            event,
        };
        let id = row.event.event_id.clone();
        let Some(known) = rows.get(&id) else {
            tally.late += u64::from(row.event.late);
            changed.insert(id.clone());
            rows.insert(id, row);
            continue;
        };
        if known.hash == row.hash {
            tally.duplicates += 1
        } else {
            tally.conflicts += 1
        }
        if (row.event.received_at, row.hash) < (known.event.received_at, known.hash) {
            changed.insert(id.clone());
            rows.insert(id, row);
        }
    }
    let changed = changed.iter().filter_map(|id| rows.get(id).cloned()).collect();
    (rows.into_values().collect(), changed)
}

/// Everything the unit is part of, and when it must be looked at again.
fn derive(
    unit: &UnitRef,
    exposures: &[ExposureRow],
    events: Vec<EventRow>,
    definitions: &NamespaceDefinitions,
    through: Timestamp,
) -> (Vec<Contribution>, Vec<Timestamp>) {
    let mut by_experiment: BTreeMap<&ExperimentKey, Vec<ExposureFact>> = BTreeMap::new();
    for row in exposures {
        let fact = ExposureFact {
            time: row.time,
            variant: row.variant.clone(),
            cohort: row.cohort,
        };
        by_experiment.entry(&row.experiment).or_default().push(fact);
    }
    let events: Vec<EventFact> = events.into_iter().map(event_fact).collect();
    let mut contributions = Vec::new();
    let mut dues = BTreeSet::new();
    for (experiment, facts) in by_experiment {
        if let Some(definition) = definitions.experiments.get(experiment) {
            derive_experiment(
                unit,
                definition,
                facts,
                &events,
                through,
                &mut contributions,
                &mut dues,
            );
        }
    }
    (contributions, dues.into_iter().collect())
}

fn event_fact(row: EventRow) -> EventFact {
    EventFact {
        time: row.event.time,
        event_id: row.event.event_id,
        name: row.event.name,
        value_micros: row.event.value_micros,
        properties: row.event.properties,
        late: row.event.late,
    }
}

/// What the unit is part of in one experiment. Once it is completed, only what happened before counts, and windows still open stay open.
fn derive_experiment(
    unit: &UnitRef,
    definition: &Definition,
    mut exposures: Vec<ExposureFact>,
    events: &[EventFact],
    through: Timestamp,
    contributions: &mut Vec<Contribution>,
    dues: &mut BTreeSet<Timestamp>,
) {
    let experiment = &definition.experiment;
    let end = experiment.completed_at.unwrap_or(Timestamp::MAX);
    exposures.retain(|fact| fact.time < end);
    let cell = |first: &ExposureFact, measure| CellKey {
        namespace: unit.namespace.clone(),
        experiment: experiment.key.clone(),
        cohort: first.cohort,
        variant: first.variant.clone(),
        measure,
        day: first.time.day(),
    };
    let first = match fold::enrollment(&exposures) {
        Enrollment::None => return,
        Enrollment::SetAside { first } => {
            contributions.push(Contribution {
                cell: cell(&first, Measure::SetAside),
                value: 0,
            });
            return;
        }
        Enrollment::Enrolled(first) => first,
    };
    contributions.push(Contribution {
        cell: cell(&first, Measure::Exposed),
        value: 0,
    });
    for measured in &definition.metrics {
        let value = measured.fold.unit_value(
            first.time,
            events.iter().filter(|event| event.time < end),
            &experiment.pauses,
            through.min(end),
        );
        match value {
            UnitValue::Pending { due } if due <= end => {
                dues.insert(due);
            }
            value => {
                let worth = worth(&measured.metric, value).into_iter();
                contributions.extend(worth.map(|(measure, value)| Contribution {
                    cell: cell(&first, measure),
                    value,
                }));
            }
        }
    }
}

/// The sums that a unit's `value` of `metric` is part of, and with what.
fn worth(metric: &Metric, value: UnitValue) -> Vec<(Measure, i64)> {
    let key = || metric.key.clone();
    match value {
        UnitValue::Counted { value } => {
            let (kept, excess) = metric.winsorize(value);
            let kept = (Measure::Metric(key()), kept);
            let excess = excess.map(|excess| (Measure::Excess(key()), excess));
            std::iter::once(kept).chain(excess).collect()
        }
        // The square of a sum has the product in it: so the sum of products needs no column of its own.
        UnitValue::CountedPair {
            numerator,
            denominator,
        } => vec![
            (Measure::Metric(key()), numerator),
            (Measure::Denominator(key()), denominator),
            (Measure::Total(key()), numerator + denominator),
        ],
        UnitValue::Valueless => vec![(Measure::Valueless(key()), 0)],
        UnitValue::Excluded => vec![(Measure::Excluded(key()), 0)],
        UnitValue::Pending { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
