//! Results against published figures.

use assay_core::{key::MetricKey, metric::Aggregation, time::Day};

use super::*;
use crate::fixtures::{experiment, metric};

fn definition(metrics: Vec<(Role, Metric)>) -> Definition {
    Definition {
        experiment: experiment(&["gate_30", "gate_40"]),
        counting: crate::definitions::Counting::Always,
        metrics,
    }
}

fn cell(
    variant: &str,
    measure: Measure,
    day: i32,
    n: i64,
    nonzero: i64,
    sum: i128,
    sum_squares: i128,
) -> (CellKey, Sums) {
    let key = CellKey {
        namespace: Namespace::default(),
        experiment: ExperimentKey::new("gate").unwrap(),
        cohort: 1,
        variant: VariantKey::new(variant).unwrap(),
        measure,
        day: Day(day),
    };
    (
        key,
        Sums {
            n,
            nonzero,
            sum,
            sum_squares,
        },
    )
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// Published counts of the Cookie Cats test: 44,700 and 45,489 players, of whom 8,502 and 8,279 came back on day 7.
#[test]
fn cookie_cats_retention_is_the_published_one() {
    let key = MetricKey::new("retention_7").unwrap();
    let kind = MetricKind::Retention {
        event: None,
        day: 7,
        width_days: 1,
    };
    let mut cells = Vec::new();
    for (variant, n, retained) in [("gate_30", 44_700, 8_502), ("gate_40", 45_489, 8_279)] {
        let measure = Measure::Metric(key.clone());
        cells.push(cell(variant, Measure::Exposed, 0, n, 0, 0, 0));
        cells.push(cell(variant, measure.clone(), 0, 40_000, 5_000, 5_000, 5_000));
        cells.push(cell(
            variant,
            measure,
            1,
            n - 40_000,
            retained - 5_000,
            i128::from(retained - 5_000),
            i128::from(retained - 5_000),
        ));
    }
    let definition = definition(vec![(Role::Primary, metric("retention_7", kind))]);
    let result = compute(definition, &cells, Tally::default(), at(1), Some(at(1)));
    assert_eq!(format!("{:.4}", result.srm.p_value.unwrap()), "0.0086");
    let metric = &result.metrics[0];
    let rates: Vec<_> = metric
        .variants
        .iter()
        .map(|v| format!("{:.4}", v.estimate.mean.unwrap()))
        .collect();
    assert_eq!(rates, ["0.1902", "0.1820"]);
    let comparison = &metric.comparisons[0];
    assert_eq!(format!("{:.4}", comparison.figures.delta.unwrap()), "-0.0082");
    assert_eq!(format!("{:.5}", comparison.classic.unwrap().p_value), "0.00155");
    assert_eq!(
        format!(
            "{:.4}",
            comparison.figures.evidence.unwrap().fixed.lift.point.unwrap()
        ),
        "-0.0431"
    );
    let best: f64 = metric.variants.iter().map(|v| v.probability_best.unwrap()).sum();
    assert!((best - 1.0).abs() < 1e-9);
}

#[test]
fn units_whose_window_is_open_are_pending() {
    let key = MetricKey::new("spent").unwrap();
    let kind = MetricKind::Scalar {
        event: "buy".into(),
        aggregation: Aggregation::Sum,
        window: None,
    };
    let cells = [
        cell("gate_30", Measure::Exposed, 0, 10, 0, 0, 0),
        cell(
            "gate_30",
            Measure::Metric(key.clone()),
            0,
            7,
            2,
            6_000_000,
            20_000_000_000_000,
        ),
        cell("gate_30", Measure::Excluded(key), 0, 1, 0, 0, 0),
        cell("gate_40", Measure::SetAside, 0, 3, 0, 0, 0),
    ];
    let definition = definition(vec![(Role::Secondary, metric("spent", kind))]);
    let result = compute(definition, &cells, Tally::default(), at(1), None);
    let control = &result.metrics[0].variants[0];
    assert_eq!((control.pending, control.excluded), (2, 1));
    assert!((control.estimate.mean.unwrap() - 6.0 / 7.0).abs() < 1e-12);
    assert_eq!(result.variants[1].set_aside, 3);
    assert_eq!(
        result.metrics[0].comparisons[0].figures.status,
        stats::Status::NoData
    );
    assert!(result.metrics[0].variants[0].probability_best.is_none());
}

#[test]
fn a_sum_beyond_128_bits_is_said() {
    let key = MetricKey::new("spent").unwrap();
    let kind = MetricKind::Scalar {
        event: "buy".into(),
        aggregation: Aggregation::Sum,
        window: None,
    };
    let cells = [
        cell("gate_30", Measure::Metric(key.clone()), 0, 7, 2, 0, i128::MAX),
        cell("gate_30", Measure::Metric(key), 1, 7, 2, 0, 1),
    ];
    let definition = definition(vec![(Role::Secondary, metric("spent", kind))]);
    let result = compute(definition, &cells, Tally::default(), at(1), None);
    assert!(result.metrics[0].comparisons[0].overflow);
}
