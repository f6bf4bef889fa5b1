//! One variant against the control: one estimate, one standard error, one test.

use crate::estimate::{Alpha, Estimate, Interval, Kind, Normal, finite};
use crate::lift::{Lift, relative_lift};
use crate::sequential::{Mixture, Mode, hybrid_p};
use crate::special::{t_sf, t_upper};

/// What a comparison can say, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// One side has no unit: nothing is given.
    NoData,
    /// Fewer than two units on a side, or no variance: means, effect and lift are given, no interval and no p-value.
    NoVariance,
    /// All figures are given, but too few units (or non-zero units) stand behind them to be evidence.
    LowData,
    Ok,
}

/// The least units per variant, and the least expected non-zero units (of rates: also zero units) of the smaller one.
const LEAST_UNITS: u64 = 100;
const LEAST_EXPECTED: f64 = 10.0;

/// How comparisons of an experiment are made; frozen at its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    pub kind: Kind,
    /// One minus the confidence.
    pub alpha: Alpha,
    pub mode: Mode,
    /// See [`tuning_units`](crate::tuning_units).
    pub tuning_units: f64,
}

impl Design {
    /// The mixture all looks of this design share.
    pub fn mixture(&self) -> Mixture {
        Mixture::tuned(self.tuning_units, self.mode.looks(self.alpha))
    }
}

/// An effect and its lift with the intervals of one multiplier of the standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    pub multiplier: f64,
    pub effect: Interval,
    pub lift: Lift,
}

/// Everything that needs a standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The variance guard, at least 1; see [`variance_guard`].
    pub kappa: f64,
    /// Standard error of the effect, guard included; above 0.
    pub se: f64,
    /// Degrees of freedom by Welch and Satterthwaite.
    pub df: f64,
    /// The effect in standard errors.
    pub z: f64,
    /// Two-sided p-value valid at one look only.
    pub p_fixed: f64,
    /// Two-sided p-value valid at all looks together.
    pub p_anytime: f64,
    /// Log of the evidence against "no effect".
    pub log_e: f64,
    /// Valid at all looks together, at the level of the mode for them.
    pub anytime: Bounds,
    /// Valid at one look, at the whole level.
    pub fixed: Bounds,
    /// Valid at the planned end if these are its units, at the level of the mode for it.
    pub end: Bounds,
}

/// The comparison of one variant with the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    pub status: Status,
    /// Treatment − control, in the metric's own unit.
    pub delta: Option<f64>,
    /// The lift, with the interval valid at all looks where there is one.
    pub lift: Option<Lift>,
    pub evidence: Option<Evidence>,
}

impl Comparison {
    /// The interval valid at all looks for the effects on `primaries` metrics together, after `units` of the pair.
    ///
    /// The mixture is that of the design, whatever the level: only so are all looks valid together.
    pub fn interval_adjusted(&self, design: &Design, units: f64, primaries: u32) -> Option<Interval> {
        let level = design.mode.looks(design.alpha).split(primaries);
        let se = self.evidence?.se;
        Some(Interval::around(
            self.delta?,
            design.mixture().multiplier(units, level) * se,
        ))
    }
}

/// Compares `treatment` with `control`.
///
/// `v0` is the variance of a covariate adjustment common to both (0 without): it cancels in the effect, not in the lift.
/// Sources: Welch (1947), Fieller (1954), Waudby-Smith et al. (2024).
/// Checked against scipy and mpmath in `testdata/stats_golden/compare.json` and `real_data.json`.
pub fn compare(control: &Estimate, treatment: &Estimate, v0: f64, design: &Design) -> Comparison {
    let status = status(control, treatment, design.kind);
    let means = control.finite_mean().zip(treatment.finite_mean());
    let evidence = if status >= Status::LowData {
        evidence(control, treatment, v0, design)
    } else {
        None
    };
    let point = means.map(|(m_c, m_t)| Lift::point(m_c, m_t));
    Comparison {
        status,
        delta: means.and_then(|(m_c, m_t)| finite(m_t - m_c)),
        lift: evidence.map(|e| e.anytime.lift).or(point),
        evidence,
    }
}

/// What a comparison of these two can say about a metric of this kind.
pub fn status(control: &Estimate, treatment: &Estimate, kind: Kind) -> Status {
    let smaller = control.n.min(treatment.n);
    if smaller == 0 || control.finite_mean().is_none() || treatment.finite_mean().is_none() {
        return Status::NoData;
    }
    match variance_status(control, treatment, kind) {
        Status::Ok if smaller < LEAST_UNITS || few_expected(control, treatment, kind) => Status::LowData,
        other => other,
    }
}

/// A quantile has an undefined variance when it is too extreme for its units, a mean when it has fewer than two.
fn variance_status(control: &Estimate, treatment: &Estimate, kind: Kind) -> Status {
    match (control.normal(), treatment.normal()) {
        (Some(c), Some(t)) if kind == Kind::Quantile && c.v.min(t.v) == 0.0 => Status::NoVariance,
        (Some(c), Some(t)) if c.v + t.v > 0.0 => Status::Ok,
        (Some(_), Some(_)) => Status::NoVariance,
        _ if kind == Kind::Quantile => Status::LowData,
        _ => Status::NoVariance,
    }
}

/// The gate is on the units expected from the pooled rate, so that a variant that ends all conversions is still seen.
fn few_expected(control: &Estimate, treatment: &Estimate, kind: Kind) -> bool {
    let smaller = control.n.min(treatment.n) as f64;
    let units = control.n as f64 + treatment.n as f64;
    let nonzero = control.nonzero as f64 + treatment.nonzero as f64;
    let few_nonzero = smaller * nonzero / units < LEAST_EXPECTED;
    let few_zero = smaller * (units - nonzero) / units < LEAST_EXPECTED;
    match kind {
        Kind::Binary => few_nonzero || few_zero,
        Kind::Scalar | Kind::Ratio => few_nonzero,
        Kind::Quantile => false,
    }
}

/// By how much the variances of these estimates must grow to be no less than the pooled one: κ ≥ 1, and 1 for equal sizes.
///
/// With unequal sizes the small group's own variance is too small exactly when its mean is (few conversions, no big
/// spender yet), and a sequential test then rejects far too often. `None` if one has fewer than two units, or none varies.
/// Checked in `testdata/stats_golden/welch.json`.
pub fn variance_guard(estimates: &[Estimate]) -> Option<f64> {
    let (mut squares, mut freedom, mut inverse, mut own) = (0.0, 0.0, 0.0, 0.0);
    for estimate in estimates {
        let (n, v) = (estimate.n as f64, estimate.normal()?.v);
        if estimate.n < 2 {
            return None;
        }
        squares += (n - 1.0) * n * v;
        freedom += n - 1.0;
        inverse += 1.0 / n;
        own += v;
    }
    (own > 0.0).then(|| (squares / freedom * inverse / own).max(1.0))
}

/// Degrees of freedom of the sum of two independent variances of means.
///
/// Source: Welch (1947), Satterthwaite (1946).
pub(crate) fn welch_df(v_a: f64, n_a: u64, v_b: f64, n_b: u64) -> f64 {
    // Shares instead of variances: their squares neither overflow nor vanish.
    let share = v_a / (v_a + v_b);
    let other = v_b / (v_a + v_b);
    1.0 / (share * share / (n_a as f64 - 1.0) + other * other / (n_b as f64 - 1.0))
}

fn evidence(control: &Estimate, treatment: &Estimate, v0: f64, design: &Design) -> Option<Evidence> {
    let (c, t) = (control.normal()?, treatment.normal()?);
    let kappa = variance_guard(&[*control, *treatment])?;
    let se = finite((kappa * (c.v + t.v)).sqrt())?;
    let z = finite((t.mean - c.mean) / se)?;
    let df = welch_df(t.v, treatment.n, c.v, control.n);
    let n = control.n as f64 + treatment.n as f64;
    let mixture = design.mixture();
    let guarded = |x: Normal| Normal { v: kappa * x.v, ..x };
    let bounds = |multiplier: f64| Bounds {
        multiplier,
        effect: Interval::around(t.mean - c.mean, multiplier * se),
        lift: relative_lift(guarded(c), guarded(t), multiplier, v0),
    };
    let one_look = |level: Alpha| bounds(t_upper(0.5 * level.get(), df));
    Some(Evidence {
        kappa,
        se,
        df,
        z,
        p_fixed: 2.0 * t_sf(z.abs(), df),
        p_anytime: mixture.p_value(n, z),
        log_e: mixture.log_e(n, z),
        anytime: bounds(mixture.multiplier(n, design.mode.looks(design.alpha))),
        fixed: one_look(design.alpha),
        end: one_look(design.mode.end(design.alpha)),
    })
}

/// The p-value that decides: valid however often one looks, and at the planned end.
///
/// `planned_end` is the comparison on the units of the planned end, `None` before it is evaluated. A comparison that is
/// not [`Status::Ok`] counts as 1.
pub fn decisive_p(now: &Comparison, planned_end: Option<&Comparison>, mode: Mode) -> f64 {
    let sound = |c: &Comparison| c.evidence.filter(|_| c.status == Status::Ok);
    let p_anytime = sound(now).map(|e| e.p_anytime);
    match mode {
        Mode::Anytime => p_anytime.unwrap_or(1.0),
        Mode::Hybrid => hybrid_p(p_anytime, planned_end.and_then(sound).map(|e| e.p_fixed)),
    }
}
