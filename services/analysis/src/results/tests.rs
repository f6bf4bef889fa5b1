//! Results against published figures.

use assay_core::{
    key::MetricKey,
    metric::{Aggregation, MetricKind, Quantity},
    time::Day,
};

use super::*;
use crate::fixtures::{experiment, measured, metric};

fn definition(metrics: Vec<(Role, Metric)>) -> Definition {
    Definition {
        experiment: experiment(&["gate_30", "gate_40"]),
        counting: crate::definitions::Counting::Always,
        metrics: metrics.into_iter().map(|(role, m)| measured(role, m)).collect(),
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
        filters: vec![],
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
        quantity: Quantity::new("buy", Aggregation::Sum),
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
        quantity: Quantity::new("buy", Aggregation::Sum),
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

/// What is summed, and how it comes from a unit's two values.
type Term = (Measure, fn(i64, i64) -> i64);

/// Cells of both variants in which each unit has the values that `of` makes of (numerator, denominator).
fn cells_of(units: [&[(i64, i64)]; 2], of: &[Term]) -> Vec<(CellKey, Sums)> {
    let variants = ["gate_30", "gate_40"].into_iter().zip(units);
    let cells = variants.flat_map(|(variant, units)| {
        let sums = of.iter().map(move |(measure, value)| {
            let values: Vec<i128> = units.iter().map(|(y, d)| value(*y, *d).into()).collect();
            let nonzero = values.iter().filter(|value| **value != 0).count();
            cell(
                variant,
                measure.clone(),
                0,
                units.len() as i64,
                nonzero as i64,
                values.iter().sum(),
                values.iter().map(|value| value * value).sum(),
            )
        });
        sums.chain([cell(variant, Measure::Exposed, 0, units.len() as i64, 0, 0, 0)])
    });
    cells.collect()
}

#[test]
fn a_ratio_is_that_of_the_sums_with_the_variance_of_the_delta_method() {
    let key = MetricKey::new("per_visit").unwrap();
    let control: Vec<(i64, i64)> = (0..200)
        .map(|i| (i % 7 * 1_000_000, (1 + i % 3) * 1_000_000))
        .collect();
    let treatment: Vec<(i64, i64)> = (0..150)
        .map(|i| (i % 11 * 1_000_000, (1 + i % 4) * 1_000_000))
        .collect();
    let of: [Term; 3] = [
        (Measure::Metric(key.clone()), |y, _| y),
        (Measure::Denominator(key.clone()), |_, d| d),
        (Measure::Total(key), |y, d| y + d),
    ];
    let cells = cells_of([&control, &treatment], &of);
    let kind = MetricKind::Ratio {
        numerator: Quantity::new("buy", Aggregation::Sum),
        denominator: Quantity::new("visit", Aggregation::Count),
        window: None,
    };
    let definition = definition(vec![(Role::Primary, metric("per_visit", kind))]);
    let result = compute(definition, &cells, Tally::default(), at(1), Some(at(1)));
    let found = &result.metrics[0];
    for (variant, units) in found.variants.iter().zip([&control, &treatment]) {
        let exact = units.iter().fold(stats::RatioMoments::default(), |sum, (y, d)| {
            sum.merge(stats::RatioMoments::of(*y, *d)).unwrap()
        });
        assert_eq!(variant.estimate, exact.estimate(stats::Scale::MICRO));
        assert!(variant.interval.is_some() && variant.probability_best.is_some());
        assert_eq!(variant.pending, 0);
    }
    assert_eq!(found.comparisons[0].figures.status, stats::Status::Ok);
    assert!(found.not_computed.is_none());
}

#[test]
fn a_capped_metric_shows_who_was_capped_and_the_lift_without_it() {
    let key = MetricKey::new("spent").unwrap();
    let control = [(1_000_000, 0), (9_000_000, 0), (-2_000_000, 0)];
    let treatment = [(1_000_000, 0), (30_000_000, 0), (7_000_000, 0)];
    let capped = Metric {
        cap_micros: Some(5_000_000),
        ..metric(
            "spent",
            MetricKind::Scalar {
                quantity: Quantity::new("buy", Aggregation::Sum),
                window: None,
            },
        )
    };
    let of: [Term; 1] = [(Measure::Metric(key.clone()), |y, _| y.min(5_000_000))];
    let mut cells = cells_of([&control, &treatment], &of);
    let excess =
        |variant, n, sum: i128, squares| cell(variant, Measure::Excess(key.clone()), 0, n, n, sum, squares);
    cells.push(excess("gate_30", 1, 4_000_000, 16_000_000_000_000));
    cells.push(excess("gate_40", 2, 27_000_000, 629_000_000_000_000));
    let definition = definition(vec![(Role::Primary, capped)]);
    let result = compute(definition, &cells, Tally::default(), at(1), Some(at(1)));
    let found = &result.metrics[0];
    let means: Vec<_> = found.variants.iter().map(|v| v.estimate.mean.unwrap()).collect();
    assert_eq!(means, [4.0 / 3.0, 11.0 / 3.0]);
    let capped: Vec<_> = found.variants.iter().map(|v| v.capped).collect();
    assert_eq!(capped, [1, 2]);
    let uncapped = found.comparisons[0].uncapped_lift.unwrap();
    assert!((uncapped - (38.0 - 8.0) / 8.0).abs() < 1e-12, "{uncapped}");
}

#[test]
fn a_quantile_says_that_it_is_not_computed_and_counts_its_units() {
    let key = MetricKey::new("load").unwrap();
    let kind = MetricKind::Quantile {
        quantity: Quantity::new("load", Aggregation::Max),
        quantile: 0.95,
        window: None,
    };
    let cells = [
        cell("gate_30", Measure::Exposed, 0, 10, 0, 0, 0),
        cell("gate_30", Measure::Metric(key.clone()), 0, 6, 6, 12, 40),
        cell("gate_30", Measure::Valueless(key), 0, 3, 0, 0, 0),
    ];
    let definition = definition(vec![(Role::Primary, metric("load", kind))]);
    let result = compute(definition, &cells, Tally::default(), at(1), Some(at(1)));
    let found = &result.metrics[0];
    assert!(found.not_computed.is_some() && found.comparisons.is_empty());
    let control = &found.variants[0];
    assert_eq!(
        (control.estimate.n, control.valueless, control.pending),
        (6, 3, 1)
    );
    assert_eq!((control.estimate.mean, control.probability_best), (None, None));
}
