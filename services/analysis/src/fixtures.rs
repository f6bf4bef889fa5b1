//! What tests of this crate analyze.

use assay_core::{
    experiment::{AssignmentSource, Cohort, Experiment, ExperimentMetric, ExposureMode, Role, Variant},
    flag::Meta,
    key::{ExperimentKey, FlagKey, MetricKey, Namespace, UnitKind, VariantKey},
    lifecycle::State,
    metric::{Direction, Metric, MetricKind},
    schedule::Schedule,
    value::Value,
    weights::{Coverage, Weights},
};

use crate::definitions::Measured;

/// A metric that is better when it is larger.
pub(crate) fn metric(key: &str, kind: MetricKind) -> Metric {
    Metric {
        namespace: Namespace::default(),
        key: MetricKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        kind,
        direction: Direction::Increase,
        unit: String::new(),
        cap_micros: None,
        meta: Meta::default(),
    }
}

/// `metric` in this role.
pub(crate) fn measured(role: Role, metric: Metric) -> Measured {
    Measured::new(ExperimentMetric::new(metric.key.clone(), role), metric).unwrap()
}

/// A running experiment `gate` with an even split of `variants`.
pub(crate) fn experiment(variants: &[&str]) -> Experiment {
    let variant = |key: &&str| Variant {
        key: VariantKey::new(*key).unwrap(),
        name: String::new(),
        value: Value::Bool(true),
    };
    Experiment {
        namespace: Namespace::default(),
        key: ExperimentKey::new("gate").unwrap(),
        name: String::new(),
        description: String::new(),
        hypothesis: String::new(),
        owner: String::new(),
        tags: vec![],
        flag: FlagKey::new("gate").unwrap(),
        state: State::Running,
        source: AssignmentSource::Assay,
        unit_kind: UnitKind::default(),
        variants: variants.iter().map(variant).collect(),
        cohorts: vec![Cohort {
            number: 1,
            weights: Weights::even(variants.len()),
            generation: 1,
        }],
        coverage: Coverage::FULL,
        salt: "s".into(),
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
        meta: Meta::default(),
    }
}
