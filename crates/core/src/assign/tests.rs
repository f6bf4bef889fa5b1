use proptest::prelude::*;

use super::*;
use crate::{
    experiment::{AssignmentSource, Cohort, Experiment, ExposureMode, QaOverride},
    fixtures::{experiment, experiment_in, flag, segment, user, variant_key},
    flag::{Flag, SegmentOverride, UnitOverride},
    hashing::{Algorithm, GrowthBookVersion},
    key::{SegmentKey, UnitKind},
    lifecycle::{Outcome, PauseMode, State},
    snapshot::Configuration,
    weights::{Coverage, WHOLE, Weights},
};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const ON: Value = Value::Bool(true);
const OFF: Value = Value::Bool(false);

fn snapshot(flag: Flag, experiments: Vec<Experiment>) -> Snapshot {
    let segments = vec![segment("ios", "platform", "ios"), segment("gold", "tier", "gold")];
    let configuration = Configuration {
        generation: 7,
        flags: vec![flag],
        segments,
        experiments,
        ..Configuration::default()
    };
    let (snapshot, rejected) = Snapshot::compile(&configuration);
    assert_eq!(rejected, []);
    snapshot
}

fn ask<'s>(snapshot: &'s Snapshot, unit: &Unit) -> Assignment<'s> {
    assign(snapshot, "gate", Some(unit), &Attributes::new(), NOW)
}

fn running() -> Experiment {
    experiment_in(State::Running)
}

/// The variant that `experiment` splits `id` into.
fn split(experiment: &Experiment, id: &str) -> Option<VariantKey> {
    let snapshot = snapshot(flag(), vec![experiment.clone()]);
    ask(&snapshot, &user(id)).variant.cloned()
}

#[test]
fn every_state_answers_as_the_table_says() {
    let winner = || Outcome::Winner(variant_key("on"));
    let archived = State::Archived {
        outcome: Outcome::NoWinner,
        ended: false,
    };
    let table = [
        (State::Scheduled, Reason::Scheduled),
        (State::Running, Reason::Split),
        (State::Paused(PauseMode::ServeDefault), Reason::Paused),
        (State::Paused(PauseMode::HoldEnrollment), Reason::EnrollmentHeld),
        (State::Completed(Outcome::Pending), Reason::Completed),
        (State::Completed(Outcome::NoWinner), Reason::Completed),
        (State::Completed(winner()), Reason::Winner),
        (State::Ended(Outcome::NoWinner), Reason::Ended),
        (State::Ended(winner()), Reason::Ended),
        (archived, Reason::Archived),
    ];
    for (state, reason) in table {
        let snapshot = snapshot(flag(), vec![experiment_in(state.clone())]);
        for id in ["1", "2", "3", "4", "5"] {
            let answer = ask(&snapshot, &user(id));
            let serves = matches!(reason, Reason::Split | Reason::Winner);
            assert_eq!(answer.reason, reason, "{state:?}");
            assert_eq!(answer.variant.is_some(), serves, "{state:?}");
            assert_eq!(answer.exposes, reason == Reason::Split, "{state:?}");
            assert_eq!(answer.cohort, u32::from(reason == Reason::Split), "{state:?}");
            assert_eq!(answer.experiment.map(ExperimentKey::as_str), Some("gate-test"));
            assert_eq!(answer.generation, 7);
            if !serves {
                assert_eq!(
                    (answer.value, answer.is_control),
                    (Some(&OFF), false),
                    "{state:?}"
                );
            }
        }
    }
}

#[test]
fn a_winner_is_served_to_every_unit() {
    let outcome = Outcome::Winner(variant_key("on"));
    let snapshot = snapshot(flag(), vec![experiment_in(State::Completed(outcome))]);
    for id in 0..100 {
        let answer = ask(&snapshot, &user(&id.to_string()));
        assert_eq!(
            (answer.variant, answer.value),
            (Some(&variant_key("on")), Some(&ON))
        );
        assert!(!answer.is_control && !answer.exposes);
    }
}

#[test]
fn control_gets_the_pinned_value() {
    let mut changed = flag();
    changed.variations.reverse();
    changed.default_value = ON;
    let snapshot = snapshot(changed, vec![running()]);
    let answers = (0..50).map(|id| ask(&snapshot, &user(&id.to_string())).to_owned());
    let controls: Vec<_> = answers.filter(|a| a.is_control).collect();
    assert!(!controls.is_empty());
    assert!(controls.iter().all(|a| a.value == Some(&OFF)));
}

#[test]
fn without_an_experiment_the_flag_speaks_alone() {
    let imported = Experiment {
        source: AssignmentSource::Imported,
        ..running()
    };
    for experiments in [vec![], vec![experiment()], vec![imported]] {
        let snapshot = snapshot(flag(), experiments);
        let answer = ask(&snapshot, &user("1"));
        assert_eq!((answer.reason, answer.value), (Reason::NoExperiment, Some(&OFF)));
        assert_eq!((answer.experiment, answer.variant), (None, None));
        assert_eq!(
            assign(&snapshot, "gate", None, &Attributes::new(), NOW).reason,
            Reason::NoExperiment
        );
    }
}

#[test]
fn an_unknown_flag_has_no_value() {
    let snapshot = snapshot(flag(), vec![]);
    let answer = assign(&snapshot, "nope", Some(&user("1")), &Attributes::new(), NOW);
    assert_eq!(
        (answer.reason, answer.value, answer.flag),
        (Reason::UnknownFlag, None, None)
    );
    assert_eq!(answer.generation, 7);
}

#[test]
fn a_missing_unit_or_one_of_another_kind_gets_the_default() {
    let snapshot = snapshot(flag(), vec![running()]);
    let device = Unit::new(UnitKind::new("device").unwrap(), "1").unwrap();
    for unit in [None, Some(&device)] {
        let answer = assign(&snapshot, "gate", unit, &Attributes::new(), NOW);
        assert_eq!(
            (answer.reason, answer.value, answer.variant),
            (Reason::NoUnit, Some(&OFF), None)
        );
    }
}

fn overridden_flag() -> Flag {
    let by_segment = |key| SegmentOverride {
        segment: SegmentKey::new(key).unwrap(),
        value: ON,
    };
    Flag {
        unit_overrides: vec![UnitOverride {
            unit: user("vip"),
            value: OFF,
        }],
        segment_overrides: vec![by_segment("gold")],
        ..flag()
    }
}

#[test]
fn overrides_beat_every_state() {
    let gold = Attributes::from([("tier".into(), "gold".into())]);
    let outcome = Outcome::Winner(variant_key("on"));
    for state in [
        State::Running,
        State::Paused(PauseMode::ServeDefault),
        State::Completed(outcome),
    ] {
        let snapshot = snapshot(overridden_flag(), vec![experiment_in(state)]);
        let by_unit = assign(&snapshot, "gate", Some(&user("vip")), &gold, NOW);
        let by_segment = assign(&snapshot, "gate", Some(&user("1")), &gold, NOW);
        let nobody = assign(&snapshot, "gate", None, &gold, NOW);
        for (answer, value) in [(by_unit, OFF), (by_segment, ON), (nobody, ON)] {
            assert_eq!((answer.reason, answer.value), (Reason::Override, Some(&value)));
            assert_eq!((answer.variant, answer.exposes, answer.cohort), (None, false, 0));
        }
    }
}

#[test]
fn qa_overrides_come_first_and_only_before_completion() {
    let qa = vec![QaOverride {
        unit: user("vip"),
        variant: variant_key("on"),
    }];
    let with = |state| Experiment {
        qa_overrides: qa.clone(),
        ..experiment_in(state)
    };
    for state in [
        State::Scheduled,
        State::Running,
        State::Paused(PauseMode::ServeDefault),
    ] {
        let snapshot = snapshot(overridden_flag(), vec![with(state)]);
        let answer = ask(&snapshot, &user("vip"));
        assert_eq!(
            (answer.reason, answer.variant),
            (Reason::Override, Some(&variant_key("on")))
        );
        assert_eq!((answer.value, answer.exposes), (Some(&ON), false));
    }
    let completed = snapshot(flag(), vec![with(State::Completed(Outcome::NoWinner))]);
    assert_eq!(ask(&completed, &user("vip")).reason, Reason::Completed);
}

#[test]
fn the_segment_comes_before_coverage() {
    let ios = Some(SegmentKey::new("ios").unwrap());
    let closed = Coverage::new(0).unwrap();
    let snapshot = snapshot(
        flag(),
        vec![Experiment {
            segment: ios,
            coverage: closed,
            ..running()
        }],
    );
    let on = |platform: &str| {
        let attributes = Attributes::from([("platform".into(), platform.into())]);
        assign(&snapshot, "gate", Some(&user("1")), &attributes, NOW).reason
    };
    assert_eq!(on("android"), Reason::NotInSegment);
    assert_eq!(on("ios"), Reason::NotInCoverage);
}

#[test]
fn an_experiment_answers_for_its_own_key() {
    let old = Experiment {
        key: ExperimentKey::new("old").unwrap(),
        ..experiment_in(State::Ended(Outcome::NoWinner))
    };
    let snapshot = snapshot(flag(), vec![running(), old]);
    let asked = |key| assign(&snapshot, key, Some(&user("1")), &Attributes::new(), NOW);
    assert_eq!(asked("gate-test"), asked("gate"));
    assert_eq!(asked("old").reason, Reason::Ended);
    assert_eq!(asked("old").flag.map(FlagKey::as_str), Some("gate"));
}

#[test]
fn an_exposure_carries_the_segmenting_attributes_only() {
    let ios = Some(SegmentKey::new("ios").unwrap());
    let snapshot = snapshot(
        flag(),
        vec![Experiment {
            segment: ios,
            ..running()
        }],
    );
    let attributes = Attributes::from([("platform".into(), "ios".into()), ("secret".into(), 1.0.into())]);
    let answer = assign(&snapshot, "gate", Some(&user("1")), &attributes, NOW);
    let carried: Vec<_> = answer.segmenting_of(&attributes).collect();
    assert_eq!(carried, [(&"platform".to_owned(), &"ios".into())]);
    assert!(answer.exposes);
}

#[test]
fn without_exposure_mode_or_split_nothing_exposes() {
    let silent = Experiment {
        exposure: ExposureMode::None,
        ..running()
    };
    for experiment in [silent, experiment_in(State::Paused(PauseMode::ServeDefault))] {
        let snapshot = snapshot(flag(), vec![experiment]);
        let answer = ask(&snapshot, &user("1"));
        assert!(!answer.exposes);
    }
}

/// 20,000 units in shares of 10, 20, 30, 40 %: chi-square with 3 degrees of freedom is above 25.9 once in 100,000 samples.
#[test]
fn units_divide_as_the_weights_say() {
    let mut experiment = running();
    let shares = [1000, 2000, 3000, 4000];
    experiment.variants = ["a", "b", "c", "d"]
        .map(|key| crate::experiment::Variant {
            key: variant_key(key),
            name: String::new(),
            value: OFF,
        })
        .to_vec();
    experiment.cohorts = vec![Cohort {
        number: 3,
        weights: Weights::new(shares.to_vec()).unwrap(),
        generation: 1,
    }];
    let snapshot = snapshot(flag(), vec![experiment]);
    let mut counts = std::collections::BTreeMap::<_, f64>::new();
    for id in 0..20_000 {
        let answer = ask(&snapshot, &user(&format!("user-{id}")));
        assert_eq!(answer.cohort, 3);
        *counts.entry(answer.variant.unwrap().clone()).or_default() += 1.0;
    }
    let expected = shares.map(|share| f64::from(share) * 2.0);
    let x2: f64 = counts
        .values()
        .zip(expected)
        .map(|(n, e)| (n - e).powi(2) / e)
        .sum();
    assert!(x2 < 25.9, "{counts:?}: {x2}");
}

/// What GrowthBook 1.8.0 says of version 1 with the seed `my-test`, 10 % and 90 % at a coverage of 0.3: in `testdata/hashes`.
#[test]
fn another_systems_hash_decides_who_is_covered_and_who_gets_what() {
    let mut experiment = running();
    experiment.coverage = Coverage::new(3_000).unwrap();
    experiment.cohorts = vec![Cohort {
        number: 1,
        weights: Weights::new(vec![1_000, 9_000]).unwrap(),
        generation: 1,
    }];
    experiment.traffic.hashing.algorithm = Algorithm::GrowthBook {
        version: GrowthBookVersion::V1,
        seed: "my-test".into(),
        filters: vec![],
    };
    let snapshot = snapshot(flag(), vec![experiment]);
    let ids: Vec<String> =
        serde_json::from_str(include_str!("../../../../testdata/hashes/ids.json")).unwrap();
    let cases: serde_json::Value =
        serde_json::from_str(include_str!("../../../../testdata/hashes/growthbook.json")).unwrap();
    let case = &cases[2];
    assert_eq!(case["experiment"]["coverage"], 0.3);
    let mut counts = [0; 3];
    for (id, expected) in ids
        .iter()
        .zip(case["answers"].as_array().unwrap())
        .filter(|(id, _)| id.len() <= 256)
    {
        let answer = ask(&snapshot, &user(id));
        let (variant, reason, count) = match expected.as_i64() {
            Some(0) => (Some("off"), Reason::Split, 0),
            Some(1) => (Some("on"), Reason::Split, 1),
            _ => (None, Reason::NotInCoverage, 2),
        };
        assert_eq!(
            (answer.variant.map(VariantKey::as_str), answer.reason),
            (variant, reason),
            "{id}"
        );
        assert_eq!(answer.exposes, reason == Reason::Split);
        counts[count] += 1;
    }
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
}

#[test]
fn a_hash_that_cannot_do_what_is_asked_leaves_the_default() {
    let mut experiment = running();
    experiment.traffic.hashing.algorithm = Algorithm::Eppo {
        salt: "s".into(),
        traffic_salt: String::new(),
        shards: vec![],
    };
    experiment.traffic.hashing.buckets = Some(7);
    let configuration = Configuration {
        flags: vec![flag()],
        experiments: vec![experiment],
        ..Configuration::default()
    };
    let (snapshot, rejected) = Snapshot::compile(&configuration);
    assert_eq!(rejected.len(), 1);
    assert!(
        rejected[0].reason.contains("not a whole number of the 7 buckets"),
        "{rejected:?}"
    );
    assert_eq!(ask(&snapshot, &user("1")).reason, Reason::NoExperiment);
}

#[test]
fn a_variant_with_weight_zero_gets_nobody() {
    let mut experiment = running();
    experiment.cohorts = vec![Cohort {
        number: 1,
        weights: Weights::new(vec![0, WHOLE]).unwrap(),
        generation: 1,
    }];
    for id in 0..1000 {
        assert_eq!(split(&experiment, &id.to_string()), Some(variant_key("on")));
    }
}

proptest! {
    #[test]
    fn growing_coverage_moves_no_unit(id in "[a-z0-9]{1,36}", a in 0..=WHOLE, b in 0..=WHOLE) {
        let with = |share| Experiment { coverage: Coverage::new(share).unwrap(), ..running() };
        let (before, after) = (split(&with(a.min(b)), &id), split(&with(a.max(b)), &id));
        prop_assert!(before.is_none() || before == after);
        prop_assert!(split(&with(WHOLE), &id).is_some());
    }

    #[test]
    fn a_pause_brings_every_unit_back_to_its_variant(id in "[a-z0-9]{1,36}") {
        let before = split(&running(), &id);
        prop_assert_eq!(split(&experiment_in(State::Paused(PauseMode::ServeDefault)), &id), None);
        prop_assert_eq!(split(&running(), &id), before);
    }

    #[test]
    fn the_answer_does_not_depend_on_other_experiments(id in "[a-z0-9]{1,36}", salt in "[a-f0-9]{8}") {
        let other = Experiment {
            key: ExperimentKey::new("other").unwrap(),
            salt,
            completed_at: Some(NOW),
            ..experiment_in(State::Completed(Outcome::NoWinner))
        };
        let snapshot = snapshot(flag(), vec![other, running()]);
        prop_assert_eq!(ask(&snapshot, &user(&id)).variant.cloned(), split(&running(), &id));
    }
}
