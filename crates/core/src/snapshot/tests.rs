use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    assign::assign,
    experiment::QaOverride,
    fixtures::{experiment, experiment_in, flag, rule, segment, user, variant_key},
    flag::{Meta, SegmentOverride, UnitOverride},
    key::SegmentKey,
    lifecycle::{Outcome, State},
    segment::{Condition, Operator, SegmentReference},
    time::Timestamp,
    traffic::Sticky,
};

fn configuration(experiments: Vec<Experiment>) -> Configuration {
    Configuration {
        generation: 1,
        flags: vec![flag()],
        experiments,
        ..Configuration::default()
    }
}

/// The reason and experiment that one unit gets for `key`.
fn ask(snapshot: &Snapshot, key: &str) -> (Reason, Option<String>) {
    let answer = assign(
        snapshot,
        key,
        Some(&user("1")),
        &Attributes::new(),
        Timestamp::default(),
    );
    (answer.reason, answer.experiment.map(ToString::to_string))
}

fn named(key: &str, state: State, completed: Option<i64>) -> Experiment {
    Experiment {
        key: ExperimentKey::new(key).unwrap(),
        completed_at: completed.map(Timestamp::from_micros),
        ..experiment_in(state)
    }
}

fn resources(rejected: &[Rejected]) -> Vec<&str> {
    rejected.iter().map(|r| r.resource.as_str()).collect()
}

#[test]
fn the_current_experiment_is_the_live_one_else_the_latest_completed() {
    let early = || named("z-early", State::Completed(Outcome::NoWinner), Some(1));
    let late = || named("a-late", State::Ended(Outcome::NoWinner), Some(2));
    let live = || named("live", State::Running, None);
    let (both, _) = Snapshot::compile(&configuration(vec![late(), early()]));
    assert_eq!(ask(&both, "gate"), (Reason::Ended, Some("a-late".into())));
    let (all, _) = Snapshot::compile(&configuration(vec![early(), live(), late()]));
    assert_eq!(ask(&all, "gate"), (Reason::Split, Some("live".into())));
    assert_eq!(ask(&all, "z-early"), (Reason::Completed, Some("z-early".into())));
}

#[test]
fn drafts_do_not_exist() {
    let (snapshot, rejected) = Snapshot::compile(&configuration(vec![experiment()]));
    assert_eq!(rejected, []);
    assert_eq!(ask(&snapshot, "gate").0, Reason::NoExperiment);
    assert_eq!(ask(&snapshot, "gate-test").0, Reason::UnknownFlag);
}

#[test]
fn a_flag_beats_an_experiment_of_the_same_key() {
    let (snapshot, _) = Snapshot::compile(&configuration(vec![
        named("gate", State::Ended(Outcome::NoWinner), Some(1)),
        named("live", State::Running, None),
    ]));
    assert_eq!(ask(&snapshot, "gate"), (Reason::Split, Some("live".into())));
}

#[test]
fn a_broken_experiment_leaves_its_flag_with_the_default() {
    let missing = Some(SegmentKey::new("missing").unwrap());
    let qa = vec![QaOverride {
        unit: user("2"),
        variant: variant_key("nope"),
    }];
    let winner = State::Completed(Outcome::Winner(variant_key("nope")));
    let mut twins = experiment_in(State::Running);
    twins.variants[1].key = variant_key("off");
    let mut mistyped = experiment_in(State::Running);
    mistyped.variants[1].value = Value::Number(1.0);
    let broken = [
        (
            Experiment {
                segment: missing,
                ..experiment_in(State::Running)
            },
            "segment `missing` is missing or rejected",
        ),
        (
            Experiment {
                cohorts: vec![],
                ..experiment_in(State::Running)
            },
            "it has no cohort",
        ),
        (
            Experiment {
                variants: vec![],
                ..experiment_in(State::Running)
            },
            "it has 2 weights for 0 variants",
        ),
        (
            Experiment {
                qa_overrides: qa,
                ..experiment_in(State::Scheduled)
            },
            "it has no variant `nope`",
        ),
        (named("gate-test", winner, Some(2)), "it has no variant `nope`"),
        (twins, "it has two variants `off`"),
        (mistyped, "a value is a number where the flag is a boolean"),
    ];
    for (experiment, reason) in broken {
        let older = named(
            "older",
            State::Archived {
                outcome: Outcome::NoWinner,
                ended: true,
            },
            Some(1),
        );
        let (snapshot, rejected) = Snapshot::compile(&configuration(vec![experiment, older]));
        let expected = Rejected {
            resource: "experiment gate-test".into(),
            reason: reason.into(),
        };
        assert_eq!(rejected, [expected]);
        assert_eq!(ask(&snapshot, "gate"), (Reason::NoExperiment, None));
        assert_eq!(ask(&snapshot, "gate-test"), (Reason::NoExperiment, None));
        assert_eq!(ask(&snapshot, "older").0, Reason::Archived);
    }
}

#[test]
fn a_broken_segment_and_flag_take_only_their_own_with_them() {
    let mut empty = segment("empty", "x", 1.0);
    empty.rules = vec![Condition::AnyOf(vec![rule("x", Operator::Eq, vec![])])];
    let mut other = flag();
    other.key = FlagKey::new("other").unwrap();
    other.segment_overrides = vec![SegmentOverride {
        segment: empty.key.clone(),
        value: Value::Bool(true),
    }];
    let mut mistyped = flag();
    mistyped.key = FlagKey::new("mistyped").unwrap();
    mistyped.unit_overrides = vec![UnitOverride {
        unit: user("1"),
        value: Value::Number(1.0),
    }];
    let on_other = Experiment {
        flag: other.key.clone(),
        ..named("on-other", State::Running, None)
    };

    let mut configuration = configuration(vec![named("live", State::Running, None), on_other]);
    configuration.segments = vec![empty];
    configuration.flags.extend([other, mistyped]);
    let (snapshot, rejected) = Snapshot::compile(&configuration);
    assert_eq!(
        resources(&rejected),
        [
            "segment empty",
            "flag other",
            "flag mistyped",
            "experiment on-other"
        ]
    );
    assert_eq!(ask(&snapshot, "gate").0, Reason::Split);
    assert_eq!(ask(&snapshot, "other").0, Reason::UnknownFlag);
    assert!(snapshot.flags().eq([&flag().key]));
}

#[test]
fn experiments_keep_the_version_of_a_segment_that_they_pinned() {
    let mut first = segment("ios", "platform", "ios");
    first.rules.clear();
    let second = Segment {
        meta: Meta {
            version: 2,
            ..Meta::default()
        },
        ..segment("ios", "platform", "ios")
    };
    let pinned = |version| Experiment {
        segment: Some(SegmentKey::new("ios").unwrap()),
        segment_version: version,
        ..named("live", State::Running, None)
    };
    let reason = |version| {
        let segments = vec![second.clone(), first.clone()];
        let configuration = Configuration {
            segments,
            ..configuration(vec![pinned(version)])
        };
        ask(&Snapshot::compile(&configuration).0, "gate").0
    };
    assert_eq!(reason(Some(1)), Reason::Split);
    assert_eq!(reason(Some(2)), Reason::NotInSegment);
    assert_eq!(reason(None), Reason::NotInSegment);
    assert_eq!(reason(Some(3)), Reason::NoExperiment);
}

/// Segment `key` in `version` that nests the others in these versions.
fn nesting(key: &str, version: u64, nested: &[(&str, u64)]) -> Segment {
    let reference = |&(key, version): &(&str, u64)| {
        Condition::Segment(SegmentReference {
            key: SegmentKey::new(key).unwrap(),
            pinned: None,
            resolved: version,
        })
    };
    Segment {
        rules: nested.iter().map(reference).collect(),
        meta: Meta {
            version,
            ..Meta::default()
        },
        ..segment(key, "x", 1.0)
    }
}

#[test]
fn a_pinned_version_keeps_the_versions_that_it_nests() {
    let platform = |version, value: &str| Segment {
        meta: Meta {
            version,
            ..Meta::default()
        },
        ..segment("platform", "platform", value)
    };
    let running = |version| Experiment {
        segment: Some(SegmentKey::new("outer").unwrap()),
        segment_version: Some(version),
        ..named("live", State::Running, None)
    };
    let reasons = |version| {
        // The nested ones stand behind those that nest them, in the order of keys as on the bus.
        let segments = vec![
            nesting("outer", 1, &[("platform", 1)]),
            nesting("outer", 2, &[("platform", 2)]),
            platform(1, "ios"),
            platform(2, "android"),
        ];
        let configuration = Configuration {
            segments,
            ..configuration(vec![running(version)])
        };
        let (snapshot, rejected) = Snapshot::compile(&configuration);
        assert_eq!(rejected, []);
        ["ios", "android"].map(|platform| {
            let attributes = Attributes::from([("platform".into(), platform.into())]);
            let unit = user("1");
            let answer = assign(&snapshot, "gate", Some(&unit), &attributes, Timestamp::default());
            let carried = answer.segmenting_of(&attributes);
            assert!(!answer.exposes || carried.eq(attributes.iter()));
            answer.reason
        })
    };
    assert_eq!(reasons(1), [Reason::Split, Reason::NotInSegment]);
    assert_eq!(reasons(2), [Reason::NotInSegment, Reason::Split]);
}

#[test]
fn what_nests_itself_or_a_broken_segment_is_rejected_with_it() {
    let mut broken = segment("broken", "x", 1.0);
    broken.rules = vec![rule("x", Operator::Gt, vec!["a".into()])];
    let configuration = Configuration {
        segments: vec![
            nesting("a", 1, &[("b", 1)]),
            nesting("b", 1, &[("a", 1)]),
            broken,
            nesting("on-broken", 1, &[("broken", 1)]),
            nesting("on-nothing", 1, &[("nothing", 3)]),
            nesting("sound", 1, &[]),
        ],
        ..configuration(vec![])
    };
    let (_, rejected) = Snapshot::compile(&configuration);
    let mut found = resources(&rejected);
    found.sort_unstable();
    let expected = [
        "segment a",
        "segment b",
        "segment broken",
        "segment on-broken",
        "segment on-nothing",
    ];
    assert_eq!(found, expected);
    let reason = rejected
        .iter()
        .find(|r| r.resource == "segment on-nothing")
        .map(|r| r.reason.as_str());
    assert_eq!(
        reason,
        Some("`rules[0]`: version 3 of segment `nothing` is missing or rejected")
    );
}

/// All that a snapshot serves, in order of key.
fn fingerprint(snapshot: &Snapshot) -> Vec<String> {
    let mut all: Vec<_> = snapshot
        .by_flag
        .keys()
        .map(|key| format!("{key} {:?}", snapshot.by_flag.get(key)))
        .chain(
            snapshot
                .by_experiment
                .keys()
                .map(|key| format!("{key} {:?}", snapshot.by_experiment.get(key))),
        )
        .collect();
    all.sort();
    all.push(format!("{} {}", snapshot.generation, snapshot.n_remembering));
    all
}

fn state() -> impl Strategy<Value = Option<(State, i64)>> {
    let states = prop_oneof![
        Just(State::Scheduled),
        Just(State::Running),
        Just(State::Draft),
        Just(State::Completed(Outcome::NoWinner)),
        Just(State::Ended(Outcome::Winner(variant_key("on")))),
    ];
    prop::option::of((states, 0_i64..3))
}

proptest! {
    /// However experiments come, change, go and move from flag to flag, the way there makes no difference.
    #[test]
    fn a_revised_snapshot_is_the_one_that_is_compiled(
        steps in prop::collection::vec(prop::collection::vec((0_usize..6, 0_usize..3, state(), any::<bool>()), 1..4), 1..8),
    ) {
        let flag = |i: usize| Flag { key: FlagKey::new(format!("flag-{i}")).unwrap(), ..flag() };
        let mut flags: Vec<Flag> = (0..3).map(flag).collect();
        let mut experiments: HashMap<usize, Experiment> = HashMap::new();
        let everything = |generation, flags: &[Flag], experiments: &HashMap<usize, Experiment>| {
            let (snapshot, rejected) = Snapshot::compile(&Configuration {
                generation,
                flags: flags.to_vec(),
                experiments: experiments.values().cloned().collect(),
                ..Configuration::default()
            });
            assert_eq!(rejected, []);
            snapshot
        };
        let mut snapshot = everything(0, &flags, &experiments);
        for (generation, changes) in (1..).zip(steps) {
            let (mut touched, mut gone) = (BTreeSet::new(), Vec::new());
            for (i, on, change, stored) in changes {
                if let Some(before) = experiments.remove(&i) {
                    touched.insert(before.flag);
                }
                touched.insert(flags[on].key.clone());
                let key = format!("e{i}");
                gone.push(ExperimentKey::new(&*key).unwrap());
                let Some((state, completed)) = change else {
                    flags[on].default_value = Value::Bool(stored);
                    continue;
                };
                let mut changed = Experiment { flag: flags[on].key.clone(), ..named(&key, state, Some(completed)) };
                if stored {
                    changed.traffic.sticky = Sticky::Stored;
                    changed.cohorts.push(changed.cohorts[0].clone());
                }
                experiments.insert(i, changed);
            }
            let groups = flags.iter().filter(|flag| touched.contains(&flag.key)).map(|flag| Group {
                flag,
                experiments: experiments.values().filter(|experiment| experiment.flag == flag.key).collect(),
            });
            let revised = snapshot.revised(generation, groups, &gone).expect("nothing is rejected");
            prop_assert_eq!(fingerprint(&revised), fingerprint(&everything(generation, &flags, &experiments)));
            snapshot = revised;
        }
    }
}

#[test]
fn what_would_be_rejected_is_not_revised() {
    let (snapshot, _) = Snapshot::compile(&configuration(vec![named("live", State::Running, None)]));
    let broken = Experiment {
        cohorts: vec![],
        ..named("live", State::Running, None)
    };
    let flag = flag();
    let group = Group {
        flag: &flag,
        experiments: vec![&broken],
    };
    assert!(snapshot.revised(2, [group], []).is_none());
}
