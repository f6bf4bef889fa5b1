//! Layers, holdouts, prerequisites, and what is remembered.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]

use std::collections::BTreeMap;

use super::*;
use crate::{
    experiment::{Cohort, Experiment},
    fixtures::{experiment_in, flag, holdout, layer, segment, user, variant_key},
    flag::{Flag, HeldDefault},
    holdout::Holdout,
    key::{HoldoutKey, LayerKey, SegmentKey},
    layer::Layer,
    lifecycle::{Outcome, PauseMode, State},
    memory::Remembered,
    snapshot::Configuration,
    traffic::{Eligibility, InLayer, Opening, Prerequisite, Sticky, settle},
    weights::{Coverage, WHOLE, Weights},
};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const UNITS: usize = 20_000;

fn named(key: &str) -> (Flag, Experiment) {
    let flag = Flag {
        key: FlagKey::new(key).unwrap(),
        ..flag()
    };
    let experiment = Experiment {
        key: ExperimentKey::new(format!("{key}-test")).unwrap(),
        flag: flag.key.clone(),
        salt: format!("salt of {key}"),
        ..experiment_in(State::Running)
    };
    (flag, experiment)
}

/// A running experiment on the flag `key` with `share` of `layer`.
fn layered(key: &str, layer: &mut Layer, share: u32) -> (Flag, Experiment) {
    let (flag, mut experiment) = named(key);
    experiment.coverage = Coverage::new(share).unwrap();
    experiment.traffic.layer = Some(InLayer::new(layer.key.clone()));
    let draft = Experiment {
        state: State::Draft,
        ..experiment.clone()
    };
    settle(layer, &draft, &mut experiment, NOW).unwrap();
    (flag, experiment)
}

fn snapshot(pairs: impl IntoIterator<Item = (Flag, Experiment)>, holdouts: Vec<Holdout>) -> Snapshot {
    let (flags, experiments) = pairs.into_iter().unzip();
    let configuration = Configuration {
        generation: 7,
        flags,
        segments: vec![segment("ios", "platform", "ios")],
        holdouts,
        experiments,
        ..Configuration::default()
    };
    let (snapshot, rejected) = Snapshot::compile(&configuration);
    assert_eq!(rejected, []);
    snapshot
}

fn ask<'s>(snapshot: &'s Snapshot, flag: &str, id: usize) -> Assignment<'s> {
    assign(
        snapshot,
        flag,
        Some(&user(&format!("user-{id}"))),
        &Attributes::new(),
        NOW,
    )
}

fn is_in(snapshot: &Snapshot, flag: &str, id: usize) -> bool {
    let answer = ask(snapshot, flag, id);
    assert!(
        matches!(answer.reason, Reason::Split | Reason::LayerExcluded),
        "{answer:?}"
    );
    answer.variant.is_some()
}

#[test]
fn experiments_of_one_layer_share_no_unit_and_fill_it() {
    let mut layer = layer("checkout");
    let pairs = [
        layered("a", &mut layer, 5_000),
        layered("b", &mut layer, 3_000),
        layered("c", &mut layer, 2_000),
    ];
    let snapshot = snapshot(pairs, vec![]);
    let mut counts = BTreeMap::<_, usize>::new();
    for id in 0..UNITS {
        let taken: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .filter(|flag| is_in(&snapshot, flag, id))
            .collect();
        assert_eq!(taken.len(), 1, "{id}: {taken:?}");
        *counts.entry(taken[0]).or_default() += 1;
    }
    // 5 σ of each share.
    for (flag, share) in [("a", 0.5), ("b", 0.3), ("c", 0.2_f64)] {
        let (expected, sigma) = (
            UNITS as f64 * share,
            (UNITS as f64 * share * (1.0 - share)).sqrt(),
        );
        assert!((counts[flag] as f64 - expected).abs() < 5.0 * sigma, "{counts:?}");
    }
}

#[test]
fn experiments_of_two_layers_overlap_as_chance_says() {
    let other = Layer {
        salt: "other".into(),
        ..layer("search")
    };
    let pairs = [
        layered("a", &mut layer("checkout"), 5_000),
        layered("b", &mut other.clone(), 5_000),
    ];
    let snapshot = snapshot(pairs, vec![]);
    let both = (0..UNITS)
        .filter(|id| is_in(&snapshot, "a", *id) && is_in(&snapshot, "b", *id))
        .count();
    // A quarter, ± 5 σ.
    assert!((4_694..=5_306).contains(&both), "{both}");
}

#[test]
fn growing_in_a_layer_moves_no_unit_that_was_in() {
    let mut layer = layer("checkout");
    let (flag, small) = layered("a", &mut layer, 1_000);
    layered("b", &mut layer, 3_000);
    let mut grown = Experiment {
        coverage: Coverage::new(5_000).unwrap(),
        ..small.clone()
    };
    settle(&mut layer, &small, &mut grown, NOW).unwrap();
    let before = snapshot([(flag.clone(), small)], vec![]);
    let after = snapshot([(flag, grown)], vec![]);
    let mut n_new = 0;
    for id in 0..UNITS {
        let (old, new) = (ask(&before, "a", id).variant, ask(&after, "a", id).variant);
        assert!(old.is_none() || old == new);
        n_new += usize::from(old.is_none() && new.is_some());
    }
    assert!((7_600..=8_400).contains(&n_new), "{n_new}");
}

fn tenth() -> Holdout {
    holdout("h")
}

fn pinned(mut experiment: Experiment) -> Experiment {
    experiment.traffic.holdouts = vec![HoldoutKey::new("h").unwrap()];
    experiment
}

#[test]
fn held_out_units_keep_the_old_default_even_from_a_winner() {
    let (flag, running) = named("a");
    let running = pinned(running);
    let mut promoted = flag.clone();
    promoted.hold_default(&running.traffic.holdouts);
    promoted.promote(&running.variants[1]);
    let won = Experiment {
        state: State::Completed(Outcome::Winner(variant_key("on"))),
        ..running.clone()
    };
    let ended = Experiment {
        state: State::Ended(Outcome::Winner(variant_key("on"))),
        ..won.clone()
    };
    let during = snapshot([(flag, running)], vec![tenth()]);
    let after = snapshot([(promoted.clone(), won)], vec![tenth()]);
    let later = snapshot([(promoted.clone(), ended.clone())], vec![tenth()]);
    let gone = snapshot([(promoted, ended)], vec![]);
    let (off, on) = (Value::Bool(false), Value::Bool(true));
    let held = tenth().compile();
    let mut n_held = 0;
    for id in 0..2_000 {
        let is_held = held.holds(&user(&format!("user-{id}")));
        n_held += usize::from(is_held);
        assert_eq!(ask(&during, "a", id).reason == Reason::Holdout, is_held);
        for snapshot in [&after, &later] {
            let answer = ask(snapshot, "a", id);
            let expected = if is_held { &off } else { &on };
            assert_eq!(
                (answer.value, answer.reason == Reason::Holdout),
                (Some(expected), is_held),
                "{answer:?}"
            );
        }
        assert_eq!(
            ask(&gone, "a", id).value,
            Some(&on),
            "a holdout that is gone holds nobody"
        );
    }
    assert!((130..=270).contains(&n_held), "{n_held}");
}

#[test]
fn the_old_default_is_the_one_before_the_first_winner() {
    let mut flag = flag();
    let h = [HoldoutKey::new("h").unwrap()];
    flag.hold_default(&h);
    flag.default_value = Value::Bool(true);
    flag.hold_default(&h);
    let kept = HeldDefault {
        holdout: h[0].clone(),
        value: Value::Bool(false),
    };
    assert_eq!(flag.held_defaults, [kept]);
}

#[test]
fn a_live_experiment_without_its_holdout_is_rejected() {
    let (flag, running) = named("a");
    let configuration = Configuration {
        flags: vec![flag],
        experiments: vec![pinned(running)],
        ..Configuration::default()
    };
    let (_, rejected) = Snapshot::compile(&configuration);
    assert_eq!(rejected[0].reason, "holdout `h` is missing or rejected");
}

fn requires(mut experiment: Experiment, flag: &str, value: bool) -> Experiment {
    let flag = FlagKey::new(flag).unwrap();
    experiment.traffic.prerequisites.push(Prerequisite {
        flag,
        value: Value::Bool(value),
    });
    experiment
}

#[test]
fn a_prerequisite_is_what_the_other_flag_serves_the_same_unit() {
    let (a, b) = (named("a"), named("b"));
    let snapshot = snapshot([a, (b.0, requires(b.1, "a", true))], vec![]);
    let mut n_in = 0;
    for id in 0..1_000 {
        let allowed = ask(&snapshot, "a", id).value == Some(&Value::Bool(true));
        let reason = if allowed {
            Reason::Split
        } else {
            Reason::PrerequisiteFailed
        };
        assert_eq!(ask(&snapshot, "b", id).reason, reason);
        n_in += usize::from(allowed);
    }
    assert!((400..=600).contains(&n_in));
}

#[test]
fn prerequisites_in_a_circle_or_of_an_unknown_flag_fail() {
    let (a, b) = (named("a"), named("b"));
    let circle = [(a.0, requires(a.1, "b", false)), (b.0, requires(b.1, "a", false))];
    let snapshot_of_circle = snapshot(circle, vec![]);
    let reasons: Vec<_> = (0..50)
        .map(|id| ask(&snapshot_of_circle, "a", id).reason)
        .collect();
    assert!(reasons.contains(&Reason::PrerequisiteFailed), "{reasons:?}");
    let (flag, experiment) = named("c");
    let unknown = snapshot([(flag, requires(experiment, "nope", false))], vec![]);
    assert_eq!(ask(&unknown, "c", 1).reason, Reason::PrerequisiteFailed);
}

/// An experiment that fails every gate after the one of each row in turn.
#[test]
fn gates_come_in_the_order_of_the_design() {
    let (flag, mut all) = named("a");
    let everybody = Holdout {
        share: Coverage::FULL,
        ..tenth()
    };
    all = pinned(requires(all, "nope", true));
    all.segment = Some(SegmentKey::new("ios").unwrap());
    all.coverage = Coverage::new(0).unwrap();
    all.traffic.layer = Some(InLayer {
        salt: "s".into(),
        ..InLayer::new(LayerKey::new("checkout").unwrap())
    });
    type Opens = fn(&mut Experiment);
    let gates: [(Reason, Opens); 5] = [
        (Reason::Holdout, |e| e.traffic.holdouts.clear()),
        (Reason::LayerExcluded, |e| e.traffic.layer = None),
        (Reason::PrerequisiteFailed, |e| e.traffic.prerequisites.clear()),
        (Reason::NotInSegment, |e| e.segment = None),
        (Reason::NotInCoverage, |e| e.coverage = Coverage::FULL),
    ];
    for (reason, open) in gates {
        let paused = Experiment {
            state: State::Paused(PauseMode::ServeDefault),
            ..all.clone()
        };
        let expected = if reason == Reason::Holdout {
            Reason::Holdout
        } else {
            Reason::Paused
        };
        for (experiment, expected) in [(all.clone(), reason), (paused, expected)] {
            let snapshot = snapshot([(flag.clone(), experiment)], vec![everybody.clone()]);
            assert_eq!(ask(&snapshot, "a", 1).reason, expected);
        }
        open(&mut all);
    }
    assert_eq!(
        ask(&snapshot([(flag, all)], vec![]), "a", 1).reason,
        Reason::Split
    );
}

fn stored(change: impl FnOnce(&mut Experiment)) -> Snapshot {
    let (flag, mut experiment) = named("a");
    experiment.traffic.sticky = Sticky::Stored;
    change(&mut experiment);
    snapshot([(flag, experiment)], vec![])
}

fn memory(remembered: Option<(&str, u32)>) -> Memory {
    let mut memory = Memory::default();
    let remembered = remembered.map(|(variant, cohort)| Remembered {
        variant: variant_key(variant),
        cohort,
    });
    memory.learn(ExperimentKey::new("a-test").unwrap(), remembered);
    memory
}

fn recalled<'s>(snapshot: &'s Snapshot, remembered: Option<(&str, u32)>) -> Assignment<'s> {
    assign_with(
        snapshot,
        "a",
        Some(&user("1")),
        &Attributes::new(),
        &memory(remembered),
        NOW,
    )
}

#[test]
fn the_store_is_asked_only_where_it_may_differ_from_the_hash() {
    let cohort = |number| Cohort {
        number,
        weights: Weights::even(2),
        generation: 1,
    };
    let plain = stored(|_| {});
    assert_eq!(
        (ask(&plain, "a", 1).reason, ask(&plain, "a", 1).keep),
        (Reason::Split, Keep::Later)
    );
    type Change = fn(&mut Experiment);
    let needing: [(Change, Keep); 4] = [
        (
            |e| {
                e.cohorts.push(Cohort {
                    number: 2,
                    weights: Weights::even(2),
                    generation: 9,
                })
            },
            Keep::First,
        ),
        (
            |e| {
                e.traffic.opening = Some(Opening {
                    weights: Weights::even(2),
                    since: 3,
                })
            },
            Keep::First,
        ),
        (|e| e.traffic.eligibility = Eligibility::AtEnrollment, Keep::Later),
        (
            |e| e.state = State::Paused(PauseMode::HoldEnrollment),
            Keep::Later,
        ),
    ];
    for (change, keep) in needing {
        let snapshot = stored(change);
        let unasked = ask(&snapshot, "a", 1);
        assert_eq!(
            (unasked.reason, unasked.value),
            (Reason::Degraded, Some(&Value::Bool(false)))
        );
        assert_eq!(
            (unasked.needs.map(ExperimentKey::as_str), unasked.exposes),
            (Some("a-test"), false)
        );
        let known = recalled(&snapshot, Some(("on", 1)));
        assert_eq!(
            (known.reason, known.variant, known.cohort),
            (Reason::Split, Some(&variant_key("on")), 1)
        );
        assert!(known.is_remembered && known.exposes && known.keep == Keep::No && known.needs.is_none());
        let new = recalled(&snapshot, None);
        if new.reason == Reason::Split {
            assert!(!new.is_remembered && new.keep == keep, "{new:?}");
        } else {
            assert_eq!(
                (new.reason, new.keep, new.exposes),
                (Reason::EnrollmentHeld, Keep::No, false)
            );
        }
    }
    assert_eq!(cohort(1).number, 1);
    assert_eq!(
        recalled(
            &stored(|e| e.traffic.eligibility = Eligibility::AtEnrollment),
            Some(("gone", 1))
        )
        .reason,
        Reason::Degraded
    );
}

#[test]
fn held_enrollment_serves_known_units_only() {
    let snapshot = stored(|e| e.state = State::Paused(PauseMode::HoldEnrollment));
    assert_eq!(
        recalled(&snapshot, Some(("on", 1))).variant,
        Some(&variant_key("on"))
    );
    let new = recalled(&snapshot, None);
    assert_eq!(
        (new.reason, new.value, new.variant),
        (Reason::EnrollmentHeld, Some(&Value::Bool(false)), None)
    );
}

#[test]
fn eligibility_is_checked_each_time_or_once() {
    let narrow = |e: &mut Experiment| {
        e.segment = Some(SegmentKey::new("ios").unwrap());
        e.coverage = Coverage::new(0).unwrap();
        e.cohorts.push(Cohort {
            number: 2,
            weights: Weights::even(2),
            generation: 9,
        });
    };
    assert_eq!(
        recalled(&stored(narrow), Some(("on", 1))).reason,
        Reason::NotInSegment
    );
    let once = stored(|e| {
        narrow(e);
        e.traffic.eligibility = Eligibility::AtEnrollment;
    });
    assert_eq!(recalled(&once, Some(("on", 1))).reason, Reason::Split);
    assert_eq!(recalled(&once, None).reason, Reason::NotInSegment);
}

#[test]
fn what_a_prerequisite_needs_is_named() {
    let (a, b) = (named("a"), named("b"));
    let mut needed = a.1;
    needed.traffic.sticky = Sticky::Stored;
    needed.traffic.eligibility = Eligibility::AtEnrollment;
    let snapshot = snapshot([(a.0, needed), (b.0, requires(b.1, "a", true))], vec![]);
    let unasked = ask(&snapshot, "b", 1);
    assert_eq!(
        (unasked.reason, unasked.needs.map(ExperimentKey::as_str)),
        (Reason::Degraded, Some("a-test"))
    );
    let known = assign_with(
        &snapshot,
        "b",
        Some(&user("1")),
        &Attributes::new(),
        &memory(Some(("on", 1))),
        NOW,
    );
    assert_eq!(known.reason, Reason::Split);
}

/// All 10,000 units seen under the first weights keep their variant under the second, whatever these are.
#[test]
fn another_cohort_moves_no_unit_seen_before() {
    let first = stored(|_| {});
    let second = stored(|e| {
        let closed = Weights::new(vec![WHOLE, 0]).unwrap();
        e.cohorts.push(Cohort {
            number: 2,
            weights: closed,
            generation: 9,
        });
    });
    for id in 0..10_000 {
        let unit = user(&format!("user-{id}"));
        let before = assign(&first, "a", Some(&unit), &Attributes::new(), NOW);
        let kept = memory(Some((before.variant.unwrap().as_str(), before.cohort)));
        let after = assign_with(&second, "a", Some(&unit), &Attributes::new(), &kept, NOW);
        assert_eq!((after.variant, after.cohort), (before.variant, 1));
        let new = assign_with(&second, "a", Some(&unit), &Attributes::new(), &memory(None), NOW);
        assert_eq!(
            (new.variant, new.cohort),
            (Some(&variant_key("off")), 2),
            "the closed variant gets nobody new"
        );
    }
}

/// What the unit `id` gets, which is remembered in `store` when it is seen first; whoever was seen keeps what they had.
fn visit(snapshot: &Snapshot, store: &mut BTreeMap<usize, Remembered>, id: usize) -> VariantKey {
    let unit = user(&format!("user-{id}"));
    let mut memory = Memory::default();
    memory.learn(ExperimentKey::new("a-test").unwrap(), store.get(&id).cloned());
    let answer = assign_with(snapshot, "a", Some(&unit), &Attributes::new(), &memory, NOW);
    assert_eq!(answer.reason, Reason::Split);
    let first = Remembered {
        variant: answer.variant.unwrap().clone(),
        cohort: answer.cohort,
    };
    let remembered = store.entry(id).or_insert(first).clone();
    assert_eq!(
        answer.variant,
        Some(&remembered.variant),
        "moved by cohort {}",
        answer.cohort
    );
    remembered.variant
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]

    /// Whatever cohorts are added, nobody who was seen moves, and who was not is split by the last weights alone.
    #[test]
    fn a_cohort_moves_no_unit_that_was_seen(shares in proptest::collection::vec(0..=WHOLE, 1..5), seed in 0_usize..1_000_000) {
        let mut store = BTreeMap::new();
        let mut cohorts = Vec::new();
        let mut seen = seed..seed;
        for share in shares {
            cohorts.push(Cohort {
                number: u32::try_from(cohorts.len()).unwrap() + 1,
                weights: Weights::new(vec![share, WHOLE - share]).unwrap(),
                generation: 1,
            });
            let last = stored(|e| e.cohorts.clone_from(&cohorts));
            for id in seen.clone() {
                visit(&last, &mut store, id);
            }
            let new = seen.end..seen.end + 200;
            let only = cohorts.last().unwrap().clone();
            let alone = stored(|e| e.cohorts = vec![only.clone()]);
            for id in new.clone() {
                let given = visit(&last, &mut store, id);
                let split = ask(&alone, "a", id);
                proptest::prop_assert_eq!(Some(&given), split.variant);
                proptest::prop_assert_eq!(store[&id].cohort, only.number);
                proptest::prop_assert!(share != 0 || given.as_str() != "off", "a closed variant gets no new unit");
            }
            seen.end = new.end;
        }
    }
}
