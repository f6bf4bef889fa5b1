//! The effect relative to the control.

use crate::estimate::{Interval, Normal, finite};

/// What can be said of a lift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiftStatus {
    /// The control's mean is 0: there is no lift.
    ControlZero,
    /// The control's mean is not distinct from 0: the lift has a point, but its interval has no bound.
    Unbounded,
    Ok,
}

/// A lift, `(m_T - m_C) / |m_C|`: 0.05 is 5 % more than the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lift {
    pub status: LiftStatus,
    pub point: Option<f64>,
    pub interval: Option<Interval>,
}

impl Lift {
    /// The lift alone, where no interval can be given.
    pub fn point(control_mean: f64, treatment_mean: f64) -> Lift {
        let point = lift(control_mean, treatment_mean);
        Lift {
            status: if point.is_some() {
                LiftStatus::Ok
            } else {
                LiftStatus::ControlZero
            },
            point,
            interval: None,
        }
    }
}

fn lift(control_mean: f64, treatment_mean: f64) -> Option<f64> {
    finite((treatment_mean - control_mean) / control_mean.abs())
}

/// The lift with Fieller's interval: every ratio `r` with `(m_T - r m_C)² <= c² (V_T + r² V_C + (1-r)² V_0)`.
///
/// `multiplier` is that of the interval for the difference, and `v0` the variance of an adjustment common to both sides
/// (0 without covariates). The interval excludes 0 exactly when `|m_T - m_C| > multiplier · √(V_T + V_C)`, so lift and
/// difference never contradict each other.
///
/// With `p = m_C Δ + c² V_C` the ends are `(p ± √D)/A`; the one in which `p` and `√D` cancel is taken from the product of
/// both, `(Δ² - c²(V_T + V_C))/A`, so that its sign is exact.
/// Source: Fieller (1954). Checked against bisection of the inequality in `testdata/stats_golden/relative_lift.json`.
pub fn relative_lift(control: Normal, treatment: Normal, multiplier: f64, v0: f64) -> Lift {
    let (m_c, m_t, c2) = (control.mean, treatment.mean, multiplier * multiplier);
    let Some(point) = lift(m_c, m_t) else {
        return Lift::point(m_c, m_t);
    };
    let a = m_c * m_c - c2 * (control.v + v0);
    if a <= 0.0 {
        return Lift {
            status: LiftStatus::Unbounded,
            point: Some(point),
            interval: None,
        };
    }
    let delta = m_t - m_c;
    let linear = m_c * m_c * treatment.v + m_t * m_t * control.v + v0 * delta * delta;
    let square = control.v * treatment.v + v0 * (control.v + treatment.v);
    let root = (c2 * (linear - c2 * square)).max(0.0).sqrt();
    let p = m_c * delta + c2 * control.v;
    let far = if p < 0.0 { p - root } else { p + root };
    let near = if far == 0.0 {
        0.0
    } else {
        (delta * delta - c2 * (control.v + treatment.v)) / far
    };
    let sign = m_c.signum();
    Lift {
        status: LiftStatus::Ok,
        point: Some(point),
        interval: Some(Interval::between(sign * far / a, sign * near)),
    }
}

/// The normal approximation of the lift by the delta method; `None` if the control's mean is 0.
///
/// The variances are those of the means, with the variance guard if there is one.
/// Only where a normal summary of the lift is needed (a prior, pooling segments): its interval does not agree with that of
/// the difference. Checked against gbstats `variance_of_ratios` in `testdata/stats_golden/relative_lift.json`.
pub fn lift_delta(control: Normal, treatment: Normal) -> Option<Normal> {
    let point = lift(control.mean, treatment.mean)?;
    let ratio = treatment.mean / control.mean;
    let v = (treatment.v + ratio * ratio * control.v) / (control.mean * control.mean);
    Some(Normal { mean: point, v })
}
