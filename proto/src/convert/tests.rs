use assay_core::{
    experiment::Experiment,
    flag::Flag,
    holdout::Holdout,
    layer::Layer,
    metric::Metric,
    segment::Segment,
    time::Timestamp,
    value::{Attribute, Value, ValueType},
    weights::{Coverage, Weights},
};
use proptest::prelude::*;
use prost_types::{ListValue, Struct, value::Kind};

use super::*;
use crate::{common::v1 as common, config::v1 as pb, strategies};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn flags_come_back(flag in strategies::flag()) {
        prop_assert_eq!(Flag::try_from(pb::Flag::from(&flag)), Ok(flag));
    }

    #[test]
    fn segments_come_back(segment in strategies::segment()) {
        prop_assert_eq!(Segment::try_from(pb::Segment::from(&segment)), Ok(segment));
    }

    #[test]
    fn metrics_come_back(metric in strategies::metric()) {
        prop_assert_eq!(Metric::try_from(pb::Metric::from(&metric)), Ok(metric));
    }

    #[test]
    fn layers_and_holdouts_come_back(layer in strategies::layer(), holdout in strategies::holdout()) {
        prop_assert_eq!(Layer::try_from(pb::Layer::from(&layer)), Ok(layer));
        prop_assert_eq!(Holdout::try_from(pb::Holdout::from(&holdout)), Ok(holdout));
    }

    #[test]
    fn experiments_come_back(experiment in strategies::experiment()) {
        prop_assert_eq!(Experiment::try_from(pb::Experiment::from(&experiment)), Ok(experiment));
    }

    #[test]
    fn values_and_attributes_come_back(value in strategies::value(), found in strategies::attributes()) {
        prop_assert_eq!(value_from(Some(value_to(&value)), ""), Ok(value));
        prop_assert_eq!(attributes(attributes_to_struct(&found), ""), Ok(found));
    }

    #[test]
    fn units_and_times_come_back(one in strategies::unit(), time in strategies::time(), micros in 1_u64..1 << 60) {
        prop_assert_eq!(unit_from(Some(unit(&one)), ""), Ok(one));
        prop_assert_eq!(timestamp_from(Some(timestamp(time)), ""), Ok(time));
        let length = std::time::Duration::from_micros(micros).min(std::time::Duration::from_secs(315_576_000_000));
        prop_assert_eq!(duration_from(duration(length), ""), Ok(length));
    }

    #[test]
    fn every_instant_has_a_message_that_can_be_read(micros in any::<i64>()) {
        prop_assert!(timestamp_from(Some(timestamp(Timestamp::from_micros(micros))), "").is_ok());
    }
}

fn pb_value(kind: Kind) -> prost_types::Value {
    prost_types::Value { kind: Some(kind) }
}

fn object(fields: impl IntoIterator<Item = (&'static str, Kind)>) -> Struct {
    Struct {
        fields: fields
            .into_iter()
            .map(|(name, kind)| (name.to_owned(), pb_value(kind)))
            .collect(),
    }
}

fn rules(errors: &FieldErrors) -> Vec<(&str, &str)> {
    errors.0.iter().map(|e| (e.field.as_str(), e.rule)).collect()
}

fn bool_variant(key: &str, weight: u32) -> pb::Variant {
    pb::Variant {
        key: key.into(),
        weight,
        value: Some(pb_value(Kind::BoolValue(true))),
        ..Default::default()
    }
}

#[test]
fn a_short_flag_gets_what_it_leaves_out() {
    let short = pb::Flag {
        key: "gate".into(),
        default_value: Some(pb_value(Kind::NumberValue(30.0))),
        ..Default::default()
    };
    let flag = Flag::try_from(short).unwrap();
    assert_eq!(flag.namespace.as_str(), "default");
    assert_eq!(flag.value_type, ValueType::Number);
    assert_eq!(flag.variations.len(), 1);
    assert_eq!(
        (flag.variations[0].key.as_str(), &flag.variations[0].value),
        ("control", &Value::Number(30.0))
    );
}

#[test]
fn all_violations_are_told_with_their_paths() {
    let flag = pb::Flag {
        namespace: "-".into(),
        r#type: 99,
        variations: vec![
            pb::Variation {
                key: "a".into(),
                value: Some(pb_value(Kind::NullValue(0))),
                ..Default::default()
            },
            pb::Variation {
                key: "b c".into(),
                value: Some(pb_value(Kind::NumberValue(f64::NAN))),
                ..Default::default()
            },
        ],
        unit_overrides: vec![pb::UnitOverride {
            unit: Some(common::Unit::default()),
            value: None,
        }],
        ..Default::default()
    };
    let expected = [
        ("namespace", "KEY_CHARACTER"),
        ("key", "KEY_REQUIRED"),
        ("type", "UNKNOWN_VALUE"),
        ("variations[0].value", "REQUIRED"),
        ("variations[1].key", "KEY_CHARACTER"),
        ("variations[1].value", "NOT_FINITE"),
        ("unit_overrides[0].unit.id", "KEY_REQUIRED"),
        ("unit_overrides[0].value", "REQUIRED"),
    ];
    assert_eq!(rules(&Flag::try_from(flag).unwrap_err()), expected);
}

#[test]
fn a_short_experiment_gets_what_it_leaves_out() {
    let short = pb::Experiment {
        key: "gate-test".into(),
        variants: vec![bool_variant("a", 0), bool_variant("b", 0), bool_variant("c", 0)],
        metrics: vec![pb::ExperimentMetric {
            metric_key: "m".into(),
            role: 0,
            ..Default::default()
        }],
        ..Default::default()
    };
    let experiment = Experiment::try_from(short).unwrap();
    assert_eq!(experiment.flag.as_str(), "gate-test");
    assert_eq!(experiment.unit_kind.as_str(), "user");
    assert_eq!(experiment.coverage, Coverage::FULL);
    assert!((experiment.confidence - 0.95).abs() < 1e-12);
    assert_eq!(experiment.cohorts.len(), 1);
    assert_eq!(
        (experiment.cohorts[0].number, &experiment.cohorts[0].weights),
        (1, &Weights::even(3))
    );
}

#[test]
fn new_weights_replace_those_of_the_last_cohort() {
    let cohort = |number, generation| pb::Cohort {
        number,
        weights: vec![5000, 5000],
        generation,
    };
    let update = pb::Experiment {
        key: "x".into(),
        variants: vec![bool_variant("a", 1000), bool_variant("b", 9000)],
        cohorts: vec![cohort(1, 7), cohort(2, 9)],
        ..Default::default()
    };
    let cohorts = Experiment::try_from(update).unwrap().cohorts;
    assert_eq!(cohorts[0].weights, Weights::even(2));
    assert_eq!((cohorts[1].number, cohorts[1].generation), (2, 9));
    assert_eq!(cohorts[1].weights.shares(), [1000, 9000]);
}

#[test]
fn wrong_shares_are_refused_with_the_sum() {
    let wrong = pb::Experiment {
        key: "x".into(),
        variants: vec![bool_variant("a", 5000), bool_variant("b", 4000)],
        coverage: Some(10_001),
        confidence: 95.0,
        ..Default::default()
    };
    let errors = Experiment::try_from(wrong).unwrap_err();
    let expected = [
        ("variants", "WEIGHTS_SUM"),
        ("coverage", "COVERAGE_RANGE"),
        ("confidence", "CONFIDENCE_RANGE"),
    ];
    assert_eq!(rules(&errors), expected);
    assert!(errors.to_string().contains("9000 of 10000"), "{errors}");
}

#[test]
fn the_flag_gives_what_variants_leave_out() {
    let flag = pb::Flag {
        key: "gate".into(),
        variations: ["control", "gate_40"]
            .into_iter()
            .zip([30.0, 40.0])
            .map(|(key, value)| pb::Variation {
                key: key.into(),
                value: Some(pb_value(Kind::NumberValue(value))),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let flag = Flag::try_from(flag).unwrap();
    let bare = pb::Experiment {
        key: "x".into(),
        flag_key: "gate".into(),
        ..Default::default()
    };
    let experiment = experiment_from(bare.clone(), Some(&flag)).unwrap();
    let values: Vec<_> = experiment
        .variants
        .iter()
        .map(|v| (v.key.as_str(), v.value.clone()))
        .collect();
    assert_eq!(
        values,
        [("control", Value::Number(30.0)), ("gate_40", Value::Number(40.0))]
    );

    let named = |key: &str| pb::Variant {
        key: key.into(),
        ..Default::default()
    };
    let other = pb::Experiment {
        variants: vec![named("today"), named("gate_40"), named("gate_50")],
        ..bare
    };
    let errors = experiment_from(other, Some(&flag)).unwrap_err();
    assert_eq!(rules(&errors), [("variants[2].value", "REQUIRED")]);
}

#[test]
fn attributes_are_flattened_and_nulls_passed_over() {
    let inner = object([
        ("country", Kind::StringValue("DE".into())),
        ("none", Kind::NullValue(0)),
    ]);
    let found = attributes(
        object([
            ("geo", Kind::StructValue(inner)),
            ("paying", Kind::BoolValue(true)),
        ]),
        "attributes",
    );
    let found = found.unwrap();
    assert_eq!(found.get("geo.country"), Some(&Attribute::from("DE")));
    assert_eq!(found.get("paying"), Some(&Attribute::from(true)));
    assert_eq!(found.len(), 2);
    assert_eq!(attributes(None, "attributes"), Ok(Default::default()));
}

#[test]
fn attributes_that_cannot_be_are_refused_by_name() {
    let deep = (0..9).fold(Struct::default(), |inner, _| {
        object([("d", Kind::StructValue(inner))])
    });
    let nested = object([("b", Kind::NumberValue(1.0))]);
    let wrong = object([
        ("a", Kind::StructValue(nested)),
        ("a.b", Kind::NumberValue(2.0)),
        ("deep", Kind::StructValue(deep)),
        ("list", Kind::ListValue(ListValue::default())),
        ("nan", Kind::NumberValue(f64::NAN)),
        ("text", Kind::StringValue("x".repeat(4097))),
        ("", Kind::BoolValue(true)),
    ]);
    let errors = attributes(wrong, "attributes").unwrap_err();
    let expected = [
        ("attributes", "ATTRIBUTE_NAME"),
        ("attributes.a.b", "DUPLICATE"),
        ("attributes.deep.d.d.d.d.d.d.d", "TOO_DEEP"),
        ("attributes.list", "LIST"),
        ("attributes.nan", "NOT_FINITE"),
        ("attributes.text", "TEXT_TOO_LONG"),
    ];
    assert_eq!(rules(&errors).len(), expected.len(), "{errors}");
    for (field, rule) in expected {
        assert!(
            rules(&errors)
                .iter()
                .any(|(f, r)| f.starts_with(field) && *r == rule),
            "{field} {rule}: {errors}"
        );
    }
    let many = Struct {
        fields: (0..65)
            .map(|i| (format!("a{i}"), pb_value(Kind::BoolValue(true))))
            .collect(),
    };
    assert_eq!(
        rules(&attributes(many, "properties").unwrap_err()),
        [("properties", "TOO_MANY_ATTRIBUTES")]
    );
    let long = Struct {
        fields: [("n".repeat(257), pb_value(Kind::BoolValue(true)))].into(),
    };
    assert_eq!(attributes(long, "a").unwrap_err().0[0].rule, "ATTRIBUTE_NAME");
    let fits = Struct {
        fields: [("n".repeat(256), pb_value(Kind::BoolValue(true)))].into(),
    };
    assert!(attributes(fits, "a").is_ok());
}

#[test]
fn times_are_truncated_and_kept_in_range() {
    let nanos = prost_types::Timestamp {
        seconds: -1,
        nanos: 999_999_999,
    };
    assert_eq!(
        timestamp_from(Some(nanos), "time"),
        Ok(Timestamp::from_micros(-1))
    );
    for (seconds, nanos) in [(i64::MAX, 0), (0, -1), (0, 1_000_000_000), (-62_135_596_801, 0)] {
        let errors = timestamp_from(Some(prost_types::Timestamp { seconds, nanos }), "time").unwrap_err();
        assert_eq!(rules(&errors), [("time", "TIME_RANGE")]);
    }
    for (seconds, nanos) in [(0, 0), (-1, 0), (0, 1), (i64::MAX, 0), (1, -1)] {
        assert!(
            duration_from(prost_types::Duration { seconds, nanos }, "window").is_err(),
            "{seconds} {nanos}"
        );
    }
}

#[test]
fn the_empty_unit_is_nobody() {
    assert_eq!(optional_unit_from(None, "unit"), Ok(None));
    assert_eq!(
        optional_unit_from(Some(common::Unit::default()), "unit"),
        Ok(None)
    );
    assert_eq!(
        rules(&unit_from(None, "unit").unwrap_err()),
        [("unit", "REQUIRED")]
    );
}
