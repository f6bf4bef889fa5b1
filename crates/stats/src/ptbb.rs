//! Probability to be best and expected loss, by one-dimensional integrals over the variants' posteriors.

use std::f64::consts::FRAC_PI_2;

use crate::classic::Proportion;
use crate::compare::variance_guard;
use crate::estimate::{Direction, Estimate, Normal};
use crate::special::{BetaTable, gauss_legendre, norm_pdf, norm_sf};

/// The win probabilities of the variants of one metric; element 0 is the control.
///
/// Absolute error of the probabilities at most 1e-7, relative error of the losses at most 1e-6.
#[derive(Debug, Clone, PartialEq)]
pub struct Ptbb {
    /// Probability that the variant is the best of all.
    pub prob_best: Vec<f64>,
    /// How much of the metric, in its own unit, is lost in the mean by choosing the variant; at least 0.
    pub expected_loss: Vec<f64>,
    /// Probability that the variant is better than the control; `None` for the control itself.
    pub prob_beats_control: Vec<Option<f64>>,
}

/// The Beta prior of a rate: both parameters at least one half.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaPrior {
    successes: f64,
    failures: f64,
}

impl BetaPrior {
    /// Beta(½, ½).
    pub const JEFFREYS: BetaPrior = BetaPrior {
        successes: 0.5,
        failures: 0.5,
    };

    /// `None` unless both are finite and at least one half.
    pub fn new(successes: f64, failures: f64) -> Option<BetaPrior> {
        let fits = |x: f64| x.is_finite() && x >= 0.5;
        (fits(successes) && fits(failures)).then_some(BetaPrior { successes, failures })
    }
}

/// Win probabilities of rates with Beta posteriors; `None` if there is no variant, or one without units.
///
/// Checked against scipy quadrature and Miller's finite sum in `testdata/stats_golden/bayes_ptbb.json`.
pub fn ptbb_beta(variants: &[Proportion], prior: BetaPrior, direction: Direction) -> Option<Ptbb> {
    if variants.is_empty() || variants.iter().any(|v| v.n == 0 || v.successes > v.n) {
        return None;
    }
    let posteriors: Vec<BetaTable> = variants
        .iter()
        .map(|v| {
            BetaTable::new(
                prior.successes + v.successes as f64,
                prior.failures + (v.n - v.successes) as f64,
            )
        })
        .collect();
    let (prob_best, expected_loss) = integrate(&posteriors, direction);
    let beats = |k: usize| beats(&posteriors[0], &posteriors[k], direction);
    Some(Ptbb {
        prob_best,
        expected_loss,
        prob_beats_control: but_control(variants.len(), beats),
    })
}

/// Win probabilities of normal posteriors; `None` if there is no variant, or one without a positive variance.
///
/// Checked against scipy quadrature in `testdata/stats_golden/bayes_ptbb.json`.
pub fn ptbb_normal(posteriors: &[Normal], direction: Direction) -> Option<Ptbb> {
    let defined = |p: &Normal| p.mean.is_finite() && p.v.is_finite() && p.v > 0.0;
    if posteriors.is_empty() || !posteriors.iter().all(defined) {
        return None;
    }
    let (prob_best, expected_loss) = integrate(posteriors, direction);
    let beats = |k: usize| normal_beats(posteriors[0], posteriors[k], 1.0, direction);
    Some(Ptbb {
        prob_best,
        expected_loss,
        prob_beats_control: but_control(posteriors.len(), beats),
    })
}

/// Win probabilities of estimates under a flat prior, with the variance guard over all variants, and over each pair for
/// the probability to beat the control; `None` if one has fewer than two units or no variance.
pub fn ptbb_estimates(estimates: &[Estimate], direction: Direction) -> Option<Ptbb> {
    let kappa = variance_guard(estimates)?;
    let plain: Vec<Normal> = estimates.iter().map(Estimate::normal).collect::<Option<_>>()?;
    let guarded: Vec<Normal> = plain.iter().map(|p| Normal { v: kappa * p.v, ..*p }).collect();
    let ptbb = ptbb_normal(&guarded, direction)?;
    let beats = |k: usize| {
        let pair = variance_guard(&[estimates[0], estimates[k]]).unwrap_or(1.0);
        normal_beats(plain[0], plain[k], pair, direction)
    };
    Some(Ptbb {
        prob_beats_control: but_control(plain.len(), beats),
        ..ptbb
    })
}

fn normal_beats(control: Normal, treatment: Normal, kappa: f64, direction: Direction) -> f64 {
    norm_sf(direction.sign() * (control.mean - treatment.mean) / (kappa * (control.v + treatment.v)).sqrt())
}

fn but_control(variants: usize, beats: impl Fn(usize) -> f64) -> Vec<Option<f64>> {
    (0..variants).map(|k| (k > 0).then(|| beats(k))).collect()
}

/// A posterior in the variable of integration.
trait Posterior {
    fn center(&self) -> f64;
    fn sd(&self) -> f64;
    fn density(&self, x: f64) -> f64;
    /// `(P(X <= x), P(X > x))`, each with its own relative precision.
    fn tails(&self, x: f64) -> (f64, f64);
    /// The metric per unit of the variable of integration.
    fn slope(x: f64) -> f64;
    /// How many standard deviations from a center panels end, and the range beyond which nothing is.
    const STEPS: &'static [f64];
    const RANGE: (f64, f64);
}

impl Posterior for Normal {
    const STEPS: &'static [f64] = &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 9.0];
    const RANGE: (f64, f64) = (f64::MIN, f64::MAX);

    fn center(&self) -> f64 {
        self.mean
    }

    fn sd(&self) -> f64 {
        self.v.sqrt()
    }

    fn density(&self, x: f64) -> f64 {
        norm_pdf((x - self.mean) / self.sd()) / self.sd()
    }

    fn tails(&self, x: f64) -> (f64, f64) {
        let z = (x - self.mean) / self.sd();
        (norm_sf(-z), norm_sf(z))
    }

    fn slope(_: f64) -> f64 {
        1.0
    }
}

/// The variable is `φ = arcsin √θ`, so `dθ = sin 2φ dφ`.
impl Posterior for BetaTable {
    const STEPS: &'static [f64] = &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 9.0, 11.0];
    const RANGE: (f64, f64) = (0.0, FRAC_PI_2);

    fn center(&self) -> f64 {
        self.center()
    }

    fn sd(&self) -> f64 {
        self.sd()
    }

    fn density(&self, x: f64) -> f64 {
        self.density(x)
    }

    fn tails(&self, x: f64) -> (f64, f64) {
        self.tails(x)
    }

    fn slope(x: f64) -> f64 {
        libm::sin(2.0 * x)
    }
}

/// Probability to be best and expected loss of each posterior:
/// `P(best = k) = ∫ f_k Π_{j≠k} W_j` and `loss_k = ∫ W_k (1 − Π_{j≠k} W_j)`, with `W_j` the probability that `j` is worse.
///
/// The product is summed as `ln(1 − better)`, so a loss keeps its digits however small it is.
fn integrate<P: Posterior>(posteriors: &[P], direction: Direction) -> (Vec<f64>, Vec<f64>) {
    if posteriors.len() == 1 {
        return (vec![1.0], vec![0.0]);
    }
    let (mut best, mut loss) = (vec![0.0; posteriors.len()], vec![0.0; posteriors.len()]);
    for (x, weight) in nodes(posteriors.iter()) {
        let logs: Vec<f64> = posteriors.iter().map(|p| log_worse(p, x, direction)).collect();
        let slope = P::slope(x);
        for (k, posterior) in posteriors.iter().enumerate() {
            let others: f64 = logs[..k].iter().chain(&logs[k + 1..]).sum();
            best[k] += weight * posterior.density(x) * libm::exp(others);
            loss[k] -= weight * slope * libm::exp(logs[k]) * libm::expm1(others);
        }
    }
    (best, loss)
}

/// Log of the probability that the posterior is worse than `x`, from the smaller of its tails.
fn log_worse<P: Posterior>(posterior: &P, x: f64, direction: Direction) -> f64 {
    let (below, above) = posterior.tails(x);
    let (worse, better) = match direction {
        Direction::Increase => (below, above),
        Direction::Decrease => (above, below),
    };
    if better < 0.5 {
        libm::log1p(-better)
    } else {
        libm::log(worse)
    }
}

/// The probability that `treatment` is better than `control`.
fn beats<P: Posterior>(control: &P, treatment: &P, direction: Direction) -> f64 {
    let worse = |x| match direction {
        Direction::Increase => control.tails(x).0,
        Direction::Decrease => control.tails(x).1,
    };
    let nodes = nodes([control, treatment].into_iter());
    nodes
        .map(|(x, weight)| weight * treatment.density(x) * worse(x))
        .sum()
}

/// The nodes and weights of a quadrature over all that these posteriors cover.
fn nodes<'a, P: Posterior + 'a>(posteriors: impl Iterator<Item = &'a P>) -> impl Iterator<Item = (f64, f64)> {
    let rule = gauss_legendre::<24>();
    let edges = panel_edges(posteriors);
    (1..edges.len()).flat_map(move |i| {
        let (middle, half) = (0.5 * (edges[i - 1] + edges[i]), 0.5 * (edges[i] - edges[i - 1]));
        rule.map(|(node, weight)| (middle + half * node, half * weight))
    })
}

/// The sorted ends of the panels: a few standard deviations around each center, within the range.
fn panel_edges<'a, P: Posterior + 'a>(posteriors: impl Iterator<Item = &'a P>) -> Vec<f64> {
    let (low, high) = P::RANGE;
    let mut edges = Vec::new();
    for p in posteriors {
        for step in P::STEPS {
            edges.push((p.center() - step * p.sd()).max(low));
            edges.push((p.center() + step * p.sd()).min(high));
        }
    }
    edges.sort_by(f64::total_cmp);
    edges
}
