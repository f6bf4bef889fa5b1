//! Use case: an experiment's result, from sums alone: its cost does not grow with events or units.

use std::collections::BTreeMap;

use assay_core::{
    experiment::{Experiment, Role},
    key::{ExperimentKey, Namespace, VariantKey},
    lifecycle::State,
    metric::{Direction, Metric, MetricKind},
    time::Timestamp,
};
use assay_stats as stats;
use assay_storage::analysis_store::{CellKey, Measure, Sums, Tally};
use stats::{Alpha, CohortCounts, Estimate, Interval, Moments, Proportion, Ptbb, Scale, SrmChi2};

use crate::{
    Analysis,
    definitions::{Counting, Definition},
    error::Error,
};

/// An experiment's result.
#[derive(Debug)]
pub(crate) struct ExperimentResult {
    pub(crate) experiment: Experiment,
    pub(crate) computed_at: Timestamp,
    pub(crate) data_through: Option<Timestamp>,
    pub(crate) variants: Vec<VariantCount>,
    pub(crate) srm: SrmChi2,
    pub(crate) metrics: Vec<MetricResult>,
    pub(crate) tally: Tally,
    pub(crate) counting: Counting,
}

/// Units of one variant.
#[derive(Debug)]
pub(crate) struct VariantCount {
    pub(crate) variant: VariantKey,
    pub(crate) weight: f64,
    pub(crate) units: i64,
    pub(crate) set_aside: i64,
}

/// The figures of one metric.
#[derive(Debug)]
pub(crate) struct MetricResult {
    pub(crate) metric: Metric,
    pub(crate) role: Role,
    pub(crate) variants: Vec<VariantEstimate>,
    pub(crate) comparisons: Vec<Comparison>,
}

/// What one variant says about one metric.
#[derive(Debug)]
pub(crate) struct VariantEstimate {
    pub(crate) variant: VariantKey,
    pub(crate) estimate: Estimate,
    pub(crate) interval: Option<Interval>,
    pub(crate) pending: i64,
    pub(crate) excluded: i64,
    pub(crate) probability_best: Option<f64>,
    pub(crate) expected_loss: Option<f64>,
}

/// One variant against the control.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) variant: VariantKey,
    pub(crate) figures: stats::Comparison,
    /// Whether a sum left 128 bits: then nothing else is given.
    pub(crate) overflow: bool,
    pub(crate) classic: Option<Classic>,
    pub(crate) probability_beats_control: Option<f64>,
}

/// A test that is valid at one look planned beforehand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classic {
    pub(crate) test: ClassicTest,
    pub(crate) statistic: f64,
    pub(crate) p_value: f64,
    pub(crate) interval: Interval,
}

/// Which classic test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClassicTest {
    TwoProportionZ,
    Welch,
}

/// χ² below which the counts contradict the weights (Fabijan et al. 2019; Kohavi, Tang, Xu 2020).
pub(crate) const SRM_SUSPECTED: f64 = 0.0005;

/// The result of an experiment as of now.
///
/// # Errors
/// [`Error::Definitions`] (`NOT_FOUND` among them), [`Error::Draft`], [`Error::Store`].
pub(crate) async fn get_results(
    analysis: &Analysis,
    namespace: &Namespace,
    key: &ExperimentKey,
) -> Result<ExperimentResult, Error> {
    let definition = analysis.reader.definitions.one(namespace, key).await?;
    if definition.experiment.state == State::Draft {
        return Err(Error::Draft {
            experiment: key.clone(),
        });
    }
    let partitions = analysis.reader.log.partitions();
    let progress = analysis.reader.store.progress(partitions).await?;
    let through = progress.iter().map(|p| p.through).min().unwrap_or_default();
    let cells = analysis.reader.store.cells(namespace, key).await?;
    let tally = analysis.reader.store.tally(namespace).await?;
    let computed_at = Timestamp::from_micros(analysis.reader.clock.now_micros());
    let data_through = (through > Timestamp::default()).then_some(through);
    Ok(compute(definition, &cells, tally, computed_at, data_through))
}

/// The result that `cells` make.
pub(crate) fn compute(
    definition: Definition,
    cells: &[(CellKey, Sums)],
    tally: Tally,
    computed_at: Timestamp,
    data_through: Option<Timestamp>,
) -> ExperimentResult {
    let Definition {
        experiment,
        counting,
        mut metrics,
    } = definition;
    let totals = Totals::of(&experiment, cells);
    let alpha = Alpha::new(1.0 - experiment.confidence).unwrap_or(Alpha::DEFAULT);
    metrics.sort_by_key(|(role, _)| rank(*role));
    ExperimentResult {
        computed_at,
        data_through,
        variants: counts(&experiment, &totals),
        srm: srm(&experiment, cells),
        metrics: metrics
            .into_iter()
            .map(|(role, metric)| metric_result(&experiment, role, metric, &totals, alpha))
            .collect(),
        tally,
        counting,
        experiment,
    }
}

fn rank(role: Role) -> u8 {
    match role {
        Role::Primary => 0,
        Role::Guardrail => 1,
        Role::Secondary => 2,
    }
}

/// Sums over cohorts and days, by variant and measure; `None` where they leave 128 bits.
struct Totals<'a>(BTreeMap<(&'a VariantKey, &'a Measure), Option<Moments>>);

impl<'a> Totals<'a> {
    fn of(experiment: &Experiment, cells: &'a [(CellKey, Sums)]) -> Self {
        let mut totals: BTreeMap<_, Option<Moments>> = BTreeMap::new();
        for (key, sums) in cells.iter().filter(|(key, _)| key.experiment == experiment.key) {
            let total = totals
                .entry((&key.variant, &key.measure))
                .or_insert(Some(Moments::default()));
            *total = total.and_then(|total| total.merge(moments(sums)).ok());
        }
        Self(totals)
    }

    fn get(&self, variant: &VariantKey, measure: &Measure) -> Option<Moments> {
        self.0
            .get(&(variant, measure))
            .copied()
            .unwrap_or(Some(Moments::default()))
    }

    fn units(&self, variant: &VariantKey, measure: &Measure) -> i64 {
        self.get(variant, measure)
            .and_then(|m| i64::try_from(m.n).ok())
            .unwrap_or(i64::MAX)
    }
}

fn moments(sums: &Sums) -> Moments {
    Moments {
        n: sums.n.into(),
        nonzero: sums.nonzero.into(),
        sum_y: sums.sum,
        sum_yy: sums.sum_squares,
    }
}

fn counts(experiment: &Experiment, totals: &Totals<'_>) -> Vec<VariantCount> {
    let weights = experiment
        .cohorts
        .last()
        .map(|cohort| cohort.weights.shares())
        .unwrap_or_default();
    let shares = weights.iter().copied().chain(std::iter::repeat(0));
    let count = |(variant, share): (&assay_core::experiment::Variant, u32)| VariantCount {
        variant: variant.key.clone(),
        weight: f64::from(share) / f64::from(assay_core::weights::WHOLE),
        units: totals.units(&variant.key, &Measure::Exposed),
        set_aside: totals.units(&variant.key, &Measure::SetAside),
    };
    experiment.variants.iter().zip(shares).map(count).collect()
}

/// χ² over cohorts of the units by first exposure, those set aside left out.
fn srm(experiment: &Experiment, cells: &[(CellKey, Sums)]) -> SrmChi2 {
    let cohorts: Vec<(Vec<u64>, Vec<f64>)> = experiment
        .cohorts
        .iter()
        .map(|cohort| {
            let of = |variant: &VariantKey| {
                let exposed = cells.iter().filter(|(key, _)| {
                    key.cohort == cohort.number && key.variant == *variant && key.measure == Measure::Exposed
                });
                exposed.map(|(_, sums)| u64::try_from(sums.n).unwrap_or(0)).sum()
            };
            let counts = experiment
                .variants
                .iter()
                .map(|variant| of(&variant.key))
                .collect();
            (
                counts,
                cohort
                    .weights
                    .shares()
                    .iter()
                    .map(|&share| f64::from(share))
                    .collect(),
            )
        })
        .collect();
    let cohorts: Vec<_> = cohorts
        .iter()
        .map(|(counts, weights)| CohortCounts { counts, weights })
        .collect();
    stats::srm_chi2(&cohorts)
}

fn metric_result(
    experiment: &Experiment,
    role: Role,
    metric: Metric,
    totals: &Totals<'_>,
    alpha: Alpha,
) -> MetricResult {
    let measure = Measure::Metric(metric.key.clone());
    let excluded = Measure::Excluded(metric.key.clone());
    let scale = if metric.kind.is_binary() {
        Scale::ONE
    } else {
        Scale::MICRO
    };
    let sums: Vec<Option<Moments>> = experiment
        .variants
        .iter()
        .map(|v| totals.get(&v.key, &measure))
        .collect();
    let estimates: Vec<Estimate> = sums
        .iter()
        .map(|m| m.map(|m| m.estimate(scale)).unwrap_or_default())
        .collect();
    let probabilities = probabilities(&metric, &estimates);
    let variants = experiment
        .variants
        .iter()
        .zip(&estimates)
        .enumerate()
        .map(|(i, (variant, estimate))| {
            let excluded = totals.units(&variant.key, &excluded);
            let counted = i64::try_from(estimate.n).unwrap_or(i64::MAX);
            VariantEstimate {
                variant: variant.key.clone(),
                estimate: *estimate,
                interval: mean_interval(&metric.kind, estimate, alpha),
                pending: totals.units(&variant.key, &Measure::Exposed) - counted - excluded,
                excluded,
                probability_best: probabilities.as_ref().and_then(|p| p.prob_best.get(i).copied()),
                expected_loss: probabilities
                    .as_ref()
                    .and_then(|p| p.expected_loss.get(i).copied()),
            }
        });
    let variants = variants.collect();
    let mut comparisons = comparisons(
        experiment,
        &metric.kind,
        &estimates,
        probabilities.as_ref(),
        alpha,
    );
    for (comparison, treatment) in comparisons.iter_mut().zip(sums.iter().skip(1)) {
        comparison.overflow = sums.first().is_none_or(Option::is_none) || treatment.is_none();
    }
    MetricResult {
        metric,
        role,
        variants,
        comparisons,
    }
}

fn kind(kind: &MetricKind) -> stats::Kind {
    if kind.is_binary() {
        stats::Kind::Binary
    } else {
        stats::Kind::Scalar
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

#[cfg(test)]
mod tests;
