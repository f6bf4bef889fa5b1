//! Intervals and p-values that hold for all looks together: the normal-mixture confidence sequence.

use crate::estimate::Alpha;

/// How the error budget is spent over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A fifth for all looks for ever, four fifths for the one test at the planned end.
    Hybrid,
    /// All of it for all looks; there is no planned end.
    Anytime,
}

/// The share of the error budget for the test at the planned end in [`Mode::Hybrid`].
const END_SHARE: f64 = 0.8;
const LOOKS_SHARE: f64 = 0.2;

impl Mode {
    /// The level of the intervals and p-values shown at any look.
    pub fn looks(self, alpha: Alpha) -> Alpha {
        match self {
            Mode::Hybrid => alpha.times(LOOKS_SHARE),
            Mode::Anytime => alpha,
        }
    }

    /// The level of a test valid at one look: that at the planned end, or all of `alpha` where none is planned.
    pub fn end(self, alpha: Alpha) -> Alpha {
        match self {
            Mode::Hybrid => alpha.times(END_SHARE),
            Mode::Anytime => alpha,
        }
    }
}

/// The least and the default number of units for which [`Mixture`]s are tuned.
const LEAST_TUNING_UNITS: f64 = 100.0;
const DEFAULT_TUNING_UNITS: f64 = 5000.0;

/// N*, the number of units of a pair at which its interval shall be narrowest: half the units that it is planned to have.
///
/// Half, because too large an N* costs more than too small a one. At least 100; 5000 when nothing is planned. It must not
/// change while an experiment runs: all looks are valid together only under one tuning.
pub fn tuning_units(planned_units: Option<f64>) -> f64 {
    planned_units.map_or(DEFAULT_TUNING_UNITS, |n| (0.5 * n).max(LEAST_TUNING_UNITS))
}

/// The mixing distribution of the confidence sequence, frozen at the start of an experiment.
///
/// Source: Robbins (1970); Howard et al. (2021); Waudby-Smith et al. (2024), equations 9, 134, 155 and 161.
/// Checked against mpmath and gbstats in `testdata/stats_golden/confidence_sequence.json`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    rho2: f64,
}

impl Mixture {
    /// Narrowest near `tuning_units` units (at least 1 is used) for an interval at level `level`.
    pub fn tuned(tuning_units: f64, level: Alpha) -> Mixture {
        let spread = -2.0 * libm::log(level.get());
        Mixture {
            rho2: (spread + libm::log1p(spread)) / tuning_units.max(1.0),
        }
    }

    /// The variance ρ² of the mixing distribution, per unit.
    pub fn rho2(self) -> f64 {
        self.rho2
    }

    /// Half width of the two-sided interval at level `level` in standard errors, after `n >= 1` units of the pair.
    pub fn multiplier(self, n: f64, level: Alpha) -> f64 {
        let x = n * self.rho2;
        ((x + 1.0) / x * (libm::log1p(x) - 2.0 * libm::log(level.get()))).sqrt()
    }

    /// Log of the evidence against "no effect" after `n >= 1` units, at `z` standard errors.
    pub fn log_e(self, n: f64, z: f64) -> f64 {
        let x = n * self.rho2;
        0.5 * (x * z * z / (x + 1.0) - libm::log1p(x))
    }

    /// Two-sided p-value: at most `a` exactly when `|z|` reaches [`multiplier`](Self::multiplier)`(n, a)`, for every `a`.
    pub fn p_value(self, n: f64, z: f64) -> f64 {
        libm::exp(-self.log_e(n, z).max(0.0))
    }

    /// Distance of the one-sided bound at level `level` from the estimate, in standard errors.
    pub fn one_sided_multiplier(self, n: f64, level: Alpha) -> f64 {
        let x = n * self.rho2;
        let root = (x + 1.0).sqrt();
        (2.0 * (x + 1.0) / x * libm::log1p(root / (2.0 * level.get()))).sqrt()
    }

    /// One-sided p-value against "not above 0", at `z` standard errors above; 1 for `z <= 0`.
    pub fn one_sided_p_value(self, n: f64, z: f64) -> f64 {
        if z <= 0.0 {
            return 1.0;
        }
        let x = n * self.rho2;
        let u = x * z * z / (2.0 * (x + 1.0));
        let log_expm1 = if u > 700.0 { u } else { libm::log(libm::expm1(u)) };
        libm::exp((0.5 * libm::log1p(x) - std::f64::consts::LN_2 - log_expm1).min(0.0))
    }
}

/// One p-value from that of all looks and that of the planned end, each absent where there is none (yet).
///
/// By the union bound the chance that it ever falls to α under no effect is at most α.
/// Checked against the definition in `testdata/stats_golden/confidence_sequence.json`.
pub fn hybrid_p(p_anytime: Option<f64>, p_end: Option<f64>) -> f64 {
    let looks = p_anytime.map_or(1.0, |p| p / LOOKS_SHARE);
    let end = p_end.map_or(1.0, |p| p / END_SHARE);
    looks.min(end).min(1.0)
}
