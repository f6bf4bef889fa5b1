use assay_core::{
    assign::assign,
    experiment::{AssignmentSource, Cohort, Experiment, ExposureMode, QaOverride, Variant},
    flag::{Flag, Meta, UnitOverride, Variation},
    key::{ExperimentKey, FlagKey, Namespace, Unit, UnitKind, VariantKey},
    lifecycle::{Outcome, PauseMode, State},
    schedule::Schedule,
    snapshot::Configuration,
    time::Timestamp,
    value::Attributes,
    weights::{Coverage, Weights},
};
use serde_json::json;

use super::*;

fn key(key: &str) -> VariantKey {
    VariantKey::new(key).unwrap()
}

/// The flag `gate` with two variations, `off` first.
fn flag(off: Value, on: Value) -> Flag {
    let variation = |name, value| Variation {
        key: key(name),
        name: String::new(),
        value,
    };
    Flag {
        namespace: Namespace::default(),
        key: FlagKey::new("gate").unwrap(),
        name: String::new(),
        description: String::new(),
        value_type: off.value_type(),
        default_value: off.clone(),
        variations: vec![variation("off", off), variation("on", on)],
        segment_overrides: Vec::new(),
        unit_overrides: Vec::new(),
        held_defaults: Vec::new(),
        target_path: None,
        meta: Meta::default(),
    }
}

fn gate() -> Flag {
    flag(Value::Bool(false), Value::Bool(true))
}

/// On `gate`; everybody gets `on`.
fn experiment(state: State) -> Experiment {
    let variant = |name, value| Variant {
        key: key(name),
        name: String::new(),
        value: Value::Bool(value),
    };
    Experiment {
        namespace: Namespace::default(),
        key: ExperimentKey::new("gate-test").unwrap(),
        name: String::new(),
        description: String::new(),
        hypothesis: String::new(),
        owner: String::new(),
        tags: Vec::new(),
        flag: FlagKey::new("gate").unwrap(),
        state,
        source: AssignmentSource::Assay,
        unit_kind: UnitKind::default(),
        variants: vec![variant("off", false), variant("on", true)],
        cohorts: vec![Cohort {
            number: 1,
            weights: Weights::new(vec![0, 10_000]).unwrap(),
            generation: 1,
        }],
        coverage: Coverage::FULL,
        salt: "7f3c9b5e".into(),
        segment: None,
        segment_version: None,
        metrics: Vec::new(),
        exposure: ExposureMode::OnAssign,
        confidence: 0.95,
        qa_overrides: Vec::new(),
        traffic: Default::default(),
        start_time: None,
        end_time: None,
        completed_at: None,
        pauses: Vec::new(),
        reason: String::new(),
        schedule: Schedule::default(),
        undo: None,
        meta: Meta::default(),
    }
}

fn winner() -> Experiment {
    experiment(State::Completed(Outcome::Winner(key("on"))))
}

/// Whom a question is for, and when.
#[derive(Clone, Copy)]
struct Who {
    unit: Option<&'static str>,
    is_settled: bool,
}

const KNOWN: Who = Who {
    unit: Some("u1"),
    is_settled: true,
};

type Answer = Result<(Value, String, &'static str), Problem>;

fn ask(flag: Flag, experiment: Option<Experiment>, asked: Asked, who: Who) -> Answer {
    let configuration = Configuration {
        flags: vec![flag],
        experiments: experiment.into_iter().collect(),
        ..Configuration::default()
    };
    let (snapshot, _) = Snapshot::compile(&configuration);
    let unit = who.unit.map(|id| Unit::user(id).unwrap());
    let decided = assign(
        &snapshot,
        "gate",
        unit.as_ref(),
        &Attributes::new(),
        Timestamp::default(),
    );
    let circumstances = Circumstances {
        has_unit: unit.is_some(),
        is_settled: who.is_settled,
    };
    let told = tell(&snapshot, "gate", asked, &decided, circumstances)?;
    Ok((told.value.clone(), told.variant.to_owned(), told.reason.name()))
}

fn boolean(experiment: Option<Experiment>, who: Who) -> Answer {
    ask(gate(), experiment, Asked::Boolean, who)
}

fn is(value: bool, variant: &str, reason: &'static str) -> Answer {
    Ok((Value::Bool(value), variant.to_owned(), reason))
}

#[test]
fn each_state_has_its_reason_and_a_variant() {
    let archived = State::Archived {
        outcome: Outcome::NoWinner,
        ended: true,
    };
    let states = [
        (State::Draft, is(false, "off", "DEFAULT")),
        (State::Scheduled, is(false, "off", "DEFAULT")),
        (State::Running, is(true, "on", "SPLIT")),
        (
            State::Paused(PauseMode::ServeDefault),
            is(false, "off", "DEFAULT"),
        ),
        (
            State::Paused(PauseMode::HoldEnrollment),
            is(false, "off", "DEFAULT"),
        ),
        (State::Completed(Outcome::Pending), is(false, "off", "DEFAULT")),
        (State::Completed(Outcome::NoWinner), is(false, "off", "DEFAULT")),
        (
            State::Completed(Outcome::Winner(key("on"))),
            is(true, "on", "STATIC"),
        ),
        (State::Ended(Outcome::NoWinner), is(false, "off", "DEFAULT")),
        (archived, is(false, "off", "DEFAULT")),
    ];
    for (state, expected) in states {
        let told = boolean(Some(experiment(state.clone())), KNOWN);
        assert_eq!(told, expected, "{state:?}");
    }
    assert_eq!(boolean(None, KNOWN), is(false, "off", "DEFAULT"));
    let uncovered = Experiment {
        coverage: Coverage::new(0).unwrap(),
        ..experiment(State::Running)
    };
    assert_eq!(boolean(Some(uncovered), KNOWN), is(false, "off", "DEFAULT"));
}

#[test]
fn an_override_is_a_match_with_its_variant_or_with_that_name() {
    let unit = Unit::user("u1").unwrap();
    let tried = Experiment {
        qa_overrides: vec![QaOverride {
            unit: unit.clone(),
            variant: key("on"),
        }],
        ..experiment(State::Scheduled)
    };
    assert_eq!(boolean(Some(tried), KNOWN), is(true, "on", "TARGETING_MATCH"));
    let value = Value::Bool(true);
    let overridden = Flag {
        unit_overrides: vec![UnitOverride { unit, value }],
        ..gate()
    };
    let told = ask(overridden, None, Asked::Boolean, KNOWN);
    assert_eq!(told, is(true, "override", "TARGETING_MATCH"));
}

#[test]
fn a_winner_is_static_only_when_it_is_everyones_and_served_everywhere() {
    let young = Who {
        is_settled: false,
        ..KNOWN
    };
    assert_eq!(boolean(Some(winner()), young), is(true, "on", "TARGETING_MATCH"));
    let nobody = Who { unit: None, ..KNOWN };
    assert_eq!(boolean(Some(winner()), nobody), is(true, "on", "STATIC"));
    let other = Flag {
        unit_overrides: vec![UnitOverride {
            unit: Unit::user("u9").unwrap(),
            value: Value::Bool(false),
        }],
        ..gate()
    };
    let told = ask(other, Some(winner()), Asked::Boolean, KNOWN);
    assert_eq!(
        told,
        is(true, "on", "TARGETING_MATCH"),
        "one unit gets something else"
    );
}

#[test]
fn a_targeting_key_is_missed_only_where_a_unit_decides() {
    let nobody = Who { unit: None, ..KNOWN };
    let running = || Some(experiment(State::Running));
    assert_eq!(boolean(running(), nobody), Err(Problem::TargetingKeyMissing));
    let paused = experiment(State::Paused(PauseMode::ServeDefault));
    assert_eq!(boolean(Some(paused), nobody), is(false, "off", "DEFAULT"));
    assert_eq!(boolean(None, nobody), is(false, "off", "DEFAULT"));
    let devices = Experiment {
        unit_kind: UnitKind::new("device").unwrap(),
        ..experiment(State::Running)
    };
    assert_eq!(
        boolean(Some(devices), KNOWN),
        is(false, "off", "DEFAULT"),
        "another kind"
    );
}

#[test]
fn only_lossless_numbers_and_objects_pass_as_another_type() {
    let number = |number: f64, asked| {
        let flag = flag(Value::Number(number), Value::Number(1.0));
        ask(flag, None, asked, KNOWN).map(|(value, _, _)| value)
    };
    for zero in [0.0, 3.0, -9_007_199_254_740_992.0] {
        assert_eq!(number(zero, Asked::Int), Ok(Value::Number(zero)));
        assert_eq!(number(zero, Asked::Float), Ok(Value::Number(zero)));
    }
    let mismatch = |is, asked| Err(Problem::TypeMismatch { is, asked });
    for lossy in [0.5, 1e300] {
        assert_eq!(number(lossy, Asked::Int), mismatch(ValueType::Number, Asked::Int));
    }
    let list = || flag(Value::Json(json!([1])), Value::Json(json!({})));
    let told = ask(list(), None, Asked::Object, KNOWN).map(|_| Value::Bool(true));
    assert_eq!(told, mismatch(ValueType::Json, Asked::Object));
    assert!(ask(list(), None, Asked::Any, KNOWN).is_ok());
    for asked in [Asked::String, Asked::Float, Asked::Int, Asked::Object] {
        let told = ask(gate(), None, asked, KNOWN).map(|_| Value::Bool(true));
        assert_eq!(told, mismatch(ValueType::Boolean, asked));
    }
    let told = ask(
        gate(),
        Some(experiment(State::Running)),
        Asked::String,
        Who { unit: None, ..KNOWN },
    );
    assert_eq!(
        told,
        Err(Problem::TypeMismatch {
            is: ValueType::Boolean,
            asked: Asked::String
        })
    );
}

#[test]
fn a_broken_flag_is_not_an_unknown_one() {
    let broken = Flag {
        default_value: Value::Number(1.0),
        ..gate()
    };
    assert_eq!(ask(broken, None, Asked::Any, KNOWN), Err(Problem::ParseError));
    let elsewhere = Flag {
        key: FlagKey::new("lever").unwrap(),
        ..gate()
    };
    assert_eq!(
        ask(elsewhere, None, Asked::Any, KNOWN),
        Err(Problem::FlagNotFound)
    );
}
