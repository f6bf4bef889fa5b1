//! The figures of one metric, from its sums.

use assay_core::{
    experiment::Experiment,
    key::{MetricKey, VariantKey},
    metric::{Direction, Metric, MetricKind},
};
use assay_stats as stats;
use assay_storage::analysis_store::Measure;
use stats::{Alpha, Estimate, Interval, Moments, Overflow, Proportion, Ptbb, RatioMoments, Scale};

use super::{Classic, ClassicTest, Comparison, MetricResult, Totals, VariantEstimate};
use crate::definitions::Measured;

/// Why a quantile has no figures.
const QUANTILE_NOT_COMPUTED: &str =
    "quantiles need a sketch of the values, which is not kept yet; units are counted from now on";

/// The figures of `measured`.
pub(super) fn of(
    experiment: &Experiment,
    measured: Measured,
    totals: &Totals<'_>,
    alpha: Alpha,
) -> MetricResult {
    let Measured { listed, metric, .. } = measured;
    let sums = Sums::of(&metric, totals);
    let variants = experiment.variants.iter();
    if matches!(metric.kind, MetricKind::Quantile { .. }) {
        let counted = variants.map(|v| sums.estimate(&v.key).map(|estimate| counts_of(&estimate)));
        let counted: Vec<_> = counted.map(Result::unwrap_or_default).collect();
        return MetricResult {
            variants: sums.variants(experiment, &counted, None, |_| None),
            comparisons: Vec::new(),
            not_computed: Some(QUANTILE_NOT_COMPUTED),
            metric,
            listed,
        };
    }
    let found: Vec<_> = variants.clone().map(|v| sums.estimate(&v.key)).collect();
    let estimates: Vec<_> = found.iter().map(|e| e.unwrap_or_default()).collect();
    let probabilities = probabilities(&metric, &estimates);
    let mut comparisons = comparisons(
        experiment,
        &metric.kind,
        &estimates,
        probabilities.as_ref(),
        alpha,
    );
    let uncapped: Vec<_> = variants.map(|v| sums.uncapped(&v.key)).collect();
    for (i, comparison) in comparisons.iter_mut().enumerate() {
        comparison.overflow = found[0].is_err() || found[i + 1].is_err();
        comparison.uncapped_lift = uncapped[0]
            .zip(uncapped[i + 1])
            .and_then(|(control, treatment)| lift(&control, &treatment));
    }
    MetricResult {
        variants: sums.variants(experiment, &estimates, probabilities.as_ref(), |estimate| {
            mean_interval(&metric.kind, estimate, alpha)
        }),
        comparisons,
        not_computed: None,
        metric,
        listed,
    }
}

/// The units of `estimate` without its figures.
fn counts_of(estimate: &Estimate) -> Estimate {
    Estimate {
        n: estimate.n,
        nonzero: estimate.nonzero,
        ..Estimate::default()
    }
}

/// The point of the relative lift.
fn lift(control: &Estimate, treatment: &Estimate) -> Option<f64> {
    let (control, treatment) = control.mean.zip(treatment.mean)?;
    (control != 0.0).then(|| (treatment - control) / control.abs())
}

/// The sums of one metric.
struct Sums<'a> {
    totals: &'a Totals<'a>,
    key: MetricKey,
    is_binary: bool,
    is_ratio: bool,
    cap: Option<i64>,
}

impl<'a> Sums<'a> {
    fn of(metric: &Metric, totals: &'a Totals<'a>) -> Self {
        Self {
            totals,
            key: metric.key.clone(),
            is_binary: metric.kind.is_binary(),
            is_ratio: matches!(metric.kind, MetricKind::Ratio { .. }),
            cap: metric.cap_micros,
        }
    }

    fn moments(
        &self,
        variant: &VariantKey,
        measure: impl Fn(MetricKey) -> Measure,
    ) -> Result<Moments, Overflow> {
        self.totals
            .get(variant, &measure(self.key.clone()))
            .ok_or(Overflow)
    }

    fn units(&self, variant: &VariantKey, measure: impl Fn(MetricKey) -> Measure) -> i64 {
        self.totals.units(variant, &measure(self.key.clone()))
    }

    fn estimate(&self, variant: &VariantKey) -> Result<Estimate, Overflow> {
        let y = self.moments(variant, Measure::Metric)?;
        if !self.is_ratio {
            let scale = if self.is_binary { Scale::ONE } else { Scale::MICRO };
            return Ok(y.estimate(scale));
        }
        let d = self.moments(variant, Measure::Denominator)?;
        let total = self.moments(variant, Measure::Total)?;
        Ok(ratio(y, d, total)?.estimate(Scale::MICRO))
    }

    /// The estimate without the cap; none without cap.
    fn uncapped(&self, variant: &VariantKey) -> Option<Estimate> {
        let cap = self.cap?;
        let kept = self.moments(variant, Measure::Metric).ok()?;
        let excess = self.moments(variant, Measure::Excess).ok()?;
        Some(uncapped(kept, excess, cap)?.estimate(Scale::MICRO))
    }

    fn variants(
        &self,
        experiment: &Experiment,
        estimates: &[Estimate],
        probabilities: Option<&Ptbb>,
        interval: impl Fn(&Estimate) -> Option<Interval>,
    ) -> Vec<VariantEstimate> {
        let variants = experiment.variants.iter().zip(estimates).enumerate();
        let estimate = |(i, (variant, estimate)): (usize, (&assay_core::experiment::Variant, &Estimate))| {
            let key = &variant.key;
            let excluded = self.units(key, Measure::Excluded);
            let valueless = self.units(key, Measure::Valueless);
            let counted = i64::try_from(estimate.n).unwrap_or(i64::MAX);
            let exposed = self.totals.units(key, &Measure::Exposed);
            VariantEstimate {
                variant: key.clone(),
                estimate: *estimate,
                interval: interval(estimate),
                pending: exposed - counted - excluded - valueless,
                excluded,
                valueless,
                capped: self.units(key, Measure::Excess),
                probability_best: probabilities.and_then(|p| p.prob_best.get(i).copied()),
                expected_loss: probabilities.and_then(|p| p.expected_loss.get(i).copied()),
            }
        };
        variants.map(estimate).collect()
    }
}

/// Σyd from Σ(y + d)² = Σy² + 2Σyd + Σd², exactly: the difference is even.
fn ratio(y: Moments, d: Moments, total: Moments) -> Result<RatioMoments, Overflow> {
    let twice = total
        .sum_yy
        .checked_sub(y.sum_yy)
        .and_then(|rest| rest.checked_sub(d.sum_yy));
    Ok(RatioMoments {
        y,
        d,
        sum_yd: twice.ok_or(Overflow)? / 2,
    })
}

/// The sums as they were without the cap c: where it cut e off, y = c + e and y² = c² + 2ce + e².
fn uncapped(kept: Moments, excess: Moments, cap: i64) -> Option<Moments> {
    let crossed = i128::from(cap).checked_mul(2)?.checked_mul(excess.sum_y)?;
    Some(Moments {
        sum_y: kept.sum_y.checked_add(excess.sum_y)?,
        sum_yy: kept.sum_yy.checked_add(crossed)?.checked_add(excess.sum_yy)?,
        ..kept
    })
}

fn kind(kind: &MetricKind) -> stats::Kind {
    match kind {
        MetricKind::Conversion { .. } | MetricKind::Retention { .. } => stats::Kind::Binary,
        MetricKind::Scalar { .. } => stats::Kind::Scalar,
        MetricKind::Ratio { .. } => stats::Kind::Ratio,
        MetricKind::Quantile { .. } => stats::Kind::Quantile,
    }
}

fn proportion(estimate: &Estimate) -> Proportion {
    Proportion {
        successes: estimate.nonzero,
        n: estimate.n,
    }
}

fn mean_interval(kind: &MetricKind, estimate: &Estimate, alpha: Alpha) -> Option<Interval> {
    if kind.is_binary() {
        stats::wilson(proportion(estimate), alpha)
    } else {
        stats::mean_interval(estimate, alpha)
    }
}

fn probabilities(metric: &Metric, estimates: &[Estimate]) -> Option<Ptbb> {
    let direction = match metric.direction {
        Direction::Increase => stats::Direction::Increase,
        Direction::Decrease => stats::Direction::Decrease,
    };
    if metric.kind.is_binary() {
        let rates: Vec<_> = estimates.iter().map(proportion).collect();
        return stats::ptbb_beta(&rates, stats::BetaPrior::JEFFREYS, direction);
    }
    stats::ptbb_estimates(estimates, direction)
}

fn comparisons(
    experiment: &Experiment,
    metric: &MetricKind,
    estimates: &[Estimate],
    probabilities: Option<&Ptbb>,
    alpha: Alpha,
) -> Vec<Comparison> {
    let Some((control, treatments)) = estimates.split_first() else {
        return Vec::new();
    };
    let design = stats::Design {
        kind: kind(metric),
        alpha,
        mode: stats::Mode::Hybrid,
        tuning_units: stats::tuning_units(None),
    };
    let variants = experiment.variants.iter().skip(1).zip(treatments).enumerate();
    variants
        .map(|(i, (variant, treatment))| Comparison {
            variant: variant.key.clone(),
            figures: stats::compare(control, treatment, 0.0, &design),
            overflow: false,
            uncapped_lift: None,
            classic: classic(metric, control, treatment, alpha),
            probability_beats_control: probabilities
                .and_then(|p| p.prob_beats_control.get(i + 1).copied().flatten()),
        })
        .collect()
}

fn classic(metric: &MetricKind, control: &Estimate, treatment: &Estimate, alpha: Alpha) -> Option<Classic> {
    if metric.is_binary() {
        let z = stats::two_proportion_z(proportion(control), proportion(treatment), alpha)?;
        let (statistic, p_value) = z.z.zip(z.p_value)?;
        return Some(Classic {
            test: ClassicTest::TwoProportionZ,
            statistic,
            p_value,
            interval: z.interval,
        });
    }
    let welch = stats::welch(control, treatment, alpha)?;
    Some(Classic {
        test: ClassicTest::Welch,
        statistic: welch.t,
        p_value: welch.p_value,
        interval: welch.interval,
    })
}
