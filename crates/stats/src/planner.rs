//! How many units, how long, and what can be found: the normal approximation of the tests that decide.

use crate::estimate::{Alpha, finite};
use crate::sequential::{Mixture, Mode};
use crate::special::{norm_sf, norm_upper};

/// The variances of one unit's value under control and treatment, and the size of the treatment per unit of control.
///
/// Of a rate `p`: `p(1-p)`; of a ratio: `n` times the variance of the estimate; with CUPED: times `1 - r²`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    pub var_control: f64,
    pub var_treatment: f64,
    /// `n_T / n_C`, above 0.
    pub ratio: f64,
    /// The level of the two-sided test; twice that of a one-sided one, as for non-inferiority.
    pub alpha: Alpha,
    /// The chance to find the effect if it is there, in 0..1.
    pub power: f64,
}

/// Units of control and treatment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleSize {
    pub n_control: u64,
    pub n_treatment: u64,
}

/// The level of one test at the planned end, of an experiment with `comparisons` primary metrics × treatments.
pub fn planning_level(alpha: Alpha, mode: Mode, comparisons: u32) -> Alpha {
    mode.end(alpha).split(comparisons)
}

/// The power to plan each of `guardrails` non-inferiority tests and the primary with, so that all hold with `power`.
pub fn power_with_guardrails(power: f64, guardrails: u32) -> f64 {
    1.0 - (1.0 - power) / (f64::from(guardrails) + 1.0)
}

impl Plan {
    /// The distance, in standard errors, between no effect and one that is found with the planned power.
    fn distance(&self) -> Option<f64> {
        let possible = self.power > 0.0 && self.power < 1.0 && self.ratio > 0.0;
        let distance = possible.then(|| norm_upper(0.5 * self.alpha.get()) + norm_upper(1.0 - self.power));
        distance.filter(|d| *d > 0.0)
    }

    /// The units that find the absolute effect `delta`; `None` if no number does.
    ///
    /// For non-inferiority `delta` is the margin. Checked against statsmodels `normal_sample_size_one_tail` in
    /// `testdata/stats_golden/power.json`.
    pub fn sample_size(&self, delta: f64) -> Option<SampleSize> {
        let distance = self.distance()?;
        let variance = self.var_control + self.var_treatment / self.ratio;
        let n = finite(distance * distance * variance / (delta * delta))?;
        Some(SampleSize {
            n_control: n.ceil() as u64,
            n_treatment: (self.ratio * n).ceil() as u64,
        })
    }

    /// The absolute effect that `n_control` units and their share of treatment find; `None` without units.
    ///
    /// Checked against statsmodels in `testdata/stats_golden/power.json`.
    pub fn mde(&self, n_control: f64) -> Option<f64> {
        let variance = (self.var_control + self.var_treatment / self.ratio) / n_control;
        finite(self.distance()? * variance.sqrt())
    }

    /// The units of the pair after which the interval valid at all looks excludes 0 with the planned power.
    ///
    /// Tuned for `tuning_units`, or for the answer itself; `None` if no number below `2^53` does.
    /// Checked in `testdata/stats_golden/power.json`.
    pub fn sample_size_anytime(&self, delta: f64, tuning_units: Option<f64>) -> Option<u64> {
        self.distance()?;
        let control_share = 1.0 / (1.0 + self.ratio);
        let variance = self.var_control / control_share + self.var_treatment / (1.0 - control_share);
        let enough = |n: u64| {
            let n = n as f64;
            let mixture = Mixture::tuned(tuning_units.unwrap_or(n), self.alpha);
            delta.abs() * (n / variance).sqrt()
                >= mixture.multiplier(n, self.alpha) + norm_upper(1.0 - self.power)
        };
        smallest(1 << 53, enough)
    }
}

/// The smallest number in `1..=most` that is enough, where all above an enough one are.
fn smallest(most: u64, enough: impl Fn(u64) -> bool) -> Option<u64> {
    if !enough(most) {
        return None;
    }
    let (mut too_few, mut fits) = (0, most);
    while fits - too_few > 1 {
        let middle = too_few + (fits - too_few) / 2;
        if enough(middle) {
            fits = middle;
        } else {
            too_few = middle;
        }
    }
    Some(fits)
}

/// The chance that the two-sided test finds the absolute effect `delta`, measured with standard error `se`.
///
/// `None` unless `se > 0`. Checked against statsmodels `normal_power_het` in `testdata/stats_golden/power.json`.
pub fn power(delta: f64, se: f64, alpha: Alpha) -> Option<f64> {
    let u = finite(delta.abs() / se)?;
    let z = norm_upper(0.5 * alpha.get());
    Some(norm_sf(z - u) + norm_sf(u + z))
}

/// The increase of the rate `p_control` that is found with `power`; `None` if it exceeds `1 - p_control`.
///
/// The variance of the treatment depends on the increase, so `δ = k·SE(δ)` is a quadratic equation in `δ`.
/// Checked against mpmath `findroot` in `testdata/stats_golden/power.json`.
pub fn mde_binary(p_control: f64, n_control: f64, n_treatment: f64, alpha: Alpha, power: f64) -> Option<f64> {
    if !(power > 0.0 && power < 1.0 && (0.0..=1.0).contains(&p_control)) {
        return None;
    }
    let k = norm_upper(0.5 * alpha.get()) + norm_upper(1.0 - power);
    let k2t = k * k / n_treatment;
    let constant = p_control * (1.0 - p_control) * (k * k / n_control + k2t);
    let linear = 0.5 * k2t * (1.0 - 2.0 * p_control);
    let square = 1.0 + k2t;
    let delta = finite((linear + (linear * linear + square * constant).sqrt()) / square)?;
    (delta <= 1.0 - p_control).then_some(delta)
}

/// Days of enrollment, and until every unit's window has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runtime {
    pub enrollment_days: u64,
    pub total_days: u64,
}

/// How long an experiment of `n_total` units runs: whole weeks, at least `min_days`, then the window; `None` without
/// units per day.
pub fn runtime(n_total: u64, units_per_day: f64, window_days: u64, min_days: u64) -> Option<Runtime> {
    let days = finite(n_total as f64 / units_per_day)
        .filter(|days| *days >= 0.0)?
        .ceil() as u64;
    let enrollment_days = min_days.max(days.div_ceil(7).saturating_mul(7));
    Some(Runtime {
        enrollment_days,
        total_days: enrollment_days.saturating_add(window_days),
    })
}

/// How many more units a running comparison of `n` units with standard error `se` needs to find `delta` with power 0.8.
///
/// 0 once it has them; `None` if no number does.
pub fn units_needed(n: u64, se: f64, delta: f64, alpha: Alpha) -> Option<u64> {
    let wanted = delta.abs() / (norm_upper(0.5 * alpha.get()) + norm_upper(0.2));
    let n = n as f64;
    Some(finite(n * (se / wanted) * (se / wanted) - n)?.max(0.0).ceil() as u64)
}
