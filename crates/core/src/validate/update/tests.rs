use std::time::Duration;

use super::*;
use crate::{
    experiment::{AssignmentSource, ExposureMode, QaOverride},
    fixtures::{experiment_in, user, variant_key},
    hashing::Algorithm,
    key::{FlagKey, LayerKey, UnitKind},
    lifecycle::{Outcome, PauseMode},
    schedule::EndAction,
    time::Timestamp,
    traffic::{Eligibility, InLayer, Prerequisite, Sticky},
    validate::tests::{NOW, ios, one, owned, weights},
    value::Value,
    weights::Coverage,
};

type Edit = (&'static str, fn(&mut Experiment));

/// One edit of every field that people edit.
const EDITS: [Edit; 24] = [
    ("name", |e| e.name.push('x')),
    ("description", |e| e.description.push('x')),
    ("hypothesis", |e| e.hypothesis.push('x')),
    ("owner", |e| e.owner.push('x')),
    ("tags", |e| e.tags.clear()),
    ("flag_key", |e| e.flag = FlagKey::new("other").unwrap()),
    ("assignment_source", |e| e.source = AssignmentSource::Imported),
    ("unit_kind", |e| e.unit_kind = UnitKind::new("device").unwrap()),
    ("variants", |e| e.variants[0].value = Value::Bool(true)),
    ("qa_overrides", |e| {
        e.qa_overrides.push(QaOverride {
            unit: user("1"),
            variant: variant_key("on"),
        })
    }),
    ("exposure_mode", |e| e.exposure = ExposureMode::None),
    ("metrics", |e| e.metrics.clear()),
    ("confidence", |e| e.confidence = 0.9),
    ("variants.weight", |e| e.cohorts = weights(&[1, 9_999])),
    ("coverage", |e| e.coverage = Coverage::new(5_000).unwrap()),
    ("segment_key", |e| e.segment = ios()),
    ("sticky", |e| e.traffic.sticky = Sticky::Stored),
    ("eligibility", |e| {
        e.traffic.eligibility = Eligibility::AtEnrollment
    }),
    ("layer_key", |e| {
        e.traffic.layer = Some(InLayer::new(LayerKey::new("checkout").unwrap()))
    }),
    ("prerequisites", |e| {
        e.traffic.prerequisites.push(Prerequisite {
            flag: FlagKey::new("other").unwrap(),
            value: Value::Bool(true),
        })
    }),
    ("hashing", |e| {
        e.traffic.hashing.algorithm = Algorithm::Eppo {
            salt: "s".into(),
            traffic_salt: "t".into(),
            shards: vec![],
        }
    }),
    ("start_time", |e| e.start_time = Some(Timestamp::MIN)),
    ("end_time", |e| {
        e.end_time = Some(NOW.plus(Duration::from_secs(1)))
    }),
    ("end_action", |e| e.schedule.end_action = EndAction::NotifyOnly),
];

fn dated(state: State) -> Experiment {
    Experiment {
        start_time: Some(Timestamp::default()),
        end_time: Some(NOW),
        ..experiment_in(state)
    }
}

/// The fields that may be edited alone in `state`.
fn editable(state: State) -> Vec<&'static str> {
    let current = dated(state);
    let may = |(field, edit): &Edit| {
        let mut updated = current.clone();
        edit(&mut updated);
        let errors = owned(update(&current, &updated));
        assert!(
            errors.is_empty() || errors == one(field, "CONFIG_LOCKED"),
            "{errors:?}"
        );
        errors.is_empty()
    };
    EDITS
        .iter()
        .filter(|edit| may(edit))
        .map(|(field, _)| *field)
        .collect()
}

#[test]
fn what_is_editable_depends_on_the_state() {
    assert_eq!(editable(State::Draft), EDITS.map(|(field, _)| field));
    let scheduled = [
        "name",
        "description",
        "owner",
        "tags",
        "qa_overrides",
        "start_time",
        "end_time",
        "end_action",
    ];
    assert_eq!(editable(State::Scheduled), scheduled);
    let running = ["name", "description", "owner", "tags", "qa_overrides", "end_time"];
    assert_eq!(editable(State::Running), running);
    assert_eq!(editable(State::Paused(PauseMode::ServeDefault)), running);
    assert_eq!(editable(State::Completed(Outcome::NoWinner)), [""; 0]);
    assert_eq!(editable(State::Ended(Outcome::NoWinner)), [""; 0]);
}

#[test]
fn all_locked_fields_are_named_at_once() {
    let current = dated(State::Ended(Outcome::NoWinner));
    let mut updated = current.clone();
    for (_, edit) in EDITS {
        edit(&mut updated);
    }
    let fields = update(&current, &updated)
        .errors
        .into_iter()
        .map(|violation| violation.field);
    assert!(fields.eq(EDITS.map(|(field, _)| field)));
}

#[test]
fn while_running_the_end_moves_later_and_coverage_grows() {
    let half = Coverage::new(5_000).unwrap();
    let current = Experiment {
        coverage: half,
        ..dated(State::Running)
    };
    let errors = |change: fn(&mut Experiment)| {
        let mut updated = current.clone();
        change(&mut updated);
        owned(update(&current, &updated))
    };
    assert_eq!(errors(|e| e.coverage = Coverage::FULL), []);
    assert_eq!(
        errors(|e| e.coverage = Coverage::new(4_999).unwrap()),
        one("coverage", "CONFIG_LOCKED")
    );
    assert_eq!(
        errors(|e| e.end_time = Some(Timestamp::default())),
        one("end_time", "CONFIG_LOCKED")
    );
    assert_eq!(errors(|e| e.end_time = None), one("end_time", "CONFIG_LOCKED"));
}

#[test]
fn fixed_dates_stay_and_a_moved_end_lies_ahead() {
    let errors = |state, change: fn(&mut Experiment)| {
        let current = dated(state);
        let mut updated = current.clone();
        change(&mut updated);
        owned(moved_dates(&current, &updated, NOW))
    };
    let clear = |e: &mut Experiment| (e.start_time, e.end_time) = (None, None);
    let both = [
        ("start_time".into(), "DATE_REQUIRED"),
        ("end_time".into(), "DATE_REQUIRED"),
    ];
    assert_eq!(errors(State::Scheduled, clear), both);
    assert_eq!(errors(State::Draft, clear), []);
    let past = |e: &mut Experiment| e.end_time = Some(Timestamp::from_micros(1));
    assert_eq!(
        errors(State::Scheduled, past),
        one("end_time", "END_TIME_IN_PAST")
    );
    assert_eq!(errors(State::Draft, past), []);
    let ahead = |e: &mut Experiment| e.end_time = Some(NOW.plus(Duration::from_secs(1)));
    assert_eq!(errors(State::Running, ahead), []);
    assert_eq!(
        errors(State::Running, |e| e.name.push('x')),
        [],
        "an end that has passed may stay"
    );
}

#[test]
fn what_commands_write_is_not_compared() {
    let current = dated(State::Running);
    let updated = Experiment {
        salt: "other".into(),
        reason: "x".into(),
        completed_at: Some(NOW),
        ..current.clone()
    };
    assert_eq!(update(&current, &updated), Findings::default());
}
