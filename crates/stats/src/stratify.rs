//! One estimate per variant from several cohorts, each with weights of its own.

use crate::estimate::Estimate;

/// The variants of an experiment whose weights changed while it ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Stratified {
    /// Per variant; `None` if no cohort can be used.
    pub estimates: Option<Vec<Estimate>>,
    /// The share of each cohort, 0 for one that cannot be used; whatever else is estimated per cohort combines the same way.
    pub weights: Vec<f64>,
    /// Units of the cohorts that cannot be used.
    pub excluded_units: u64,
}

/// Combines the cohorts in which every variant has two units or more, weighted by their units.
///
/// `cohorts[c][k]` is variant `k` in cohort `c`; all cohorts have the same variants. Pooled means would be wrong: a variant
/// with more weight on better days would look better (Simpson's paradox). One usable cohort is returned as it is.
/// Checked against exact rational arithmetic in `testdata/stats_golden/stratify.json`.
pub fn stratify(cohorts: &[Vec<Estimate>]) -> Stratified {
    let units: Vec<u64> = cohorts
        .iter()
        .map(|cohort| cohort.iter().map(|e| e.n).sum())
        .collect();
    let usable: Vec<bool> = cohorts
        .iter()
        .map(|cohort| cohort.iter().all(|e| e.n >= 2 && e.normal().is_some()))
        .collect();
    let used: u64 = units
        .iter()
        .zip(&usable)
        .filter(|(_, usable)| **usable)
        .map(|(n, _)| n)
        .sum();
    let share = |(n, usable): (&u64, &bool)| {
        if *usable && used > 0 {
            *n as f64 / used as f64
        } else {
            0.0
        }
    };
    let weights: Vec<f64> = units.iter().zip(&usable).map(share).collect();
    Stratified {
        estimates: (used > 0).then(|| combine(cohorts, &weights)),
        weights,
        excluded_units: units.iter().sum::<u64>() - used,
    }
}

fn combine(cohorts: &[Vec<Estimate>], weights: &[f64]) -> Vec<Estimate> {
    let variants = cohorts.first().map_or(0, Vec::len);
    let used = || cohorts.iter().zip(weights).filter(|(_, w)| **w > 0.0);
    let variant = |k: usize| Estimate {
        n: used().map(|(cohort, _)| cohort[k].n).sum(),
        nonzero: used().map(|(cohort, _)| cohort[k].nonzero).sum(),
        mean: used().map(|(cohort, w)| cohort[k].mean.map(|m| w * m)).sum(),
        v: used().map(|(cohort, w)| cohort[k].v.map(|v| w * w * v)).sum(),
    };
    (0..variants).map(variant).collect()
}
