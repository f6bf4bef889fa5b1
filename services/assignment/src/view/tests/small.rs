//! Changes that are taken up for what they cost, and what they come to.

use assay_core::{
    experiment::{AssignmentSource, Cohort, Experiment, ExposureMode, Variant},
    key::{ExperimentKey, Unit, UnitKind},
    lifecycle::{Outcome, PauseMode, State},
    weights::{Coverage, Weights},
};
use proptest::prelude::*;

use super::*;

const FLAGS: usize = 3;
const EXPERIMENTS: usize = 5;

fn experiment(key: &str, flag: &str, state: State) -> Published {
    let variant = |key: &str, value| Variant {
        key: VariantKey::new(key).unwrap(),
        name: String::new(),
        value: Served::Number(value),
    };
    Published::Experiment(Experiment {
        namespace: Namespace::default(),
        key: ExperimentKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        hypothesis: String::new(),
        owner: String::new(),
        tags: vec![],
        flag: FlagKey::new(flag).unwrap(),
        state,
        source: AssignmentSource::Assay,
        unit_kind: UnitKind::default(),
        variants: vec![variant("a", 0.0), variant("b", 100.0)],
        cohorts: vec![Cohort {
            number: 1,
            weights: Weights::even(2),
            generation: 1,
        }],
        coverage: Coverage::FULL,
        salt: key.into(),
        segment: None,
        segment_version: None,
        metrics: vec![],
        exposure: ExposureMode::OnAssign,
        confidence: 0.95,
        qa_overrides: vec![],
        traffic: Default::default(),
        start_time: None,
        end_time: None,
        completed_at: None,
        pauses: vec![],
        reason: String::new(),
        schedule: Default::default(),
        undo: None,
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    })
}

/// A flag or an experiment: there with this number, flag and state, or gone.
type Change = (bool, usize, Option<(usize, State)>);

fn change() -> impl Strategy<Value = Change> {
    let state = prop_oneof![
        Just(State::Running),
        Just(State::Paused(PauseMode::ServeDefault)),
        Just(State::Ended(Outcome::NoWinner)),
    ];
    (
        prop::bool::weighted(0.3),
        0..EXPERIMENTS,
        prop::option::weighted(0.8, (0..FLAGS, state)),
    )
}

fn make(content: &mut Content, generation: u64, (is_flag, i, change): &Change) {
    let (key, published) = match (is_flag, change) {
        (true, change) => {
            let key = format!("k{}", i % FLAGS);
            let published = change
                .as_ref()
                .map(|(number, _)| flag(&key, *number as f64 + generation as f64));
            (format!("flag/{key}"), published)
        }
        (false, change) => {
            let key = format!("e{i}");
            let published = change
                .as_ref()
                .map(|(on, state)| experiment(&key, &format!("k{on}"), state.clone()));
            (format!("experiment/{key}"), published)
        }
    };
    match published {
        Some(published) => drop(content.insert(key, value(generation, &published))),
        None => drop(content.remove(&key)),
    }
}

/// What a few units get for every key.
fn answers(snapshot: &Snapshot) -> Vec<String> {
    let flags = (0..FLAGS).map(|i| format!("k{i}"));
    let keys = flags.chain((0..EXPERIMENTS).map(|i| format!("e{i}")));
    let answer = |key: String| {
        let units = ["1", "2", "3"].map(|id| Unit::user(id).unwrap());
        let answers = units.each_ref().map(|unit| {
            let answer = assign(
                snapshot,
                &key,
                Some(unit),
                &Attributes::new(),
                Timestamp::default(),
            );
            format!("{:?} {:?} {:?}", answer.reason, answer.experiment, answer.value)
        });
        format!("{key}: {answers:?}")
    };
    keys.map(answer).collect()
}

proptest! {
    /// Whatever changes little by little: it comes to what a replica serves that reads everything.
    #[test]
    fn small_changes_come_to_what_a_full_read_does(
        steps in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..12),
    ) {
        let mut content = Content::new();
        for i in 0..FLAGS {
            make(&mut content, 1, &(true, i, Some((0, State::Running))));
        }
        let mut replica = ReplicaView::default();
        replica.relist(view(Some(manifest(1, &content)), content.clone()));
        for (generation, changes) in (2..).zip(steps) {
            let before = content.clone();
            for change in &changes {
                make(&mut content, generation, change);
            }
            let steps: Vec<_> = publication(&before, generation, &content)
                .into_iter()
                .filter_map(|event| replica.apply(event))
                .collect();
            let mut other = ReplicaView::default();
            let whole = other.relist(view(Some(manifest(generation, &content)), content.clone()));
            let (here, there) = (steps.last().unwrap(), whole.last().unwrap());
            prop_assert_eq!(here.snapshot.generation(), generation);
            // What is broken stays as it was here, and is not known there.
            if here.rejected.is_empty() && there.rejected.is_empty() {
                prop_assert_eq!(answers(&here.snapshot), answers(&there.snapshot));
            }
            prop_assert_eq!(
                replica.save().namespaces[&Namespace::default()].resources.clone(),
                content.clone()
            );
        }
    }
}

#[test]
fn a_paused_experiment_is_taken_up_in_passing_and_a_new_segment_is_not() {
    let running = |state| experiment("e", "k", state);
    let first = one(1, &[flag("k", 1.0), running(State::Running)]);
    let mut replica = ReplicaView::default();
    replica.relist(view(Some(manifest(1, &first)), first.clone()));
    let here = Namespace::default();

    let mut paused = first.clone();
    let pause = running(State::Paused(PauseMode::ServeDefault));
    paused.insert(pause.key(), value(2, &pause));
    let mut small = None;
    for event in publication(&first, 2, &paused) {
        if replica.take_in(event).is_some() {
            small = replica.settle_small(&here);
        }
    }
    assert_eq!(small.map(|step| step.snapshot.generation()), Some(2));
    assert!(!replica.is_unsettled());

    let mut more = paused.clone();
    let new = segment(1, vec![1.0, 2.0]);
    more.insert(new.key(), value(3, &new));
    for event in publication(&paused, 3, &more) {
        if replica.take_in(event).is_some() {
            assert!(replica.settle_small(&here).is_none());
            assert_eq!(
                replica.settle(&here).map(|step| step.snapshot.generation()),
                Some(3)
            );
        }
    }
}

#[test]
fn a_change_that_the_manifest_does_not_confirm_is_not_taken_up() {
    let first = one(1, &[flag("k", 1.0)]);
    let mut replica = ReplicaView::default();
    replica.relist(view(Some(manifest(1, &first)), first.clone()));
    let second = one(2, &[flag("k", 2.0), flag("other", 2.0)]);
    for event in publication(&first, 2, &second) {
        if matches!(&event, BusEvent::Put { key, .. } if key == "flag/other") {
            continue;
        }
        assert!(replica.apply(event).is_none());
    }
    assert!(replica.is_unsettled());
    let told = replica.apply(put("flag/other", &second["flag/other"]));
    assert_eq!(told.map(|step| step.snapshot.generation()), Some(2));
}
