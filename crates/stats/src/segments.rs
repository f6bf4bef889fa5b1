//! The lift within the values of a dimension, each pulled toward their common mean as far as its noise demands.

use crate::estimate::Normal;
use crate::special::chi2_sf;

/// What the segments of one dimension say together.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    /// Cochran's heterogeneity statistic.
    pub q: f64,
    /// The chance of as much heterogeneity if all segments had the same lift; `None` for one segment.
    pub p_heterogeneity: Option<f64>,
    /// The share of the spread between segments that is not noise, in 0..1.
    pub i2: f64,
    /// The variance of the true lifts between segments.
    pub tau2: f64,
    /// The mean over segments and its variance.
    pub mean: Normal,
    /// Per segment: the lift to show first. Most "segment wins" are noise.
    pub shrunk: Vec<Normal>,
}

/// Pools and shrinks the lifts of segments, given by [`lift_delta`](crate::lift_delta); `None` without segments, or if
/// one has no positive variance.
///
/// Source: Der Simonian, Laird (1986). Checked against statsmodels `combine_effects` in
/// `testdata/stats_golden/segments.json`.
pub fn segments(lifts: &[Normal]) -> Option<Segments> {
    if lifts.is_empty() || !lifts.iter().all(|l| l.v > 0.0 && l.v.is_finite()) {
        return None;
    }
    let freedom = (lifts.len() - 1) as u32;
    let fixed = weighted_mean(lifts, 0.0);
    let q: f64 = lifts
        .iter()
        .map(|l| (l.mean - fixed.mean) * (l.mean - fixed.mean) / l.v)
        .sum();
    let squares: f64 = lifts.iter().map(|l| 1.0 / (l.v * l.v)).sum();
    let excess = q - f64::from(freedom);
    let tau2 = if excess > 0.0 {
        excess / (1.0 / fixed.v - squares * fixed.v)
    } else {
        0.0
    };
    let mean = weighted_mean(lifts, tau2);
    Some(Segments {
        q,
        p_heterogeneity: (freedom > 0).then(|| chi2_sf(q, freedom)),
        i2: if excess > 0.0 { excess / q } else { 0.0 },
        tau2,
        mean,
        shrunk: lifts.iter().map(|l| shrink(*l, mean, tau2)).collect(),
    })
}

/// The mean with weights `1/(v + τ²)`; its variance is one over their sum.
fn weighted_mean(lifts: &[Normal], tau2: f64) -> Normal {
    let weights: f64 = lifts.iter().map(|l| 1.0 / (l.v + tau2)).sum();
    let sum: f64 = lifts.iter().map(|l| l.mean / (l.v + tau2)).sum();
    Normal {
        mean: sum / weights,
        v: 1.0 / weights,
    }
}

fn shrink(lift: Normal, mean: Normal, tau2: f64) -> Normal {
    let own = tau2 / (tau2 + lift.v);
    let common = 1.0 - own;
    Normal {
        mean: own * lift.mean + common * mean.mean,
        v: own * lift.v + common * common * mean.v,
    }
}
