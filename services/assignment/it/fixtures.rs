//! Small, valid resources.

use assay_core::{
    experiment::{AssignmentSource, Cohort, Experiment, ExposureMode, Variant},
    flag::{Flag, Meta, SegmentOverride, UnitOverride, Variation},
    key::{ExperimentKey, FlagKey, Namespace, SegmentKey, Unit, UnitKind, VariantKey},
    lifecycle::State,
    schedule::Schedule,
    segment::{Condition, Operator, Rule, Segment},
    value::{Value, ValueType},
    weights::{Coverage, Weights},
};
use assay_proto::bus::Published;

pub(crate) fn flag(key: &str) -> Flag {
    let variation = |key, value| Variation {
        key: VariantKey::new(key).unwrap(),
        name: String::new(),
        value: Value::Bool(value),
    };
    Flag {
        namespace: Namespace::default(),
        key: FlagKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        value_type: ValueType::Boolean,
        variations: vec![variation("off", false), variation("on", true)],
        default_value: Value::Bool(false),
        segment_overrides: vec![],
        unit_overrides: vec![],
        target_path: None,
        held_defaults: Vec::new(),
        meta: meta(1),
    }
}

pub(crate) fn overridden(key: &str, unit: &str) -> Flag {
    let unit = Unit::user(unit).unwrap();
    Flag {
        unit_overrides: vec![UnitOverride {
            unit,
            value: Value::Bool(true),
        }],
        held_defaults: Vec::new(),
        ..flag(key)
    }
}

pub(crate) fn overridden_for(key: &str, segment: &str) -> Flag {
    let segment = SegmentKey::new(segment).unwrap();
    Flag {
        segment_overrides: vec![SegmentOverride {
            segment,
            value: Value::Bool(true),
        }],
        ..flag(key)
    }
}

/// The experiment `<flag>-test` on `flag`: off and on, half each.
pub(crate) fn experiment(flag: &str, state: State) -> Experiment {
    let variant = |key, value| Variant {
        key: VariantKey::new(key).unwrap(),
        name: String::new(),
        value: Value::Bool(value),
    };
    Experiment {
        namespace: Namespace::default(),
        key: ExperimentKey::new(format!("{flag}-test")).unwrap(),
        name: String::new(),
        description: String::new(),
        hypothesis: String::new(),
        owner: String::new(),
        tags: vec![],
        flag: FlagKey::new(flag).unwrap(),
        state,
        source: AssignmentSource::Assay,
        unit_kind: UnitKind::default(),
        variants: vec![variant("off", false), variant("on", true)],
        cohorts: vec![Cohort {
            number: 1,
            weights: Weights::even(2),
            generation: 1,
        }],
        coverage: Coverage::FULL,
        salt: "7f3c9b5e".into(),
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
        schedule: Schedule::default(),
        undo: None,
        meta: meta(1),
    }
}

/// Country is NL.
pub(crate) fn segment(key: &str) -> Segment {
    Segment {
        namespace: Namespace::default(),
        key: SegmentKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        rules: vec![Condition::Rule(Rule {
            attribute: "country".into(),
            operator: Operator::Eq,
            operands: vec!["NL".into()],
        })],
        meta: meta(1),
    }
}

fn meta(version: u64) -> Meta {
    Meta {
        version,
        ..Meta::default()
    }
}

/// The running experiment `gate-test` on the flag `gate`, in both resources.
pub(crate) fn gate() -> Vec<Published> {
    vec![
        Published::Flag(flag("gate")),
        Published::Experiment(experiment("gate", State::Running)),
    ]
}
