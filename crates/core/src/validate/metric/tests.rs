use super::*;
use crate::{
    fixtures,
    segment::Operator,
    validate::tests::{one, owned},
};

type Errors = Vec<(String, &'static str)>;

const NONE: Option<Duration> = None;

fn errors(kind: MetricKind, change: impl FnOnce(&mut Metric)) -> Errors {
    let mut changed = Metric {
        kind,
        ..fixtures::metric("m")
    };
    change(&mut changed);
    owned(metric(&changed))
}

/// One valid metric of each kind, with this window.
fn kinds(window: Option<Duration>) -> Vec<MetricKind> {
    let sum = || Quantity::new("buy", Aggregation::Sum);
    vec![
        MetricKind::Conversion {
            event: "buy".into(),
            filters: vec![],
            window,
        },
        MetricKind::Retention {
            event: None,
            filters: vec![],
            day: 7,
            width_days: 1,
        },
        MetricKind::Scalar {
            quantity: sum(),
            window,
        },
        MetricKind::Ratio {
            numerator: sum(),
            denominator: Quantity::new("visit", Aggregation::Count),
            window,
        },
        MetricKind::Quantile {
            quantity: sum(),
            quantile: 0.5,
            window,
        },
    ]
}

/// The places of filters in a kind, with the path of each.
fn filters(kind: &mut MetricKind) -> Vec<(String, &mut Vec<Rule>)> {
    let name = kind.name();
    match kind {
        MetricKind::Conversion { filters, .. } | MetricKind::Retention { filters, .. } => {
            vec![(name.into(), filters)]
        }
        _ => quantities(kind)
            .into_iter()
            .map(|(path, quantity)| (path.to_owned(), &mut quantity.filters))
            .collect(),
    }
}

fn quantities(kind: &mut MetricKind) -> Vec<(&'static str, &mut Quantity)> {
    match kind {
        MetricKind::Conversion { .. } | MetricKind::Retention { .. } => vec![],
        MetricKind::Scalar { quantity, .. } => vec![("scalar", quantity)],
        MetricKind::Ratio {
            numerator,
            denominator,
            ..
        } => vec![("ratio.numerator", numerator), ("ratio.denominator", denominator)],
        MetricKind::Quantile { quantity, .. } => vec![("quantile.quantity", quantity)],
    }
}

#[test]
fn each_kind_takes_exactly_the_options_that_say_something_about_it() {
    for kind in kinds(Some(Duration::from_secs(60)))
        .into_iter()
        .chain(kinds(NONE))
    {
        let name = kind.name();
        assert_eq!(errors(kind.clone(), |_| {}), [], "{name}");
        let unit = errors(kind.clone(), |m| m.unit = "USD".into());
        let takes_unit = !["conversion", "retention"].contains(&name);
        let expected = if takes_unit {
            vec![]
        } else {
            one("unit", "UNIT_NOT_APPLICABLE")
        };
        assert_eq!(unit, expected, "{name}");
        for (cap, rule) in [
            (1, None),
            (MAX_VALUE_MICROS, None),
            (0, Some("CAP_RANGE")),
            (-1, Some("CAP_RANGE")),
            (MAX_VALUE_MICROS + 1, Some("CAP_RANGE")),
        ] {
            let rule = if name == "scalar" {
                rule
            } else {
                Some("CAP_NOT_APPLICABLE")
            };
            let expected: Errors = rule.map(|rule| ("cap".to_owned(), rule)).into_iter().collect();
            let found = errors(kind.clone(), |m| m.cap_micros = Some(cap));
            assert_eq!(found, expected, "{name} {cap}");
        }
    }
}

#[test]
fn a_value_property_goes_with_every_aggregation_that_looks_at_values() {
    use Aggregation::{Count, Last, Max, Sum};
    for kind in kinds(NONE) {
        let places = quantities(&mut kind.clone()).len();
        for (place, aggregation) in (0..places).flat_map(|place| [Sum, Count, Max, Last].map(|a| (place, a)))
        {
            let mut kind = kind.clone();
            let (path, quantity) = quantities(&mut kind).remove(place);
            quantity.aggregation = aggregation;
            quantity.value_property = Some("amount".into());
            let expected = if aggregation == Count {
                one(&format!("{path}.value_property"), "VALUE_PROPERTY_NOT_APPLICABLE")
            } else {
                vec![]
            };
            assert_eq!(errors(kind, |_| {}), expected, "{path} {aggregation:?}");
        }
    }
}

#[test]
fn filters_keep_the_rules_of_segments_in_every_kind() {
    let rule = |operator, operands| Rule {
        attribute: "country".into(),
        operator,
        operands,
    };
    let good = rule(Operator::In, vec!["DE".into(), "AT".into()]);
    let bad = [
        (rule(Operator::Eq, vec![]), "operands", "OPERAND_COUNT"),
        (rule(Operator::Gt, vec!["x".into()]), "operands", "OPERAND_TYPE"),
        (
            rule(Operator::Matches, vec!["(".into()]),
            "operands",
            "PATTERN_SYNTAX",
        ),
    ];
    for kind in kinds(NONE) {
        let places = filters(&mut kind.clone()).len();
        for place in 0..places {
            let with = |rules: Vec<Rule>| {
                let mut kind = kind.clone();
                let (path, filters) = filters(&mut kind).remove(place);
                *filters = rules;
                (path, errors(kind, |_| {}))
            };
            assert_eq!(with(vec![good.clone()]).1, []);
            let (path, many) = with(vec![good.clone(); MAX_FILTERS + 1]);
            assert_eq!(many, one(&format!("{path}.filters"), "TOO_MANY"));
            for (bad, field, name) in bad.clone() {
                let (path, found) = with(vec![good.clone(), bad]);
                assert_eq!(found, one(&format!("{path}.filters[1].{field}"), name));
            }
        }
    }
}

#[test]
fn windows_are_not_too_short() {
    for window in [Duration::ZERO, Duration::from_nanos(999)] {
        for kind in kinds(Some(window)) {
            let name = kind.name();
            let expected = if name == "retention" {
                vec![]
            } else {
                one(&format!("{name}.window"), "WINDOW_TOO_SHORT")
            };
            assert_eq!(errors(kind, |_| {}), expected);
        }
    }
}

#[test]
fn numbers_keep_their_range() {
    let retention = |day, width_days| MetricKind::Retention {
        event: None,
        filters: vec![],
        day,
        width_days,
    };
    assert_eq!(errors(retention(1, 365), |_| {}), []);
    let days = [
        ("retention.day".to_owned(), "DAYS_RANGE"),
        ("retention.width_days".to_owned(), "DAYS_RANGE"),
    ];
    assert_eq!(errors(retention(0, 366), |_| {}), days);
    for quantile in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
        let kind = MetricKind::Quantile {
            quantity: Quantity::new("load", Aggregation::Max),
            quantile,
            window: None,
        };
        assert_eq!(errors(kind, |_| {}), one("quantile.quantile", "QUANTILE_RANGE"));
    }
}

#[test]
fn a_ratio_of_a_number_to_itself_is_refused() {
    let sum = Quantity::new("buy", Aggregation::Sum);
    let kind = MetricKind::Ratio {
        numerator: sum.clone(),
        denominator: sum,
        window: None,
    };
    assert_eq!(errors(kind, |_| {}), one("ratio.denominator", "RATIO_OF_ITSELF"));
}

#[test]
fn all_violations_come_at_once() {
    let kind = MetricKind::Ratio {
        numerator: Quantity::new("", Aggregation::Sum),
        denominator: Quantity {
            value_property: Some("x".into()),
            ..Quantity::new("e".repeat(MAX_NAME_BYTES + 1), Aggregation::Count)
        },
        window: Some(Duration::ZERO),
    };
    let found = errors(kind, |m| {
        m.cap_micros = Some(1);
        m.name = "x".repeat(MAX_NAME_BYTES + 1);
    });
    let expected = [
        ("name", "TEXT_TOO_LONG"),
        ("ratio.numerator.event", "EVENT_REQUIRED"),
        ("ratio.denominator.event", "TEXT_TOO_LONG"),
        (
            "ratio.denominator.value_property",
            "VALUE_PROPERTY_NOT_APPLICABLE",
        ),
        ("ratio.window", "WINDOW_TOO_SHORT"),
        ("cap", "CAP_NOT_APPLICABLE"),
    ];
    assert_eq!(found, expected.map(|(field, rule)| (field.to_owned(), rule)));
}
