//! A result as a message.

use assay_core::{
    experiment::Role,
    metric::{Direction, MetricKind},
};
use assay_proto::{analysis::v1 as pb, convert::timestamp};
use assay_stats as stats;

use crate::{
    definitions::Counting,
    results::{
        Classic, ClassicTest, Comparison, ExperimentResult, MetricResult, SRM_SUSPECTED, VariantEstimate,
    },
};

pub(crate) fn result(result: &ExperimentResult) -> pb::ExperimentResult {
    let variants = result.variants.iter().map(|count| pb::VariantCount {
        variant_key: count.variant.to_string(),
        weight: count.weight,
        units: count.units,
        set_aside_units: count.set_aside,
    });
    let (counting_from, unconfirmed_replicas) = match &result.counting {
        Counting::From { time, unconfirmed } => (Some(timestamp(*time)), unconfirmed.clone()),
        Counting::Always | Counting::Awaited => (None, Vec::new()),
    };
    pb::ExperimentResult {
        namespace: result.experiment.namespace.to_string(),
        experiment_key: result.experiment.key.to_string(),
        name: result.experiment.name.clone(),
        generation: result.experiment.meta.generation,
        computed_at: Some(timestamp(result.computed_at)),
        data_through: result.data_through.map(timestamp),
        confidence: result.experiment.confidence,
        variants: variants.collect(),
        srm: Some(pb::SrmResult {
            p_value: result.srm.p_value,
            suspected: result.srm.p_value.is_some_and(|p| p < SRM_SUSPECTED),
        }),
        metrics: result.metrics.iter().map(metric).collect(),
        records: Some(pb::RecordCounts {
            duplicates: result.tally.duplicates,
            conflicts: result.tally.conflicts,
            late: result.tally.late,
            invalid: result.tally.invalid,
            before_counting: result.tally.before_counting,
            older_generation: result.tally.older_generation,
        }),
        counting_from,
        unconfirmed_replicas,
    }
}

fn metric(result: &MetricResult) -> pb::MetricResult {
    let metric = &result.metric;
    let role = match result.listed.role {
        Role::Primary => pb::MetricRole::Primary,
        Role::Secondary => pb::MetricRole::Secondary,
        Role::Guardrail => pb::MetricRole::Guardrail,
    };
    let direction = match metric.direction {
        Direction::Increase => pb::Direction::Increase,
        Direction::Decrease => pb::Direction::Decrease,
    };
    let kind = match metric.kind {
        MetricKind::Conversion { .. } | MetricKind::Retention { .. } => pb::MetricKind::Binary,
        MetricKind::Scalar { .. } => pb::MetricKind::Scalar,
        MetricKind::Ratio { .. } => pb::MetricKind::Ratio,
        MetricKind::Quantile { .. } => pb::MetricKind::Quantile,
    };
    let status = match result.not_computed {
        None => pb::MetricStatus::Computed,
        Some(_) => pb::MetricStatus::NotComputedYet,
    };
    pb::MetricResult {
        metric_key: metric.key.to_string(),
        name: metric.name.clone(),
        role: role.into(),
        kind: kind.into(),
        direction: direction.into(),
        unit: metric.unit.clone(),
        open_window: metric.kind.closes_after().is_none(),
        variants: result.variants.iter().map(variant).collect(),
        comparisons: result.comparisons.iter().map(comparison).collect(),
        metric_version: metric.meta.version,
        status: status.into(),
        status_reason: result.not_computed.unwrap_or_default().to_owned(),
        cap: metric.cap_micros.map(|cap| cap as f64 / 1e6),
        margin: result.listed.margin,
    }
}

fn variant(variant: &VariantEstimate) -> pb::VariantEstimate {
    let units = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    pb::VariantEstimate {
        variant_key: variant.variant.to_string(),
        units: units(variant.estimate.n),
        nonzero_units: units(variant.estimate.nonzero),
        pending_units: variant.pending,
        excluded_units: variant.excluded,
        mean: variant.estimate.mean,
        mean_interval: variant.interval.map(interval),
        probability_best: variant.probability_best,
        expected_loss: variant.expected_loss,
        valueless_units: variant.valueless,
        capped_units: variant.capped,
    }
}

fn comparison(comparison: &Comparison) -> pb::Comparison {
    let figures = &comparison.figures;
    let status = match figures.status {
        _ if comparison.overflow => pb::ComparisonStatus::NumericOverflow,
        stats::Status::Ok => pb::ComparisonStatus::Ok,
        stats::Status::LowData => pb::ComparisonStatus::LowData,
        stats::Status::NoVariance => pb::ComparisonStatus::NoVariance,
        stats::Status::NoData => pb::ComparisonStatus::NoData,
    };
    let lift = figures
        .evidence
        .map(|evidence| evidence.fixed.lift)
        .or(figures.lift);
    let lift_status = lift.map_or(pb::LiftStatus::Unspecified, |lift| match lift.status {
        stats::LiftStatus::Ok => pb::LiftStatus::Ok,
        stats::LiftStatus::ControlZero => pb::LiftStatus::ControlZero,
        stats::LiftStatus::Unbounded => pb::LiftStatus::Unbounded,
    });
    pb::Comparison {
        variant_key: comparison.variant.to_string(),
        status: status.into(),
        difference: figures.delta,
        standard_error: figures.evidence.map(|evidence| evidence.se),
        lift: lift.and_then(|lift| lift.point),
        lift_status: lift_status.into(),
        lift_interval: lift.and_then(|lift| lift.interval).map(interval),
        classic: comparison.classic.map(classic),
        probability_beats_control: comparison.probability_beats_control,
        uncapped_lift: comparison.uncapped_lift,
    }
}

fn classic(classic: Classic) -> pb::ClassicFigures {
    let test = match classic.test {
        ClassicTest::TwoProportionZ => pb::ClassicTest::TwoProportionZ,
        ClassicTest::Welch => pb::ClassicTest::Welch,
    };
    pb::ClassicFigures {
        test: test.into(),
        statistic: classic.statistic,
        p_value: classic.p_value,
        interval: Some(interval(classic.interval)),
    }
}

fn interval(interval: stats::Interval) -> pb::Interval {
    pb::Interval {
        lower: interval.lower,
        upper: interval.upper,
    }
}
