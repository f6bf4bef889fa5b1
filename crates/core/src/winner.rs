//! The winner signal: whether the figures of an experiment carry the declaration of a winner without anybody insisting.
//!
//! It is raw: it makes a variant promotable, and recommends nothing.

use std::fmt;

use crate::key::MetricKey;

/// What is known of a variant that is to be declared the winner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// p-value of the test for sample ratio mismatch; absent while there are too few units for one.
    pub srm_p_value: Option<f64>,
    /// What each primary metric says of the variant.
    pub primaries: Vec<Primary>,
}

/// What a primary metric says of the variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Primary {
    /// The metric.
    pub metric: MetricKey,
    /// Its figure.
    pub figure: Figure,
}

/// The figure that a kind of metric is judged by; without value where there are too few data for one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// Of binary metrics: the probability that the variant is the best of all, 0 to 1.
    ProbabilityBest(Option<f64>),
    /// Of others: by how much the variant is better than the control, as a share of it; for the control itself, than the best of the
    /// others.
    Lift(Option<f64>),
    /// Of quantiles: none yet, however many data there are.
    NotComputed,
}

/// What figures must reach. All are inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Least probability of being the best.
    pub probability_best: f64,
    /// Least lift.
    pub lift: f64,
    /// A p-value of the test for sample ratio mismatch of at most this much says that the experiment is not healthy.
    pub srm_p_value: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            probability_best: 0.9,
            lift: 0.05,
            srm_p_value: 0.01,
        }
    }
}

/// Why there is no winner signal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoSignal {
    /// Nobody knows.
    #[error("analysis did not answer in time")]
    Unavailable,
    /// The counts of units contradict the weights.
    #[error(
        "the counts of units contradict the weights (sample ratio mismatch, p = {p_value:.2e}, at most {limit} is a warning)"
    )]
    SampleRatioMismatch {
        /// How likely that is by chance.
        p_value: f64,
        /// What is too unlikely.
        limit: f64,
    },
    /// No primary metric shows it.
    #[error("{}", weak(.primaries, .thresholds))]
    Weak {
        /// What they show.
        primaries: Vec<Primary>,
        /// What one would have to reach.
        thresholds: Thresholds,
    },
}

impl NoSignal {
    /// Stable name of the cause.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Unavailable => "ANALYSIS_UNAVAILABLE",
            Self::SampleRatioMismatch { .. } => "SAMPLE_RATIO_MISMATCH",
            Self::Weak { .. } => "TOO_WEAK",
        }
    }
}

fn weak(primaries: &[Primary], thresholds: &Thresholds) -> String {
    if primaries.is_empty() {
        return "there is no primary metric".to_owned();
    }
    let lines = primaries
        .iter()
        .map(|p| format!("`{}` {}", p.metric, Shown(p.figure, thresholds)));
    lines.collect::<Vec<_>>().join(", ")
}

/// A figure beside what it would have to reach.
struct Shown<'a>(Figure, &'a Thresholds);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, found, needed) = match self.0 {
            Figure::NotComputed => return f.write_str("is a quantile, whose figures are not computed yet"),
            Figure::ProbabilityBest(p) => ("has a probability of being best of", p, self.1.probability_best),
            Figure::Lift(lift) => ("has a lift of", lift, self.1.lift),
        };
        match found {
            Some(found) => write!(f, "{name} {:.1} %, {:.1} % needed", found * 100.0, needed * 100.0),
            None => f.write_str("has too few data"),
        }
    }
}

/// Whether `evidence` carries a winner: the experiment is healthy, and a primary metric shows it.
///
/// # Errors
/// [`NoSignal`] with what speaks against it.
pub fn winner_signal(evidence: &Evidence, thresholds: &Thresholds) -> Result<(), NoSignal> {
    if let Some(p_value) = evidence.srm_p_value.filter(|p| *p <= thresholds.srm_p_value) {
        return Err(NoSignal::SampleRatioMismatch {
            p_value,
            limit: thresholds.srm_p_value,
        });
    }
    let shows = |primary: &Primary| match primary.figure {
        Figure::ProbabilityBest(p) => p.is_some_and(|p| p >= thresholds.probability_best),
        Figure::Lift(lift) => lift.is_some_and(|lift| lift >= thresholds.lift),
        Figure::NotComputed => false,
    };
    if evidence.primaries.iter().any(shows) {
        return Ok(());
    }
    Err(NoSignal::Weak {
        primaries: evidence.primaries.clone(),
        thresholds: *thresholds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(srm_p_value: Option<f64>, figures: &[Figure]) -> Evidence {
        let primary = |figure: &Figure| Primary {
            metric: MetricKey::new("m").unwrap(),
            figure: *figure,
        };
        Evidence {
            srm_p_value,
            primaries: figures.iter().map(primary).collect(),
        }
    }

    fn cause(srm_p_value: Option<f64>, figures: &[Figure]) -> Option<&'static str> {
        let signal = winner_signal(&evidence(srm_p_value, figures), &Thresholds::default());
        signal.err().map(|no| no.cause())
    }

    #[test]
    fn limits_are_inclusive() {
        use Figure::{Lift, ProbabilityBest};
        assert_eq!(cause(None, &[ProbabilityBest(Some(0.9))]), None);
        assert_eq!(cause(None, &[ProbabilityBest(Some(0.899))]), Some("TOO_WEAK"));
        assert_eq!(cause(None, &[Lift(Some(0.05))]), None);
        assert_eq!(cause(None, &[Lift(Some(0.049))]), Some("TOO_WEAK"));
        assert_eq!(cause(Some(0.011), &[Lift(Some(0.05))]), None);
        assert_eq!(
            cause(Some(0.01), &[Lift(Some(0.05))]),
            Some("SAMPLE_RATIO_MISMATCH")
        );
    }

    #[test]
    fn one_primary_is_enough_and_none_is_not() {
        use Figure::{Lift, ProbabilityBest};
        assert_eq!(cause(None, &[Lift(None), ProbabilityBest(Some(0.95))]), None);
        assert_eq!(
            cause(None, &[Lift(None), ProbabilityBest(None)]),
            Some("TOO_WEAK")
        );
        assert_eq!(cause(None, &[]), Some("TOO_WEAK"));
    }

    #[test]
    fn a_refusal_says_what_was_found_and_what_is_needed() {
        let figures = [Figure::ProbabilityBest(Some(0.8123)), Figure::Lift(None)];
        let no = winner_signal(&evidence(None, &figures), &Thresholds::default()).unwrap_err();
        assert_eq!(
            no.to_string(),
            "`m` has a probability of being best of 81.2 %, 90.0 % needed, `m` has too few data"
        );
    }
}
