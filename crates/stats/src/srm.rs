//! Sample ratio mismatch: exposure counts that contradict the weights.

use crate::estimate::finite;
use crate::special::chi2_sf;

/// The units of one cohort (one vector of weights) by variant; units set aside are not counted.
///
/// Weights are relative shares, at least 0; both slices have one element per variant.
#[derive(Debug, Clone, Copy)]
pub struct CohortCounts<'a> {
    pub counts: &'a [u64],
    pub weights: &'a [f64],
}

impl CohortCounts<'_> {
    fn units(&self) -> f64 {
        self.counts.iter().map(|&n| n as f64).sum()
    }

    /// Whether a unit is in a variant that could have none.
    fn impossible(&self) -> bool {
        self.counts
            .iter()
            .zip(self.weights)
            .any(|(&n, &w)| n > 0 && w <= 0.0)
    }

    /// Count and share of weight of each variant that can have units.
    fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let total: f64 = self.weights.iter().sum();
        let open = self.counts.iter().zip(self.weights).filter(|(_, w)| **w > 0.0);
        open.map(move |(&n, &w)| (n as f64, w / total))
    }
}

/// The chi-squared test of the counts against the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SrmChi2 {
    /// `None`, as is `df`, where the test does not apply.
    pub chi2: Option<f64>,
    pub df: Option<u32>,
    /// 0 if a unit is in a variant of weight 0; `None` where the test does not apply.
    pub p_value: Option<f64>,
}

/// The least expected count for which chi-squared applies.
const LEAST_EXPECTED: f64 = 5.0;

/// Chi-squared over all cohorts that have units; it is shown and warns, but does not decide, as it is valid at one look.
///
/// Not given below 5 expected units in any variant, or with fewer than two variants of positive weight.
/// Checked against scipy `chisquare` in `testdata/stats_golden/srm.json`.
pub fn srm_chi2(cohorts: &[CohortCounts]) -> SrmChi2 {
    let none = SrmChi2 {
        chi2: None,
        df: None,
        p_value: None,
    };
    if cohorts.iter().any(CohortCounts::impossible) {
        return SrmChi2 {
            p_value: Some(0.0),
            ..none
        };
    }
    let (mut chi2, mut df) = (0.0, 0);
    for cohort in cohorts.iter().filter(|c| c.units() > 0.0) {
        for (observed, share) in cohort.shares() {
            let expected = share * cohort.units();
            if expected < LEAST_EXPECTED {
                return none;
            }
            chi2 += (observed - expected) * (observed - expected) / expected;
            df += 1;
        }
        df -= 1;
    }
    if df == 0 {
        return none;
    }
    SrmChi2 {
        chi2: Some(chi2),
        df: Some(df),
        p_value: Some(chi2_sf(chi2, df)),
    }
}

/// How far each variant's count is from what its weight expects, in standard deviations: near normal if nothing is wrong.
///
/// Broken down by day and dimension, the largest show where a mismatch comes from. `None` for a variant of weight 0, one
/// of all the weight, or without units.
pub fn srm_residuals(cohort: &CohortCounts) -> Vec<Option<f64>> {
    let (total, units) = (cohort.weights.iter().sum::<f64>(), cohort.units());
    let residual = |(&n, &w): (&u64, &f64)| {
        let share = w / total;
        finite((n as f64 - units * share) / (units * share * (1.0 - share)).sqrt())
    };
    cohort.counts.iter().zip(cohort.weights).map(residual).collect()
}

/// The concentrations of the Dirichlet alternatives, from coarse to fine mismatches.
pub const SRM_CONCENTRATIONS: [f64; 3] = [100.0, 1000.0, 10_000.0];

/// Log of the evidence that the counts contradict the weights; cohorts multiply.
///
/// It is the mean, over the concentrations, of Dirichlet-multinomial against multinomial likelihoods.
/// `None` if a unit is in a variant of weight 0, which no evidence could exceed.
/// Source: Lindon, Malek (2022). Checked against mpmath and ssrm-test in `testdata/stats_golden/srm.json`.
pub fn srm_log_e(cohorts: &[CohortCounts], concentrations: &[f64]) -> Option<f64> {
    if cohorts.iter().any(CohortCounts::impossible) {
        return None;
    }
    Some(
        cohorts
            .iter()
            .map(|cohort| cohort_log_e(cohort, concentrations))
            .sum(),
    )
}

fn cohort_log_e(cohort: &CohortCounts, concentrations: &[f64]) -> f64 {
    let logs: Vec<f64> = concentrations
        .iter()
        .map(|&c| dirichlet_log_e(cohort, c))
        .collect();
    let largest = logs.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = logs.iter().map(|log| libm::exp(log - largest)).sum();
    largest + libm::log(sum / logs.len() as f64)
}

fn dirichlet_log_e(cohort: &CohortCounts, concentration: f64) -> f64 {
    let start = libm::lgamma(concentration) - libm::lgamma(concentration + cohort.units());
    cohort.shares().fold(start, |log, (n, w)| {
        let prior = concentration * w;
        log + libm::lgamma(prior + n) - libm::lgamma(prior) - n * libm::log(w)
    })
}

/// The p-value at each of a series of looks: one over the largest evidence so far, so it never rises.
///
/// Element `i` of `log_e` is [`srm_log_e`] of the totals at look `i`. At most 1 % of healthy experiments ever see 0.01 or
/// less, however often one looks.
pub fn srm_sequential(log_e: &[Option<f64>]) -> Vec<f64> {
    let running = log_e.iter().scan(0.0_f64, |largest, log| {
        *largest = largest.max(log.unwrap_or(f64::INFINITY));
        Some(libm::exp(-*largest))
    });
    running.collect()
}
