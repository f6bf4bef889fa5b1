//! Student's t distribution.

use std::f64::consts::PI;

use super::normal::{norm_sf, norm_upper};

/// From here on Hill's expansion is used, before it the incomplete beta function.
const MANY_DF: f64 = 200.0;

/// `P(T > t)` of Student's t with `df > 0` degrees of freedom, not necessarily a whole number.
///
/// Relative error below 1e-9 for `|t| <= 10`.
/// Source: Hill (1970), algorithm 395, from 200 degrees on. Checked against mpmath in
/// `testdata/stats_golden/special_functions.json`.
pub fn t_sf(t: f64, df: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - t_sf(-t, df);
    }
    if df >= MANY_DF {
        return norm_sf(hill(t, df));
    }
    let t2 = t * t;
    if t2 < 1.0 {
        return 0.5 - 0.5 * incomplete_beta(0.5, 0.5 * df, t2 / (df + t2));
    }
    0.5 * incomplete_beta(0.5 * df, 0.5, df / (df + t2))
}

/// The `t` with `P(T <= t) = p`; `None` unless `0 < p < 1` and `df > 0`, or if it is too large for an `f64`.
///
/// Checked against mpmath in `testdata/stats_golden/special_functions.json`.
pub fn t_ppf(p: f64, df: f64) -> Option<f64> {
    let defined = p > 0.0 && p < 1.0 && df > 0.0;
    defined.then(|| -t_upper(p, df)).filter(|t| t.is_finite())
}

/// The `t` with `P(T > t) = q`, for `0 < q < 1` and `df > 0`.
///
/// The tail is convex in `t > 0` and heavier than the normal's, so Newton's steps from the normal quantile climb to the
/// root without passing it; they stop when they no longer move.
pub(crate) fn t_upper(q: f64, df: f64) -> f64 {
    if q > 0.5 {
        return -t_upper(1.0 - q, df);
    }
    let mut t = norm_upper(q);
    for _ in 0..500 {
        let step = (t_sf(t, df) - q) / density(t, df);
        t += step;
        if step.abs() <= 1e-14 * (1.0 + t) {
            break;
        }
    }
    t
}

/// The standard normal deviate with the same upper tail as `t >= 0`.
fn hill(t: f64, df: f64) -> f64 {
    let a = df - 0.5;
    let b = 48.0 * a * a;
    let u = a * libm::log1p(t * t / df);
    let series = (((-0.4 * u - 3.3) * u - 24.0) * u - 85.5) / (0.8 * u * u + 100.0 + b) + u + 3.0;
    u.sqrt() * (series / b + 1.0)
}

/// The density, good to 1e-8 relative for many degrees of freedom: enough for the slope of a Newton step.
fn density(t: f64, df: f64) -> f64 {
    let scale = if df >= MANY_DF {
        (1.0 - 0.25 / df) / (2.0 * PI).sqrt()
    } else {
        libm::exp(libm::lgamma(0.5 * (df + 1.0)) - libm::lgamma(0.5 * df)) / (PI * df).sqrt()
    };
    scale * libm::exp(-0.5 * (df + 1.0) * libm::log1p(t * t / df))
}

/// The regularized incomplete beta function for moderate parameters (`a, b <= 100`).
///
/// Source: the continued fraction of Abramowitz and Stegun 26.5.8 by Lentz's method, on the side where it converges fast.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let log_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let front = libm::exp(a * libm::log(x) + b * libm::log1p(-x) - log_beta) / a;
    front / continued_fraction(a, b, x)
}

/// The denominator `1 + d1/(1 + d2/(1 + …))` of the incomplete beta function.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for step in 1..=2000 {
        let m = f64::from(step / 2);
        let term = if step % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        d = 1.0 / away_from_zero(1.0 + term * d);
        c = away_from_zero(1.0 + term / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}
