//! Results in answers. Numbers are as they were computed; what is absent could not be.

use assay_proto::analysis::v1 as pb;
use serde::Serialize;

use super::text;

/// A result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExperimentResult {
    namespace: String,
    experiment_key: String,
    name: String,
    generation: u64,
    computed_at: String,
    data_through: String,
    /// From when it counts; empty where that is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    counting_from: String,
    /// Replicas that had not confirmed the start by then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unconfirmed_replicas: Vec<String>,
    confidence: f64,
    variants: Vec<VariantCount>,
    srm: Srm,
    metrics: Vec<Metric>,
    records: Records,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VariantCount {
    variant_key: String,
    weight: f64,
    units: i64,
    set_aside_units: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Srm {
    p_value: Option<f64>,
    suspected: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    metric_key: String,
    name: String,
    role: String,
    kind: String,
    direction: String,
    unit: String,
    open_window: bool,
    metric_version: u64,
    status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    status_reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cap: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    margin: Option<f64>,
    variants: Vec<Estimate>,
    comparisons: Vec<Comparison>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Estimate {
    variant_key: String,
    units: i64,
    nonzero_units: i64,
    pending_units: i64,
    excluded_units: i64,
    valueless_units: i64,
    capped_units: i64,
    mean: Option<f64>,
    mean_interval: Option<Interval>,
    probability_best: Option<f64>,
    expected_loss: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Comparison {
    variant_key: String,
    status: String,
    difference: Option<f64>,
    standard_error: Option<f64>,
    lift: Option<f64>,
    lift_status: String,
    lift_interval: Option<Interval>,
    classic: Option<Classic>,
    probability_beats_control: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncapped_lift: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Classic {
    test: String,
    statistic: f64,
    p_value: f64,
    interval: Option<Interval>,
}

#[derive(Debug, Serialize)]
struct Interval {
    lower: f64,
    upper: f64,
}

#[derive(Debug, Serialize)]
struct Records {
    duplicates: u64,
    conflicts: u64,
    late: u64,
    invalid: u64,
}

impl ExperimentResult {
    /// As it was received.
    pub(crate) fn of(result: pb::ExperimentResult) -> Self {
        let srm = result.srm.unwrap_or_default();
        let records = result.records.unwrap_or_default();
        Self {
            namespace: result.namespace,
            experiment_key: result.experiment_key,
            name: result.name,
            generation: result.generation,
            computed_at: text::time(result.computed_at),
            data_through: text::time(result.data_through),
            counting_from: text::time(result.counting_from),
            unconfirmed_replicas: result.unconfirmed_replicas,
            confidence: result.confidence,
            variants: result.variants.into_iter().map(variant).collect(),
            srm: Srm {
                p_value: srm.p_value,
                suspected: srm.suspected,
            },
            metrics: result.metrics.into_iter().map(metric).collect(),
            records: Records {
                duplicates: records.duplicates,
                conflicts: records.conflicts,
                late: records.late,
                invalid: records.invalid,
            },
        }
    }
}

fn variant(count: pb::VariantCount) -> VariantCount {
    VariantCount {
        variant_key: count.variant_key,
        weight: count.weight,
        units: count.units,
        set_aside_units: count.set_aside_units,
    }
}

fn metric(metric: pb::MetricResult) -> Metric {
    Metric {
        metric_key: metric.metric_key,
        name: metric.name,
        role: text::name_of::<pb::MetricRole>(metric.role),
        kind: text::name_of::<pb::MetricKind>(metric.kind),
        direction: text::name_of::<pb::Direction>(metric.direction),
        unit: metric.unit,
        open_window: metric.open_window,
        metric_version: metric.metric_version,
        status: text::name_of::<pb::MetricStatus>(metric.status),
        status_reason: metric.status_reason,
        cap: metric.cap,
        margin: metric.margin,
        variants: metric.variants.into_iter().map(estimate).collect(),
        comparisons: metric.comparisons.into_iter().map(comparison).collect(),
    }
}

fn estimate(estimate: pb::VariantEstimate) -> Estimate {
    Estimate {
        variant_key: estimate.variant_key,
        units: estimate.units,
        nonzero_units: estimate.nonzero_units,
        pending_units: estimate.pending_units,
        excluded_units: estimate.excluded_units,
        valueless_units: estimate.valueless_units,
        capped_units: estimate.capped_units,
        mean: estimate.mean,
        mean_interval: interval(estimate.mean_interval),
        probability_best: estimate.probability_best,
        expected_loss: estimate.expected_loss,
    }
}

fn comparison(comparison: pb::Comparison) -> Comparison {
    let classic = comparison.classic.map(|classic| Classic {
        test: text::name_of::<pb::ClassicTest>(classic.test),
        statistic: classic.statistic,
        p_value: classic.p_value,
        interval: interval(classic.interval),
    });
    Comparison {
        variant_key: comparison.variant_key,
        status: text::name_of::<pb::ComparisonStatus>(comparison.status),
        difference: comparison.difference,
        standard_error: comparison.standard_error,
        lift: comparison.lift,
        lift_status: text::name_of::<pb::LiftStatus>(comparison.lift_status),
        lift_interval: interval(comparison.lift_interval),
        classic,
        probability_beats_control: comparison.probability_beats_control,
        uncapped_lift: comparison.uncapped_lift,
    }
}

fn interval(interval: Option<pb::Interval>) -> Option<Interval> {
    interval.map(|interval| Interval {
        lower: interval.lower,
        upper: interval.upper,
    })
}
