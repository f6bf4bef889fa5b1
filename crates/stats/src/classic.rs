//! Textbook figures, valid at one look planned beforehand. They are shown for comparison and never decide.

use crate::compare::welch_df;
use crate::estimate::{Alpha, Estimate, Interval, finite};
use crate::special::{norm_sf, norm_upper, t_sf, t_upper};

/// Welch's test of a difference of means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Welch {
    /// Treatment − control.
    pub delta: f64,
    pub se: f64,
    pub df: f64,
    pub t: f64,
    /// Two-sided.
    pub p_value: f64,
    pub interval: Interval,
}

/// Welch's two-sample test and interval for the difference of means, treatment − control, in the metric's own unit.
///
/// `None` if a side has fewer than two units, or neither varies.
/// Source: Welch (1947). Checked against scipy `ttest_ind_from_stats` in `testdata/stats_golden/welch.json`.
pub fn welch(control: &Estimate, treatment: &Estimate, alpha: Alpha) -> Option<Welch> {
    let (c, t) = (control.normal()?, treatment.normal()?);
    if control.n.min(treatment.n) < 2 || c.v + t.v == 0.0 {
        return None;
    }
    let (delta, se) = (t.mean - c.mean, (c.v + t.v).sqrt());
    let df = welch_df(t.v, treatment.n, c.v, control.n);
    Some(Welch {
        delta,
        se,
        df,
        t: finite(delta / se)?,
        p_value: 2.0 * t_sf((delta / se).abs(), df),
        interval: Interval::around(delta, t_upper(0.5 * alpha.get(), df) * se),
    })
}

/// The t interval of one variant's mean; `None` below two units.
pub fn mean_interval(estimate: &Estimate, alpha: Alpha) -> Option<Interval> {
    let Estimate { n: 2.., .. } = estimate else {
        return None;
    };
    let normal = estimate.normal()?;
    let multiplier = t_upper(0.5 * alpha.get(), estimate.n as f64 - 1.0);
    Some(Interval::around(normal.mean, multiplier * normal.v.sqrt()))
}

/// Units that converted, of all counted: `successes <= n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proportion {
    pub successes: u64,
    pub n: u64,
}

impl Proportion {
    /// The share that converted; `None` without units.
    pub fn rate(self) -> Option<f64> {
        (self.n > 0).then(|| self.successes as f64 / self.n as f64)
    }
}

/// Wilson's score interval of a rate; `None` without units. Its lower end is 0 at no success, its upper 1 at no failure.
///
/// Source: Wilson (1927); Brown, Cai, Das Gupta (2001). Checked against statsmodels `proportion_confint` in
/// `testdata/stats_golden/proportions.json`.
pub fn wilson(of: Proportion, alpha: Alpha) -> Option<Interval> {
    let rate = of.rate()?;
    let n = of.n as f64;
    let z = norm_upper(0.5 * alpha.get());
    let z2n = z * z / n;
    let center = (rate + 0.5 * z2n) / (1.0 + z2n);
    let half = (rate * (1.0 - rate) * z2n + 0.25 * z2n * z2n).sqrt() / (1.0 + z2n);
    Some(Interval {
        lower: if of.successes == 0 {
            0.0
        } else {
            (center - half).max(0.0)
        },
        upper: if of.successes == of.n {
            1.0
        } else {
            (center + half).min(1.0)
        },
    })
}

/// The pooled two-proportion z-test with Wald's interval of the difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoProportionZ {
    /// Treatment − control.
    pub delta: f64,
    /// `None`, as is the p-value, when all units or none converted.
    pub z: Option<f64>,
    /// Two-sided.
    pub p_value: Option<f64>,
    pub interval: Interval,
}

/// Tests the difference of two rates, treatment − control; `None` if a side has no unit.
///
/// Checked against statsmodels `proportions_ztest` in `testdata/stats_golden/proportions.json`.
pub fn two_proportion_z(control: Proportion, treatment: Proportion, alpha: Alpha) -> Option<TwoProportionZ> {
    let (p_c, p_t) = (control.rate()?, treatment.rate()?);
    let (n_c, n_t) = (control.n as f64, treatment.n as f64);
    let pooled = (control.successes as f64 + treatment.successes as f64) / (n_c + n_t);
    let pooled_se = (pooled * (1.0 - pooled) * (1.0 / n_c + 1.0 / n_t)).sqrt();
    let wald_se = (p_c * (1.0 - p_c) / n_c + p_t * (1.0 - p_t) / n_t).sqrt();
    let z = (pooled_se > 0.0).then(|| (p_t - p_c) / pooled_se);
    Some(TwoProportionZ {
        delta: p_t - p_c,
        z,
        p_value: z.map(|z| 2.0 * norm_sf(z.abs())),
        interval: Interval::around(p_t - p_c, norm_upper(0.5 * alpha.get()) * wald_se),
    })
}
