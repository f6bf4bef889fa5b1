//! How an effect moves over the days of an experiment.

use crate::estimate::finite;
use crate::special::norm_sf;

/// The effect of the units exposed on one day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DayEffect {
    /// The day's number, from any start.
    pub day: f64,
    pub delta: f64,
    /// The variance of `delta`, above 0. Days with fewer than 30 units on a side do not belong here.
    pub v: f64,
}

/// The change of the effect per day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    pub slope: f64,
    pub se: f64,
    pub z: f64,
    /// Two-sided.
    pub p_value: f64,
}

/// A warning that the effect is not stable yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// The effect fades: units react to the change as such.
    Novelty,
    /// The effect grows: units learn.
    Primacy,
}

/// The least days, and the level, for a [`Drift`].
const DRIFT_DAYS: usize = 7;
const DRIFT_LEVEL: f64 = 0.01;

/// The weighted least squares slope of the effect on the day; `None` with fewer than two distinct days.
///
/// Checked against statsmodels `WLS` with fixed scale in `testdata/stats_golden/novelty.json`.
pub fn slope(days: &[DayEffect]) -> Option<Slope> {
    let sum = |f: &dyn Fn(&DayEffect) -> f64| days.iter().map(|d| f(d) / d.v).sum::<f64>();
    let center = sum(&|d| d.day) / sum(&|_| 1.0);
    let spread = sum(&|d| (d.day - center) * (d.day - center));
    let slope = finite(sum(&|d| (d.day - center) * d.delta) / spread)?;
    let se = 1.0 / spread.sqrt();
    Some(Slope {
        slope,
        se,
        z: slope / se,
        p_value: 2.0 * norm_sf((slope / se).abs()),
    })
}

/// Whether the effect of later units is smaller or larger than the overall effect `delta` would have it.
pub fn drift(days: &[DayEffect], delta: f64) -> Option<Drift> {
    let slope =
        slope(days).filter(|s| days.len() >= DRIFT_DAYS && s.p_value < DRIFT_LEVEL && delta != 0.0)?;
    let fades = (slope.slope > 0.0) != (delta > 0.0);
    Some(if fades { Drift::Novelty } else { Drift::Primacy })
}

/// How many of the latest day closes in a row lie on the same side of 0: `deltas` in order of days, `None` if undefined.
///
/// Checked against a direct count in `testdata/stats_golden/trend.json`.
pub fn days_separated(deltas: &[Option<f64>]) -> usize {
    let side = |delta: &Option<f64>| delta.filter(|d| *d != 0.0).map(|d| d > 0.0);
    let Some(latest) = deltas.last().and_then(side) else {
        return 0;
    };
    deltas
        .iter()
        .rev()
        .take_while(|delta| side(delta) == Some(latest))
        .count()
}
