use std::collections::BTreeMap;

use crate::{
    experiment::Experiment,
    fixtures::{experiment_in, flag, segment, user, variant_key},
    flag::{Flag, SegmentOverride, UnitOverride},
    key::FlagKey,
    lifecycle::{Outcome, State},
    snapshot::{Change, Configuration, Snapshot},
    traffic::Prerequisite,
    value::{Value, ValueType},
};

fn compile(flags: Vec<Flag>, experiments: Vec<Experiment>) -> Snapshot {
    let configuration = Configuration {
        flags,
        experiments,
        segments: vec![segment("dutch", "country", "NL")],
        ..Configuration::default()
    };
    Snapshot::compile(&configuration).0
}

fn winner() -> Experiment {
    experiment_in(State::Completed(Outcome::Winner(variant_key("on"))))
}

fn named(key: &str, version: u64) -> Flag {
    let mut flag = Flag {
        key: FlagKey::new(key).unwrap(),
        ..flag()
    };
    flag.meta.version = version;
    flag
}

fn changes(newer: &Snapshot, older: &Snapshot) -> Vec<(String, Change)> {
    let changes: BTreeMap<_, _> = newer.changes_since(older);
    let named = changes.into_iter().map(|(key, change)| (key.to_string(), change));
    named.collect()
}

#[test]
fn a_flag_is_described_by_its_type_its_control_and_whether_it_splits() {
    let bare = compile(vec![flag()], vec![]);
    let described = bare.describe("gate").unwrap();
    assert_eq!(described.value_type, ValueType::Boolean);
    assert_eq!(described.first_variation, Some(&variant_key("off")));
    assert!(!described.splits && described.everyone.is_none());
    let running = compile(vec![flag()], vec![experiment_in(State::Running)]);
    assert!(running.describe("gate").unwrap().splits);
    assert_eq!(running.describe("nowhere"), None);
}

#[test]
fn a_winner_is_everyones_only_while_nothing_looks_at_the_unit() {
    let plain = compile(vec![flag()], vec![winner()]);
    let everyone = plain.describe("gate").unwrap().everyone;
    assert_eq!(everyone, Some((&variant_key("on"), &Value::Bool(true))));
    let by_unit = Flag {
        unit_overrides: vec![UnitOverride {
            unit: user("1"),
            value: Value::Bool(false),
        }],
        ..flag()
    };
    let by_segment = Flag {
        segment_overrides: vec![SegmentOverride {
            segment: crate::key::SegmentKey::new("dutch").unwrap(),
            value: Value::Bool(false),
        }],
        ..flag()
    };
    for looks in [by_unit, by_segment] {
        let snapshot = compile(vec![looks], vec![winner()]);
        assert_eq!(snapshot.describe("gate").unwrap().everyone, None);
    }
}

#[test]
fn what_was_published_again_unchanged_is_no_change() {
    let before = compile(vec![named("gate", 1), named("lever", 1)], vec![]);
    let after = compile(vec![named("gate", 2), named("lever", 1)], vec![]);
    assert_eq!(changes(&before, &before), []);
    assert_eq!(changes(&after, &before), [("gate".to_owned(), Change::Updated)]);
    let other = compile(vec![named("lever", 1), named("new", 1)], vec![]);
    let expected = [
        ("gate".to_owned(), Change::Removed),
        ("new".to_owned(), Change::Added),
    ];
    assert_eq!(changes(&other, &before), expected);
}

#[test]
fn a_flag_changes_with_its_experiment_and_with_the_flags_it_looks_at() {
    let mut follower = Experiment {
        flag: FlagKey::new("lever").unwrap(),
        ..experiment_in(State::Running)
    };
    follower.traffic.prerequisites = vec![Prerequisite {
        flag: FlagKey::new("gate").unwrap(),
        value: Value::Bool(true),
    }];
    let flags = || vec![named("gate", 1), named("lever", 1), named("other", 1)];
    let before = compile(flags(), vec![follower.clone()]);
    let mut moved = flags();
    moved[0].meta.version = 2;
    let after = compile(moved, vec![follower.clone()]);
    let expected = [
        ("gate".to_owned(), Change::Updated),
        ("lever".to_owned(), Change::Updated),
    ];
    assert_eq!(changes(&after, &before), expected);
    follower.meta.version += 1;
    let paused = compile(flags(), vec![follower]);
    assert_eq!(changes(&paused, &before), [("lever".to_owned(), Change::Updated)]);
}

#[test]
fn a_flag_that_cannot_be_served_is_quarantined_and_no_other() {
    let broken = Flag {
        default_value: Value::Number(1.0),
        ..flag()
    };
    let mut snapshot = compile(vec![broken, named("lever", 1)], vec![]);
    assert!(snapshot.is_quarantined("gate") && !snapshot.is_quarantined("nowhere"));
    for key in ["lever", "unread"] {
        snapshot.quarantine(FlagKey::new(key).unwrap());
    }
    assert!(snapshot.is_quarantined("unread") && !snapshot.is_quarantined("lever"));
}
