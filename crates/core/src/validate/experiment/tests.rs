use std::time::Duration;

use super::*;
use crate::{
    experiment::{ExperimentMetric, QaOverride, Variant},
    fixtures::{self, experiment, user, variant_key},
    flag::SegmentOverride,
    key::{ExperimentKey, FlagKey, MetricKey, SegmentKey},
    metric::MetricKind,
    schedule::EndAction,
    validate::tests::{NOW, ios, names, one, owned, weights},
    value::Value,
    weights::Weights,
};

/// What `change` breaks in a valid draft.
fn draft_errors(change: impl FnOnce(&mut Experiment)) -> Vec<(String, &'static str)> {
    let mut changed = experiment();
    change(&mut changed);
    let flag = fixtures::flag();
    owned(draft(
        &changed,
        &References {
            flag: Some(&flag),
            ..References::default()
        },
    ))
}

#[test]
fn a_draft_keeps_its_variants() {
    assert_eq!(draft_errors(|_| {}), []);
    let none = draft_errors(|e| e.variants.clear());
    assert_eq!(
        none,
        [
            ("variants".into(), "VARIANT_REQUIRED"),
            ("variants.weight".into(), "WEIGHTS_COUNT")
        ]
    );
    let twice = draft_errors(|e| e.variants[1].key = variant_key("off"));
    assert_eq!(twice, one("variants[1].key", "DUPLICATE_KEY"));
    let mistyped = draft_errors(|e| e.variants[1].value = Value::Number(1.0));
    assert_eq!(mistyped, one("variants[1].value", "TYPE_MISMATCH"));
    assert_eq!(
        draft_errors(|e| e.cohorts.clear()),
        one("variants.weight", "WEIGHTS_COUNT")
    );
    let many = draft_errors(|e| {
        let variant = |i| Variant {
            key: variant_key(&format!("v{i}")),
            ..e.variants[0].clone()
        };
        e.variants = (0..=MAX_VARIANTS).map(variant).collect();
        e.cohorts[0].weights = Weights::even(e.variants.len());
    });
    assert_eq!(many, one("variants", "TOO_MANY"));
}

#[test]
fn a_draft_keeps_its_limits() {
    let texts = draft_errors(|e| {
        e.name = "x".repeat(MAX_NAME_BYTES + 1);
        e.owner = "x".repeat(MAX_NAME_BYTES + 1);
        e.description = "x".repeat(MAX_TEXT_BYTES + 1);
        e.hypothesis = "x".repeat(MAX_TEXT_BYTES + 1);
        e.tags = vec!["x".into(); MAX_TAGS + 1];
    });
    let fields: Vec<_> = texts.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["name", "description", "hypothesis", "owner", "tags"]);
    let metric = |i: usize| ExperimentMetric::new(MetricKey::new(i.to_string()).unwrap(), Role::Secondary);
    let many = draft_errors(|e| e.metrics = (0..=MAX_METRICS).map(metric).collect());
    assert_eq!(many, one("metrics", "TOO_MANY"));
    assert_eq!(
        draft_errors(|e| e.metrics = vec![metric(1), metric(1)]),
        one("metrics[1].metric_key", "DUPLICATE_METRIC")
    );
    let qa = |i: usize, variant: &str| QaOverride {
        unit: user(&i.to_string()),
        variant: variant_key(variant),
    };
    let many = draft_errors(|e| e.qa_overrides = (0..=MAX_QA_OVERRIDES).map(|i| qa(i, "on")).collect());
    assert_eq!(many, one("qa_overrides", "TOO_MANY"));
    let wrong = draft_errors(|e| e.qa_overrides = vec![qa(1, "on"), qa(1, "nope")]);
    let expected = [
        ("qa_overrides[1].unit".into(), "DUPLICATE_OVERRIDE"),
        ("qa_overrides[1].variant_key".into(), "UNKNOWN_VARIANT"),
    ];
    assert_eq!(wrong, expected);
}

#[test]
fn a_margin_is_a_share_and_a_guardrails() {
    let errors = |role, margin| {
        let metric = MetricKey::new("m").unwrap();
        draft_errors(|e| {
            e.metrics = vec![ExperimentMetric {
                metric,
                role,
                margin: Some(margin),
            }];
        })
    };
    assert_eq!(errors(Role::Guardrail, 0.02), []);
    for margin in [0.0, -0.02, 1.0, 2.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            errors(Role::Guardrail, margin),
            one("metrics[0].margin", "MARGIN_RANGE")
        );
    }
    for role in [Role::Primary, Role::Secondary] {
        assert_eq!(
            errors(role, 0.02),
            one("metrics[0].margin", "MARGIN_NOT_APPLICABLE")
        );
    }
}

#[test]
fn a_draft_keeps_its_numbers_and_dates() {
    for confidence in [0.5, 1.0, 0.0, -1.0, f64::NAN] {
        assert_eq!(
            draft_errors(|e| e.confidence = confidence),
            one("confidence", "CONFIDENCE_RANGE")
        );
    }
    let backwards = draft_errors(|e| (e.start_time, e.end_time) = (Some(NOW), Some(NOW)));
    assert_eq!(backwards, one("end_time", "END_BEFORE_START"));
    let imported = draft_errors(|e| e.source = AssignmentSource::Imported);
    assert_eq!(
        imported,
        [
            ("start_time".into(), "DATES_REQUIRED"),
            ("end_time".into(), "DATES_REQUIRED")
        ]
    );
}

/// What Start says of the valid draft after `change`, with its flag and metrics, and the segment `ios`.
fn started(change: impl FnOnce(&mut Experiment, &mut Flag, &mut Vec<Metric>)) -> Findings {
    let (mut experiment, mut flag) = (experiment(), fixtures::flag());
    let mut metrics = vec![fixtures::metric("purchase")];
    change(&mut experiment, &mut flag, &mut metrics);
    let segment = fixtures::segment("ios", "platform", "ios");
    let references = References {
        flag: Some(&flag).filter(|flag| flag.key == experiment.flag),
        segment: Some(&segment).filter(|segment| experiment.segment.as_ref() == Some(&segment.key)),
        metrics: metrics.iter().collect(),
        flag_bound_by: None,
        ..References::default()
    };
    start(&experiment, &references, NOW)
}

#[test]
fn a_complete_draft_starts_without_findings() {
    assert_eq!(started(|_, _, _| {}), Findings::default());
    assert!(started(|e, _, _| e.segment = ios()).is_ok());
}

#[test]
fn start_says_all_that_is_missing_by_step() {
    let findings = started(|e, _, _| {
        e.hypothesis = " ".into();
        e.flag = FlagKey::new("nope").unwrap();
        e.variants.truncate(1);
        e.cohorts = weights(&[10_000]);
        e.metrics[0].metric = MetricKey::new("nope").unwrap();
        e.metrics[0].role = Role::Guardrail;
        e.segment = Some(SegmentKey::new("nope").unwrap());
        e.schedule.end_action = EndAction::HoldEnrollment;
    });
    let expected = [
        ("hypothesis", "HYPOTHESIS_REQUIRED"),
        ("flag_key", "FLAG_NOT_FOUND"),
        ("variants", "SINGLE_VARIANT"),
        ("metrics", "PRIMARY_METRIC_REQUIRED"),
        ("metrics[0].metric_key", "METRIC_NOT_FOUND"),
        ("end_action", "NEEDS_STORED"),
        ("segment_key", "SEGMENT_NOT_FOUND"),
    ];
    assert_eq!(names(&findings.errors), expected);
    assert!(findings.errors.is_sorted_by_key(|violation| violation.step));
}

#[test]
fn start_includes_the_rules_of_drafts() {
    let findings = started(|e, _, _| e.confidence = 2.0);
    assert_eq!(names(&findings.errors), [("confidence", "CONFIDENCE_RANGE")]);
}

#[test]
fn an_override_for_the_segment_is_a_conflict() {
    let with = |segment: Option<SegmentKey>| {
        started(|e, flag, _| {
            e.segment = segment;
            flag.segment_overrides = vec![SegmentOverride {
                segment: ios().unwrap(),
                value: Value::Bool(true),
            }];
        })
    };
    assert_eq!(names(&with(ios()).errors), [("segment_key", "OVERRIDE_CONFLICT")]);
    assert!(with(None).is_ok());
}

#[test]
fn a_bound_flag_is_refused_with_the_name_of_the_experiment() {
    let (flag, metric) = (fixtures::flag(), fixtures::metric("purchase"));
    let bound = |key: &str, source| {
        let key = ExperimentKey::new(key).unwrap();
        let references = References {
            flag: Some(&flag),
            segment: None,
            metrics: vec![&metric],
            flag_bound_by: Some(&key),
            ..References::default()
        };
        let dates = (Some(Timestamp::default()), Some(NOW));
        let experiment = Experiment {
            source,
            start_time: dates.0,
            end_time: dates.1.map(|t| t.plus(Duration::from_secs(9))),
            ..experiment()
        };
        start(&experiment, &references, NOW).errors
    };
    let refused = bound("other", AssignmentSource::Assay);
    assert_eq!(names(&refused), [("flag_key", "FLAG_BOUND")]);
    assert!(refused[0].message.contains("`other`"));
    assert_eq!(bound("gate-test", AssignmentSource::Assay), []);
    assert_eq!(bound("other", AssignmentSource::Imported), []);
}

#[test]
fn dates_in_the_past_are_for_imports() {
    let past = |source| {
        started(|e, _, _| {
            e.source = source;
            (e.start_time, e.end_time) = (Some(Timestamp::default()), Some(NOW));
        })
    };
    assert_eq!(
        names(&past(AssignmentSource::Assay).errors),
        [("end_time", "END_TIME_IN_PAST")]
    );
    assert!(past(AssignmentSource::Imported).is_ok());
}

#[test]
fn warnings_do_not_hinder() {
    let day = |days: u64| Duration::from_secs(days * 86_400);
    let kind = |window| MetricKind::Conversion {
        event: "e".into(),
        filters: vec![],
        window,
    };
    let findings = started(|e, _, metrics| {
        let primary = |key: &str| ExperimentMetric::new(MetricKey::new(key).unwrap(), Role::Primary);
        let secondary = ExperimentMetric {
            role: Role::Secondary,
            ..primary("open-too")
        };
        e.metrics = vec![primary("short"), primary("long"), primary("open"), secondary];
        e.cohorts = weights(&[0, 10_000]);
        let windows = [
            ("short", Some(day(6))),
            ("long", Some(day(7))),
            ("open", None),
            ("open-too", None),
        ];
        *metrics = windows
            .map(|(key, window)| Metric {
                kind: kind(window),
                ..fixtures::metric(key)
            })
            .to_vec();
    });
    assert!(findings.is_ok(), "{findings:?}");
    let expected = [
        ("metrics", "MULTIPLE_PRIMARIES"),
        ("metrics[1].metric_key", "LONG_WINDOW"),
        ("metrics[2].metric_key", "OPEN_WINDOW"),
        ("variants[0].weight", "CONTROL_ZERO_WEIGHT"),
    ];
    assert_eq!(names(&findings.warnings), expected);
}

#[test]
fn variants_of_one_value_are_worth_a_look() {
    let same = |source| {
        started(|e, _, _| {
            e.source = source;
            let value = e.variants[0].value.clone();
            e.variants[1].value = value;
        })
    };
    let warnings = same(AssignmentSource::Assay).warnings;
    assert!(
        names(&warnings).contains(&("variants[1].value", "SAME_VALUE")),
        "{warnings:?}"
    );
    let imported = same(AssignmentSource::Imported).warnings;
    assert!(
        !names(&imported).contains(&("variants[1].value", "SAME_VALUE")),
        "what is imported is not served: {imported:?}"
    );
}
