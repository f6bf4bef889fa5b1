//! Resources to try a store with: small ones, and one of each kind with every field in use.

use std::time::Duration;

use assay_core::{
    experiment::{
        AssignmentSource, Cohort, Experiment, ExperimentMetric, ExposureMode, Pause, QaOverride, Role,
        Variant,
    },
    flag::{Flag, HeldDefault, Meta, SegmentOverride, TargetPath, UnitOverride, Variation},
    hashing::Hashing,
    holdout::{Holdout, Scope},
    key::{
        ExperimentKey, FlagKey, HoldoutKey, LayerKey, MetricKey, Namespace, SegmentKey, Unit, UnitKind,
        VariantKey,
    },
    layer::{Allocation, BucketRange, Layer},
    lifecycle::{Outcome, PauseMode, State},
    metric::{Aggregation, Direction, Metric, MetricKind, Quantity},
    schedule::{EndAction, Schedule},
    segment::{Condition, Operator, Rule, Segment, SegmentReference},
    time::Timestamp,
    traffic::{Eligibility, InLayer, Opening, Prerequisite, Sticky, Traffic},
    undo::{FlagBefore, Undo},
    value::{Attribute, Value, ValueType},
    weights::{Coverage, Weights},
};

use crate::config_store::Resource;

const WELL: &str = "samples are well formed";

/// A boolean flag.
pub fn flag(namespace: &Namespace, key: &str) -> Resource {
    Resource::Flag(Flag {
        namespace: namespace.clone(),
        key: FlagKey::new(key).expect(WELL),
        name: String::new(),
        description: String::new(),
        value_type: ValueType::Boolean,
        variations: vec![
            variation("off", Value::Bool(false)),
            variation("on", Value::Bool(true)),
        ],
        default_value: Value::Bool(false),
        segment_overrides: vec![],
        unit_overrides: vec![],
        target_path: None,
        held_defaults: vec![],
        meta: Meta::default(),
    })
}

/// The flag `key` with the description `text`.
pub fn described(namespace: &Namespace, key: &str, text: &str) -> Resource {
    match flag(namespace, key) {
        Resource::Flag(flag) => Resource::Flag(Flag {
            description: text.to_owned(),
            ..flag
        }),
        other => other,
    }
}

/// An experiment on `flag` in `state`.
pub fn experiment(namespace: &Namespace, key: &str, flag: &str, state: State) -> Experiment {
    Experiment {
        namespace: namespace.clone(),
        key: ExperimentKey::new(key).expect(WELL),
        name: String::new(),
        description: String::new(),
        hypothesis: String::new(),
        owner: String::new(),
        tags: vec![],
        flag: FlagKey::new(flag).expect(WELL),
        state,
        source: AssignmentSource::Assay,
        unit_kind: UnitKind::default(),
        variants: vec![
            variant("off", Value::Bool(false)),
            variant("on", Value::Bool(true)),
        ],
        cohorts: vec![Cohort {
            number: 1,
            weights: Weights::even(2),
            generation: 0,
        }],
        coverage: Coverage::FULL,
        salt: "salt".into(),
        segment: None,
        segment_version: None,
        metrics: vec![],
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
        meta: Meta::default(),
    }
}

/// One resource of each kind and shape, with every field in use.
pub fn full(namespace: &Namespace) -> Vec<Resource> {
    let experiments = states()
        .into_iter()
        .enumerate()
        .map(|(i, state)| full_experiment(namespace, i, state));
    let metrics = [
        MetricKind::Conversion {
            event: "purchase".into(),
            filters: filters(),
            window: Some(Duration::from_secs(7 * 86_400)),
        },
        MetricKind::Retention {
            event: None,
            filters: vec![],
            day: 7,
            width_days: 1,
        },
        MetricKind::Scalar {
            quantity: Quantity::new("purchase", Aggregation::Last),
            window: None,
        },
        MetricKind::Ratio {
            numerator: Quantity {
                filters: filters(),
                value_property: Some("amount".into()),
                ..Quantity::new("purchase", Aggregation::Sum)
            },
            denominator: Quantity::new("visit", Aggregation::Count),
            window: Some(Duration::from_secs(86_400)),
        },
        MetricKind::Quantile {
            quantity: Quantity::new("load", Aggregation::Max),
            quantile: 0.95,
            window: None,
        },
    ];
    let metrics = metrics
        .into_iter()
        .enumerate()
        .map(|(i, kind)| full_metric(namespace, i, kind));
    let alone = [
        full_flag(namespace),
        full_segment(namespace),
        full_layer(namespace),
        full_holdout(namespace),
    ];
    alone.into_iter().chain(metrics).chain(experiments).collect()
}

fn states() -> Vec<State> {
    let winner = Outcome::Winner(VariantKey::new("on").expect(WELL));
    vec![
        State::Paused(PauseMode::HoldEnrollment),
        State::Draft,
        State::Scheduled,
        State::Running,
        State::Completed(Outcome::Pending),
        State::Ended(Outcome::NoWinner),
        State::Archived {
            outcome: winner,
            ended: true,
        },
    ]
}

fn full_flag(namespace: &Namespace) -> Resource {
    Resource::Flag(Flag {
        namespace: namespace.clone(),
        key: FlagKey::new("full.flag").expect(WELL),
        name: "Gate \"30\" 🎮".into(),
        description: "Two lines,\nand a NUL: \u{0}".into(),
        value_type: ValueType::Json,
        variations: vec![
            variation(
                "control",
                Value::Json(serde_json::json!({"gate": 30, "ratio": 0.1, "deep": [null, true, "x"]})),
            ),
            variation("text", Value::String("ключ".into())),
            variation("number", Value::Number(1e-7)),
        ],
        default_value: Value::Json(serde_json::json!({"gate": 30})),
        segment_overrides: vec![SegmentOverride {
            segment: SegmentKey::new("full.segment").expect(WELL),
            value: Value::Bool(true),
        }],
        unit_overrides: vec![UnitOverride {
            unit: Unit::new(UnitKind::new("device").expect(WELL), "a/b c").expect(WELL),
            value: Value::Number(-0.5),
        }],
        target_path: Some(TargetPath::new("data.items[0].gate").expect(WELL)),
        held_defaults: vec![HeldDefault {
            holdout: HoldoutKey::new("full.holdout").expect(WELL),
            value: Value::Json(serde_json::json!({"gate": 20})),
        }],
        meta: Meta::default(),
    })
}

fn full_segment(namespace: &Namespace) -> Resource {
    Resource::Segment(Segment {
        namespace: namespace.clone(),
        key: SegmentKey::new("full.segment").expect(WELL),
        name: "Rich".into(),
        description: "Spent much".into(),
        rules: vec![
            rule("spent.usd", Operator::Between, vec![9.99.into(), 1e15.into()]),
            rule("country", Operator::Nin, vec!["AT".into(), "12".into()]),
            rule("paying", Operator::Eq, vec![Attribute::Bool(true)]),
            Condition::AnyOf(vec![
                rule("app", Operator::SemverGte, vec!["2.10.0-rc.1".into()]),
                Condition::AllOf(vec![
                    rule("mail", Operator::Matches, vec!["@example\\.org$".into()]),
                    nested("other", None, 3),
                ]),
            ]),
            Condition::Not(Box::new(nested("full.segment-2", Some(2), 2))),
            rule("seen", Operator::Exists, vec![]),
        ],
        meta: Meta::default(),
    })
}

fn rule(attribute: &str, operator: Operator, operands: Vec<Attribute>) -> Condition {
    Condition::Rule(Rule {
        attribute: attribute.into(),
        operator,
        operands,
    })
}

fn nested(key: &str, pinned: Option<u64>, resolved: u64) -> Condition {
    Condition::Segment(SegmentReference {
        key: SegmentKey::new(key).expect(WELL),
        pinned,
        resolved,
    })
}

/// `country in DE, AT` and `level gte 7`.
fn filters() -> Vec<Rule> {
    let rule = |attribute: &str, operator, operands| Rule {
        attribute: attribute.into(),
        operator,
        operands,
    };
    vec![
        rule("country", Operator::In, vec!["DE".into(), "AT".into()]),
        rule("level", Operator::Gte, vec![7.0.into()]),
    ]
}

fn full_metric(namespace: &Namespace, number: usize, kind: MetricKind) -> Resource {
    Resource::Metric(Metric {
        namespace: namespace.clone(),
        key: MetricKey::new(format!("full.metric-{number}")).expect(WELL),
        name: "Revenue".into(),
        description: "of a unit".into(),
        kind,
        direction: if number == 0 {
            Direction::Increase
        } else {
            Direction::Decrease
        },
        unit: "USD".into(),
        cap_micros: (number == 2).then_some(100_500_000),
        meta: Meta::default(),
    })
}

fn full_experiment(namespace: &Namespace, number: usize, state: State) -> Resource {
    let small = experiment(
        namespace,
        &format!("full.experiment-{number}"),
        &format!("flag-{number}"),
        state,
    );
    Resource::Experiment(Experiment {
        name: "Gate at 40".into(),
        description: "Background".into(),
        hypothesis: "Later gates keep players".into(),
        owner: "ann@example.org".into(),
        tags: vec!["retention".into(), "q4".into()],
        source: if number == 3 {
            AssignmentSource::Imported
        } else {
            AssignmentSource::Assay
        },
        cohorts: vec![
            Cohort {
                number: 1,
                weights: Weights::new(vec![9_000, 1_000]).expect(WELL),
                generation: 3,
            },
            Cohort {
                number: 2,
                weights: Weights::even(2),
                generation: 9,
            },
        ],
        coverage: Coverage::new(3_333).expect(WELL),
        segment: Some(SegmentKey::new("full.segment").expect(WELL)),
        segment_version: Some(4),
        metrics: [Role::Primary, Role::Secondary, Role::Guardrail]
            .into_iter()
            .map(|role| ExperimentMetric {
                metric: MetricKey::new("full.metric-0").expect(WELL),
                role,
                margin: (role == Role::Guardrail).then_some(0.02),
            })
            .collect(),
        exposure: ExposureMode::None,
        confidence: 0.9,
        qa_overrides: vec![QaOverride {
            unit: Unit::user("qa").expect(WELL),
            variant: VariantKey::new("on").expect(WELL),
        }],
        traffic: full_traffic(),
        start_time: Some(Timestamp::from_micros(1_763_716_800_000_001)),
        end_time: Some(Timestamp::from_micros(1_764_926_400_000_000)),
        completed_at: Some(Timestamp::from_micros(-1)),
        pauses: vec![
            Pause {
                from: Timestamp::from_micros(5),
                to: Some(Timestamp::from_micros(6)),
                mode: PauseMode::ServeDefault,
            },
            Pause {
                from: Timestamp::from_micros(7),
                to: None,
                mode: PauseMode::HoldEnrollment,
            },
        ],
        reason: "enough seen".into(),
        schedule: Schedule {
            end_action: EndAction::NotifyOnly,
            end_reached_at: Some(Timestamp::from_micros(8)),
            error: "flag_key: FLAG_BOUND".into(),
        },
        undo: Some(Undo {
            before: State::Paused(PauseMode::HoldEnrollment),
            until: Timestamp::from_micros(60),
            flag: Some(FlagBefore {
                variations: vec![
                    Variation {
                        name: "OFF".into(),
                        ..variation("off", Value::Bool(false))
                    },
                    Variation {
                        name: "ON".into(),
                        ..variation("on", Value::Bool(true))
                    },
                ],
                default_value: Value::Bool(false),
                held_defaults: vec![HeldDefault {
                    holdout: HoldoutKey::new("full.holdout").expect(WELL),
                    value: Value::Bool(true),
                }],
            }),
        }),
        ..small
    })
}

fn full_traffic() -> Traffic {
    Traffic {
        sticky: Sticky::Stored,
        eligibility: Eligibility::AtEnrollment,
        layer: Some(InLayer {
            key: LayerKey::new("full.layer").expect(WELL),
            salt: "5a17".into(),
            ranges: ranges(),
        }),
        holdouts: vec![HoldoutKey::new("full.holdout").expect(WELL)],
        prerequisites: vec![Prerequisite {
            flag: FlagKey::new("full.flag").expect(WELL),
            value: Value::Bool(true),
        }],
        opening: Some(Opening {
            weights: Weights::even(2),
            since: 11,
        }),
        // Assay's own, which is not written: the golden documents are from before there was another.
        hashing: Hashing::default(),
    }
}

fn ranges() -> Vec<BucketRange> {
    let all = [(0, 100_000), (999_900, 1_000_000)].map(|(first, end)| BucketRange::new(first, end));
    all.into_iter().flatten().collect()
}

fn full_layer(namespace: &Namespace) -> Resource {
    let held = |key: &str, free_at| Allocation {
        experiment: ExperimentKey::new(key).expect(WELL),
        ranges: ranges(),
        free_at,
    };
    Resource::Layer(Layer {
        namespace: namespace.clone(),
        key: LayerKey::new("full.layer").expect(WELL),
        name: "Checkout".into(),
        description: "All that touches the checkout".into(),
        unit_kind: UnitKind::new("device").expect(WELL),
        salt: "5a17".into(),
        cooldown: Duration::from_secs(86_400),
        allocations: vec![
            held("full.experiment-0", None),
            held(
                "full.experiment-5",
                Some(Timestamp::from_micros(1_764_926_400_000_000)),
            ),
        ],
        meta: Meta::default(),
    })
}

fn full_holdout(namespace: &Namespace) -> Resource {
    Resource::Holdout(Holdout {
        namespace: namespace.clone(),
        key: HoldoutKey::new("full.holdout").expect(WELL),
        name: "2026 H1".into(),
        description: "The sum of the half year".into(),
        unit_kind: UnitKind::default(),
        share: Coverage::new(500).expect(WELL),
        salt: "b01d".into(),
        scope: Scope::Layers(vec![LayerKey::new("full.layer").expect(WELL)]),
        meta: Meta::default(),
    })
}

fn variation(key: &str, value: Value) -> Variation {
    Variation {
        key: VariantKey::new(key).expect(WELL),
        name: String::new(),
        value,
    }
}

fn variant(key: &str, value: Value) -> Variant {
    Variant {
        key: VariantKey::new(key).expect(WELL),
        name: key.to_uppercase(),
        value,
    }
}
