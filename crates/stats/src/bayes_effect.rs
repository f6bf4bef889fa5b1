//! A prior on the lift.

use crate::estimate::{Alpha, Direction, Interval, Normal};
use crate::special::{norm_pdf, norm_sf, norm_upper};

/// What is believed of the lift after the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BayesEffect {
    pub posterior: Normal,
    /// The credible interval at `1 - alpha`.
    pub interval: Interval,
    pub prob_beats_control: f64,
    /// How much lift is lost in the mean by choosing the control, or the treatment.
    pub loss_control: f64,
    pub loss_treatment: f64,
}

/// The posterior of the lift under a normal prior, from [`lift_delta`](crate::lift_delta)'s estimate of it.
///
/// `None` unless both variances are positive.
/// Checked against gbstats `EffectBayesianABTest` in `testdata/stats_golden/bayes_effect.json`.
pub fn bayes_effect(lift: Normal, prior: Normal, alpha: Alpha, direction: Direction) -> Option<BayesEffect> {
    if lift.v <= 0.0 || prior.v <= 0.0 {
        return None;
    }
    let precision = 1.0 / lift.v + 1.0 / prior.v;
    let mean = (lift.mean / lift.v + prior.mean / prior.v) / precision;
    let sd = 1.0 / precision.sqrt();
    let good = direction.sign() * mean;
    let u = good / sd;
    let spread = sd * norm_pdf(u);
    Some(BayesEffect {
        posterior: Normal {
            mean,
            v: 1.0 / precision,
        },
        interval: Interval::around(mean, norm_upper(0.5 * alpha.get()) * sd),
        prob_beats_control: norm_sf(-u),
        loss_control: (spread + good * norm_sf(-u)).max(0.0),
        loss_treatment: (spread - good * norm_sf(u)).max(0.0),
    })
}
