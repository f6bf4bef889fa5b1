//! Laws of the fold: a unit's state is a function of its set of records and τ.

use std::time::Duration;

use assay_core::{
    experiment::{Experiment, Pause, Role},
    key::{MetricKey, Namespace, Unit, VariantKey},
    lifecycle::PauseMode,
    metric::{Aggregation, MetricKind, Quantity},
    time::MICROS_PER_DAY,
    value::Attributes,
};
use proptest::prelude::*;

use super::*;
use crate::fixtures::{experiment, measured, metric};

const HOUR: i64 = MICROS_PER_DAY / 24;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_micros(hours * HOUR)
}

fn definitions(edit: impl FnOnce(&mut Experiment)) -> NamespaceDefinitions {
    let day = Some(Duration::from_secs(86_400));
    let metrics = [
        metric(
            "bought",
            MetricKind::Conversion {
                event: "buy".into(),
                filters: vec![],
                window: day,
            },
        ),
        metric(
            "spent",
            MetricKind::Scalar {
                quantity: Quantity::new("buy", Aggregation::Sum),
                window: None,
            },
        ),
        Metric {
            cap_micros: Some(1),
            ..metric(
                "capped",
                MetricKind::Scalar {
                    quantity: Quantity::new("buy", Aggregation::Sum),
                    window: day,
                },
            )
        },
        metric(
            "each",
            MetricKind::Ratio {
                numerator: Quantity::new("buy", Aggregation::Sum),
                denominator: Quantity::new("buy", Aggregation::Count),
                window: day,
            },
        ),
        metric(
            "middle",
            MetricKind::Quantile {
                quantity: Quantity::new("buy", Aggregation::Max),
                quantile: 0.5,
                window: None,
            },
        ),
        metric(
            "retained",
            MetricKind::Retention {
                event: None,
                filters: vec![],
                day: 1,
                width_days: 1,
            },
        ),
    ];
    let mut experiment = experiment(&["control", "treatment"]);
    edit(&mut experiment);
    let definition = Definition {
        counting: Counting::Always,
        metrics: metrics.into_iter().map(|m| measured(Role::Primary, m)).collect(),
        experiment,
    };
    NamespaceDefinitions {
        experiments: [(definition.experiment.key.clone(), definition)].into(),
    }
}

fn unit() -> UnitRef {
    UnitRef {
        namespace: Namespace::default(),
        unit: Unit::user("u").unwrap(),
    }
}

fn exposure(variant: &str, hours: i64) -> Exposure {
    Exposure {
        namespace: Namespace::default(),
        experiment: ExperimentKey::new("gate").unwrap(),
        variant: VariantKey::new(variant).unwrap(),
        cohort: 1,
        unit: Unit::user("u").unwrap(),
        time: at(hours),
        received_at: at(hours),
        generation: 1,
        attributes: Attributes::new(),
        imported: false,
    }
}

fn event(id: &str, hours: i64, value: i64) -> Event {
    Event {
        namespace: Namespace::default(),
        unit: Unit::user("u").unwrap(),
        event_id: id.into(),
        name: "buy".into(),
        time: at(hours),
        received_at: at(hours),
        value_micros: Some(value),
        properties: Attributes::new(),
        clamped: false,
        late: false,
        imported: false,
    }
}

/// What a store does with a change.
fn apply(state: &mut UnitState, change: UnitChange) {
    let key = |row: &ExposureRow| (row.experiment.clone(), row.variant.clone(), row.cohort);
    for row in change.exposures {
        state.exposures.retain(|known| key(known) != key(&row));
        state.exposures.push(row);
    }
    for row in change.events {
        state
            .events
            .retain(|known| known.event.event_id != row.event.event_id);
        state.events.push(row);
    }
    state.contributions.retain(|c| !change.retracted.contains(c));
    state.contributions.extend(change.added);
    state.dues.retain(|d| !change.dues_removed.contains(d));
    state.dues.extend(change.dues_added);
    state.exposures.sort_by_key(key);
    state
        .events
        .sort_by(|a, b| a.event.event_id.cmp(&b.event.event_id));
    state.contributions.sort_by(|a, b| a.cell.cmp(&b.cell));
    state.dues.sort();
}

#[derive(Debug, Clone)]
enum Record {
    Exposure(Exposure),
    Event(Event),
}

fn fold(batches: &[Vec<Record>], definitions: &NamespaceDefinitions, through: Timestamp) -> UnitState {
    let mut state = UnitState::default();
    for batch in batches.iter().chain([&Vec::new()]) {
        let mut incoming = Incoming::default();
        for record in batch {
            match record.clone() {
                Record::Exposure(exposure) => incoming.exposures.push(exposure),
                Record::Event(event) => incoming.events.push(event),
            }
        }
        let (change, _) = effect(unit(), state.clone(), incoming, definitions, through);
        apply(&mut state, change);
    }
    state
}

fn value(state: &UnitState, metric: &str) -> Option<i64> {
    let measure = Measure::Metric(MetricKey::new(metric).unwrap());
    state
        .contributions
        .iter()
        .find(|c| c.cell.measure == measure)
        .map(|c| c.value)
}

#[test]
fn a_cap_a_ratio_and_a_quantile_keep_what_their_figures_need() {
    let definitions = definitions(|_| {});
    let batch = vec![
        Record::Exposure(exposure("control", 0)),
        Record::Event(event("a", 1, 2)),
        Record::Event(event("b", 2, 5)),
    ];
    let parts = |state: &UnitState, metric: &str| {
        let of = |make: fn(MetricKey) -> Measure| {
            let measure = make(MetricKey::new(metric).unwrap());
            let found = state.contributions.iter().find(|c| c.cell.measure == measure);
            found.map(|c| c.value)
        };
        [
            Measure::Metric,
            Measure::Denominator,
            Measure::Total,
            Measure::Excess,
            Measure::Valueless,
        ]
        .map(of)
    };
    let state = fold(&[batch], &definitions, at(24));
    assert_eq!(parts(&state, "capped"), [Some(1), None, None, Some(6), None]);
    assert_eq!(
        parts(&state, "each"),
        [Some(7), Some(2_000_000), Some(2_000_007), None, None]
    );
    assert_eq!(parts(&state, "middle"), [Some(5), None, None, None, None]);
    let idle = fold(
        &[vec![Record::Exposure(exposure("control", 0))]],
        &definitions,
        at(23),
    );
    assert_eq!(parts(&idle, "each"), [None; 5]);
    assert_eq!(parts(&idle, "middle"), [None, None, None, None, Some(0)]);
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let exposure = (prop::bool::weighted(0.9), 0..200i64).prop_map(|(control, hours)| {
        Record::Exposure(exposure(if control { "control" } else { "treatment" }, hours))
    });
    let event = (0..6u8, 0..200i64, 0..3i64, 0..2i64).prop_map(|(id, hours, value, delay)| {
        let mut event = event(&format!("e{id}"), hours, value);
        event.received_at = at(hours + delay);
        Record::Event(event)
    });
    prop::collection::vec(prop_oneof![exposure, event], 0..14)
}

proptest! {
    #[test]
    fn order_repetition_and_batching_change_nothing(
        records in records(),
        seed in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize), 0..30),
        through in 0..300i64,
    ) {
        let definitions = definitions(|_| ());
        let at_once = fold(std::slice::from_ref(&records), &definitions, at(through));
        let mut batches = vec![Vec::new(); 4];
        for (index, batch) in &seed {
            if !records.is_empty() {
                batches[*batch].push(records[index.index(records.len())].clone());
            }
        }
        batches.push(records.iter().rev().cloned().collect());
        let in_pieces = fold(&batches, &definitions, at(through));
        prop_assert_eq!(at_once, in_pieces);
    }

    #[test]
    fn exposures_before_the_fence_are_as_if_they_had_not_been(
        records in records(),
        fence in 0..200i64,
        through in 0..300i64,
    ) {
        let all = definitions(|_| ());
        let mut fenced = definitions(|_| ());
        for definition in fenced.experiments.values_mut() {
            definition.counting = Counting::From { time: at(fence), unconfirmed: vec![] };
        }
        let is_before = |record: &&Record| matches!(record, Record::Exposure(e) if e.time < at(fence));
        let n_before = records.iter().filter(is_before).count();
        let after: Vec<_> = records.iter().filter(|record| !is_before(record)).cloned().collect();
        let state = fold(std::slice::from_ref(&records), &fenced, at(through));
        prop_assert_eq!(&state, &fold(&[after], &all, at(through)));
        let in_pieces: Vec<_> = records.iter().rev().map(|record| vec![record.clone()]).collect();
        prop_assert_eq!(state, fold(&in_pieces, &fenced, at(through)));

        let mut incoming = Incoming::default();
        for record in records {
            if let Record::Exposure(exposure) = record {
                incoming.exposures.push(exposure);
            }
        }
        let (_, tally) = effect(unit(), UnitState::default(), incoming, &fenced, at(through));
        prop_assert_eq!(tally.before_counting, n_before as u64);
    }

    #[test]
    fn the_path_of_tau_changes_nothing(records in records(), steps in prop::collection::vec(0..300i64, 0..6)) {
        let definitions = definitions(|_| ());
        let mut steps = steps;
        steps.sort_unstable();
        let last = steps.last().copied().unwrap_or(0);
        let mut state = UnitState::default();
        let mut first = Some(records.clone());
        for through in steps.into_iter().chain([last]) {
            let mut incoming = Incoming::default();
            for record in first.take().unwrap_or_default() {
                match record {
                    Record::Exposure(exposure) => incoming.exposures.push(exposure),
                    Record::Event(event) => incoming.events.push(event),
                }
            }
            let (change, _) = effect(unit(), state.clone(), incoming, &definitions, at(through));
            apply(&mut state, change);
        }
        prop_assert_eq!(state, fold(&[records], &definitions, at(last)));
    }

    #[test]
    fn a_change_takes_back_only_what_was_there(records in records(), through in 0..300i64) {
        let definitions = definitions(|_| ());
        let state = fold(std::slice::from_ref(&records), &definitions, at(through));
        let (change, _) = effect(unit(), state, Incoming::default(), &definitions, at(through));
        prop_assert!(is_empty(&change));
    }
}

#[test]
fn windows_close_with_tau() {
    let definitions = definitions(|_| ());
    let records = vec![
        Record::Exposure(exposure("control", 10)),
        Record::Event(event("e", 20, 5_000_000)),
    ];
    let open = fold(std::slice::from_ref(&records), &definitions, at(33));
    assert_eq!(
        (
            value(&open, "bought"),
            value(&open, "spent"),
            value(&open, "retained")
        ),
        (None, Some(5_000_000), None)
    );
    assert_eq!(open.dues, [at(34), at(58)]);
    let closed = fold(&[records], &definitions, at(58));
    assert_eq!(
        (value(&closed, "bought"), value(&closed, "retained")),
        (Some(1), Some(0))
    );
    assert!(closed.dues.is_empty());
}

#[test]
fn a_unit_in_two_variants_is_set_aside_whole() {
    let definitions = definitions(|_| ());
    let records = vec![
        Record::Event(event("e", 20, 5)),
        Record::Exposure(exposure("control", 10)),
        Record::Exposure(exposure("treatment", 30)),
    ];
    let state = fold(&[records], &definitions, at(100));
    let measures: Vec<_> = state
        .contributions
        .iter()
        .map(|c| (&c.cell.measure, c.cell.variant.as_str()))
        .collect();
    assert_eq!(measures, [(&Measure::SetAside, "control")]);
}

#[test]
fn of_conflicting_contents_the_first_received_counts() {
    let definitions = definitions(|_| ());
    let mut later = event("e", 20, 7);
    later.received_at = at(25);
    let earlier = event("e", 20, 5);
    for order in [[later.clone(), earlier.clone()], [earlier, later]] {
        let mut incoming = Incoming {
            exposures: vec![exposure("control", 1)],
            events: order.to_vec(),
        };
        incoming.events.push(order[0].clone());
        let (change, tally) = effect(unit(), UnitState::default(), incoming, &definitions, at(100));
        let mut state = UnitState::default();
        apply(&mut state, change);
        assert_eq!(value(&state, "spent"), Some(5));
        assert_eq!(tally.duplicates + tally.conflicts, 2);
        assert!(tally.conflicts >= 1);
    }
}

#[test]
fn pauses_leave_out_what_happened_in_them() {
    let pause = Pause {
        from: at(15),
        to: Some(at(25)),
        mode: PauseMode::ServeDefault,
    };
    let definitions = definitions(|experiment| experiment.pauses = vec![pause]);
    let records = vec![
        Record::Exposure(exposure("control", 0)),
        Record::Event(event("in", 20, 5)),
        Record::Event(event("out", 30, 3)),
    ];
    let state = fold(&[records], &definitions, at(100));
    assert_eq!(
        (value(&state, "bought"), value(&state, "spent")),
        (Some(0), Some(3))
    );
    let retained = Measure::Excluded(MetricKey::new("retained").unwrap());
    assert!(
        state.contributions.iter().any(|c| c.cell.measure == retained),
        "the retention window meets the pause"
    );
}

#[test]
fn completion_freezes_what_counts() {
    let definitions = definitions(|experiment| experiment.completed_at = Some(at(30)));
    let records = vec![
        Record::Exposure(exposure("control", 10)),
        Record::Event(event("before", 29, 5)),
        Record::Event(event("after", 31, 7)),
    ];
    let state = fold(&[records], &definitions, at(1_000));
    assert_eq!(
        (value(&state, "spent"), value(&state, "bought")),
        (Some(5), None),
        "its day was not over at completion"
    );
    assert!(
        state.dues.is_empty(),
        "a window that completion left open is never due"
    );
}

#[test]
fn exposures_of_no_such_variant_or_by_the_wrong_door_are_invalid() {
    let definitions = definitions(|_| ());
    let mut imported = exposure("control", 1);
    imported.imported = true;
    let incoming = Incoming {
        exposures: vec![exposure("nobody", 1), imported],
        events: vec![],
    };
    let (change, tally) = effect(unit(), UnitState::default(), incoming, &definitions, at(100));
    assert!(is_empty(&change));
    assert_eq!(tally.invalid, 2);
}

#[test]
fn an_exposure_of_a_generation_before_its_cohort_counts_and_is_flagged() {
    let definitions = definitions(|experiment| experiment.cohorts[0].generation = 5);
    let of = |generation| Exposure {
        generation,
        ..exposure("control", 1)
    };
    let incoming = Incoming {
        exposures: vec![of(4), of(5), of(6)],
        events: vec![],
    };
    let (change, tally) = effect(unit(), UnitState::default(), incoming, &definitions, at(2));
    assert_eq!((tally.older_generation, tally.invalid), (1, 0));
    assert_eq!(change.exposures.len(), 1, "it counts all the same");
}
