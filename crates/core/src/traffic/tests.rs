use super::*;
use crate::{
    fixtures::{experiment, experiment_in, layer},
    layer::n_buckets,
    lifecycle::{Outcome, PauseMode},
    time::MICROS_PER_DAY,
    weights::{Coverage, WHOLE},
};

const NOW: Timestamp = Timestamp::from_micros(0);

fn in_layer(state: State, share: u32) -> Experiment {
    let mut experiment = Experiment {
        coverage: Coverage::new(share).unwrap(),
        ..experiment_in(state)
    };
    experiment.traffic.layer = Some(InLayer::new(LayerKey::new("checkout").unwrap()));
    experiment
}

#[test]
fn buckets_come_with_the_start_and_go_after_the_end() {
    let mut layer = layer("checkout");
    let draft = in_layer(State::Draft, 2_000);
    let mut running = in_layer(State::Running, 2_000);
    settle(&mut layer, &draft, &mut running, NOW).unwrap();
    let place = running.traffic.layer.clone().unwrap();
    assert_eq!((n_buckets(&place.ranges), &place.salt), (200_000, &layer.salt));

    let mut grown = Experiment {
        coverage: Coverage::new(5_000).unwrap(),
        ..running.clone()
    };
    settle(&mut layer, &running, &mut grown, NOW).unwrap();
    assert_eq!(n_buckets(&grown.traffic.layer.as_ref().unwrap().ranges), 500_000);

    let mut completed = Experiment {
        state: State::Completed(Outcome::NoWinner),
        ..grown.clone()
    };
    settle(&mut layer, &grown, &mut completed, NOW).unwrap();
    assert_eq!(
        n_buckets(layer.held_by(&completed.key)),
        500_000,
        "kept, for Undo"
    );

    let mut ended = Experiment {
        state: State::Ended(Outcome::NoWinner),
        ..completed.clone()
    };
    settle(&mut layer, &completed, &mut ended, NOW).unwrap();
    assert_eq!(ended.traffic, completed.traffic, "history");
    assert_eq!(n_buckets(&layer.free(NOW)), 500_000);
    assert_eq!(
        n_buckets(&layer.free(Timestamp::from_micros(7 * MICROS_PER_DAY))),
        1_000_000
    );
}

#[test]
fn unscheduling_gives_back_at_once() {
    let mut layer = layer("checkout");
    let mut scheduled = in_layer(State::Scheduled, 10_000);
    settle(&mut layer, &in_layer(State::Draft, 10_000), &mut scheduled, NOW).unwrap();
    let mut draft = Experiment {
        state: State::Draft,
        ..scheduled.clone()
    };
    settle(&mut layer, &scheduled, &mut draft, NOW).unwrap();
    assert_eq!(
        (draft, layer.allocations.len()),
        (in_layer(State::Draft, 10_000), 0)
    );
}

#[test]
fn a_copy_has_nothing_that_start_writes() {
    let mut layer = layer("checkout");
    let mut running = in_layer(State::Running, 2_000);
    settle(&mut layer, &in_layer(State::Draft, 2_000), &mut running, NOW).unwrap();
    running.traffic.holdouts = vec![HoldoutKey::new("h").unwrap()];
    assert_eq!(running.traffic.copy(), in_layer(State::Draft, 2_000).traffic);
}

#[test]
fn cohorts_are_added_to_what_remembers_its_units() {
    let mut stored = experiment_in(State::Paused(PauseMode::ServeDefault));
    assert!(!may_add_cohort(&stored));
    stored.traffic.sticky = Sticky::Stored;
    assert!(may_add_cohort(&stored));
    stored.state = State::Scheduled;
    assert!(!may_add_cohort(&stored));
}

#[test]
fn an_announced_cohort_opens_while_units_are_enrolled() {
    let weights = |share| Weights::new(vec![share, WHOLE - share]).unwrap();
    let mut announced = experiment_in(State::Running);
    announced.traffic.sticky = Sticky::Stored;
    assert_eq!(open_cohort(&announced, 9), None, "none was announced");
    announced.traffic.opening = Some(Opening {
        weights: weights(1_000),
        since: 3,
    });
    assert_eq!(announced.due_at(), Some(Timestamp::from_micros(0)), "it waits");
    let opened = open_cohort(&announced, 9).unwrap();
    let second = Cohort {
        number: 2,
        weights: weights(1_000),
        generation: 9,
    };
    assert_eq!((opened.cohorts.len(), opened.cohorts.last()), (2, Some(&second)));
    assert_eq!(
        (opened.traffic.opening.clone(), opened.due_at()),
        (None, opened.ends_at())
    );
    announced.state = State::Completed(Outcome::NoWinner);
    assert_eq!((open_cohort(&announced, 9), announced.due_at()), (None, None));
}

fn on(flag: &str, needs: &[&str]) -> Experiment {
    let mut experiment = Experiment {
        key: ExperimentKey::new(format!("of-{flag}")).unwrap(),
        flag: FlagKey::new(flag).unwrap(),
        ..experiment()
    };
    let flags = needs.iter().map(|flag| Prerequisite {
        flag: FlagKey::new(*flag).unwrap(),
        value: Value::Bool(true),
    });
    experiment.traffic.prerequisites = flags.collect();
    experiment
}

#[test]
fn a_way_back_is_named() {
    let path = |experiment: &Experiment, others: &[Experiment]| {
        prerequisite_path(experiment, others).map(|path| {
            path.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" → ")
        })
    };
    let others = [on("b", &["x", "c"]), on("c", &["a"])];
    assert_eq!(path(&on("a", &["b"]), &others).as_deref(), Some("a → b → c → a"));
    assert_eq!(path(&on("a", &["a"]), &[]).as_deref(), Some("a → a"));
    assert_eq!(path(&on("d", &["x"]), &others), None);
    assert_eq!(
        path(&on("c", &[]), &[on("b", &["c"]), on("c", &["a"])]),
        None,
        "its stored form does not count"
    );
    let long: Vec<_> = (1..9)
        .map(|i| on(&i.to_string(), &[&(i + 1).to_string()]))
        .collect();
    assert_eq!(
        path(&on("0", &["1"]), &long).as_deref(),
        Some("0 → 1 → 2 → 3 → 4 → 5 → 6")
    );
    assert_eq!(path(&on("0", &["5"]), &long), None);
    // Whichever is stored last: what leads to it counts, too.
    let before: Vec<_> = (0..4)
        .map(|i| on(&i.to_string(), &[&(i + 1).to_string()]))
        .collect();
    assert_eq!(path(&on("4", &["5"]), &before), None);
    let beyond = [before, vec![on("5", &["6"])]].concat();
    assert_eq!(
        path(&on("4", &["5"]), &beyond).as_deref(),
        Some("0 → 1 → 2 → 3 → 4 → 5 → 6")
    );
}
