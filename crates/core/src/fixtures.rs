//! Small, valid resources for tests.

use crate::{
    experiment::{AssignmentSource, Cohort, Experiment, ExperimentMetric, ExposureMode, Role, Variant},
    flag::{Flag, Meta, Variation},
    holdout::{Holdout, Scope},
    key::{
        ExperimentKey, FlagKey, HoldoutKey, LayerKey, MetricKey, Namespace, SegmentKey, Unit, UnitKind,
        VariantKey,
    },
    layer::Layer,
    lifecycle::State,
    metric::{Direction, Metric, MetricKind},
    schedule::Schedule,
    segment::{Condition, Operator, Rule, Segment},
    traffic::Traffic,
    value::{Attribute, Value, ValueType},
    weights::{Coverage, Weights},
};

pub(crate) fn variant_key(key: &str) -> VariantKey {
    VariantKey::new(key).unwrap()
}

pub(crate) fn user(id: &str) -> Unit {
    Unit::user(id).unwrap()
}

/// The boolean flag `gate`: off, on.
pub(crate) fn flag() -> Flag {
    let variation = |key, value| Variation {
        key: variant_key(key),
        name: String::new(),
        value: Value::Bool(value),
    };
    Flag {
        namespace: Namespace::default(),
        key: FlagKey::new("gate").unwrap(),
        name: "Gate".into(),
        description: String::new(),
        value_type: ValueType::Boolean,
        variations: vec![variation("off", false), variation("on", true)],
        default_value: Value::Bool(false),
        segment_overrides: vec![],
        unit_overrides: vec![],
        target_path: None,
        held_defaults: vec![],
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    }
}

/// The draft `gate-test` on `gate`: off and on, half each, everyone, one conversion.
pub(crate) fn experiment() -> Experiment {
    let variant = |key, value| Variant {
        key: variant_key(key),
        name: String::new(),
        value: Value::Bool(value),
    };
    Experiment {
        namespace: Namespace::default(),
        key: ExperimentKey::new("gate-test").unwrap(),
        name: "Gate test".into(),
        description: String::new(),
        hypothesis: "A gate keeps players longer".into(),
        owner: "ada".into(),
        tags: vec!["gates".into()],
        flag: FlagKey::new("gate").unwrap(),
        state: State::Draft,
        source: AssignmentSource::Assay,
        unit_kind: UnitKind::default(),
        variants: vec![variant("off", false), variant("on", true)],
        cohorts: vec![Cohort {
            number: 1,
            weights: Weights::even(2),
            generation: 0,
        }],
        coverage: Coverage::FULL,
        salt: "7f3c9b5e".into(),
        segment: None,
        segment_version: None,
        metrics: vec![ExperimentMetric::new(
            MetricKey::new("purchase").unwrap(),
            Role::Primary,
        )],
        exposure: ExposureMode::OnAssign,
        confidence: 0.95,
        qa_overrides: vec![],
        traffic: Traffic::default(),
        start_time: None,
        end_time: None,
        completed_at: None,
        pauses: vec![],
        reason: String::new(),
        schedule: Schedule::default(),
        undo: None,
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    }
}

pub(crate) fn experiment_in(state: State) -> Experiment {
    Experiment {
        state,
        ..experiment()
    }
}

/// The metric `key`: whether there was a `purchase` within a day.
pub(crate) fn metric(key: &str) -> Metric {
    Metric {
        namespace: Namespace::default(),
        key: MetricKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        kind: MetricKind::Conversion {
            event: "purchase".into(),
            filters: vec![],
            window: Some(std::time::Duration::from_secs(86_400)),
        },
        direction: Direction::Increase,
        unit: String::new(),
        cap_micros: None,
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    }
}

/// The condition `attribute operator operands`.
pub(crate) fn rule(attribute: &str, operator: Operator, operands: Vec<Attribute>) -> Condition {
    Condition::Rule(Rule {
        attribute: attribute.into(),
        operator,
        operands,
    })
}

/// The segment `key`: attribute `name` equals `value`.
pub(crate) fn segment(key: &str, name: &str, value: impl Into<Attribute>) -> Segment {
    Segment {
        namespace: Namespace::default(),
        key: SegmentKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        rules: vec![rule(name, Operator::Eq, vec![value.into()])],
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    }
}

/// The empty layer `key` for users.
pub(crate) fn layer(key: &str) -> Layer {
    Layer {
        namespace: Namespace::default(),
        key: LayerKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        unit_kind: UnitKind::default(),
        salt: "5a17".into(),
        cooldown: crate::layer::DEFAULT_COOLDOWN,
        allocations: vec![],
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    }
}

/// The holdout `key` of a tenth of the namespace's users.
pub(crate) fn holdout(key: &str) -> Holdout {
    Holdout {
        namespace: Namespace::default(),
        key: HoldoutKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        unit_kind: UnitKind::default(),
        share: Coverage::new(1_000).unwrap(),
        salt: "b01d".into(),
        scope: Scope::Namespace,
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    }
}
