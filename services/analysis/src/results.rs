//! Use case: an experiment's result, from sums alone: its cost does not grow with events or units.

mod figures;
mod totals;

use assay_core::{
    experiment::{Experiment, ExperimentMetric, Role},
    key::{ExperimentKey, Namespace, VariantKey},
    lifecycle::State,
    metric::Metric,
    time::Timestamp,
};
use assay_stats as stats;
use assay_storage::analysis_store::{CellKey, Measure, Sums, Tally};
use stats::{Alpha, CohortCounts, Estimate, Interval, SrmChi2};

use self::totals::Totals;

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
    pub(crate) listed: ExperimentMetric,
    pub(crate) variants: Vec<VariantEstimate>,
    /// Empty when figures are not computed.
    pub(crate) comparisons: Vec<Comparison>,
    /// Why figures are not computed, for people; absent when they are.
    pub(crate) not_computed: Option<&'static str>,
}

/// What one variant says about one metric.
#[derive(Debug)]
pub(crate) struct VariantEstimate {
    pub(crate) variant: VariantKey,
    pub(crate) estimate: Estimate,
    pub(crate) interval: Option<Interval>,
    pub(crate) pending: i64,
    pub(crate) excluded: i64,
    /// Units without any value.
    pub(crate) valueless: i64,
    /// Counted units whose value was above the cap.
    pub(crate) capped: i64,
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
    /// The lift without the metric's cap.
    pub(crate) uncapped_lift: Option<f64>,
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
    metrics.sort_by_key(|measured| rank(measured.listed.role));
    ExperimentResult {
        computed_at,
        data_through,
        variants: counts(&experiment, &totals),
        srm: srm(&experiment, cells),
        metrics: metrics
            .into_iter()
            .map(|measured| figures::of(&experiment, measured, &totals, alpha))
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

#[cfg(test)]
mod tests;
