//! What to do now: keep running, declare a winner, or look into it.
//!
//! [`decide`] is one list of rules, the first that applies; the predicates it asks live in [`crate::verdict`].

use crate::compare::Status;
use crate::estimate::{Alpha, Direction, Kind};
use crate::verdict::{Guardrail, Verdicts};

/// When a variant qualifies as winner on a primary metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRule {
    /// It has the winner signal and is significantly better.
    Significant,
    /// Also if, at the planned end, it has the signal and beats the control with high probability.
    PlannedEnd,
    /// It has the winner signal, at any look: many false winners.
    Threshold,
}

/// What a metric is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    Primary,
    /// It must not get worse (by more than a margin).
    Guardrail,
    /// It never changes the decision.
    Secondary,
}

/// The settings and the progress of an experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Days since the start, without pauses.
    pub days_running: f64,
    pub min_days: f64,
    pub planned_end_evaluated: bool,
    pub rule: StopRule,
    pub alpha: Alpha,
    pub signal: SignalThresholds,
    /// A lift beyond this, on either side, is too good to be true.
    pub suspicious_lift: f64,
}

/// When the raw figures make a variant promotable; both inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignalThresholds {
    /// Of rates: the probability to be best.
    pub prob_best: f64,
    /// Of all others: the lift in the good direction.
    pub lift: f64,
}

impl SignalThresholds {
    pub const DEFAULT: SignalThresholds = SignalThresholds {
        prob_best: 0.9,
        lift: 0.05,
    };
}

/// Whether the data can be read at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    pub total_units: u64,
    pub srm_flagged: bool,
    /// Units seen in several variants, and their share of all exposed units.
    pub multi_exposed_units: u64,
    pub multi_exposure_rate: f64,
    pub data_quality_ok: bool,
}

/// One metric with its comparisons, in order of variants.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricEvidence {
    pub role: Role,
    pub kind: Kind,
    pub direction: Direction,
    /// Of a guardrail: the share of the control's mean by which it may get worse.
    pub margin: Option<f64>,
    pub control_prob_best: Option<f64>,
    pub variants: Vec<VariantEvidence>,
}

/// One variant against the control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VariantEvidence {
    /// The variant's index; 0 is the control.
    pub variant: usize,
    pub status: Status,
    pub lift: Option<f64>,
    /// Sign of the effect in the good direction: positive if the variant looks better.
    pub effect_sign: i8,
    pub prob_best: Option<f64>,
    /// The p-value that decides, adjusted for its family.
    pub p_adjusted: Option<f64>,
    /// The combined p-value of non-inferiority.
    pub noninferiority_p: Option<f64>,
    /// The figures on the units of the planned end, once evaluated.
    pub planned_end: Option<PlannedEndEvidence>,
}

/// The figures of one comparison on the units of the planned end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedEndEvidence {
    pub status: Status,
    pub lift: Option<f64>,
    pub prob_best: Option<f64>,
    pub prob_beats_control: Option<f64>,
    /// The good end of the final lift interval, positive if better than the control.
    pub best_lift: Option<f64>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    KeepRunning,
    DeclareWinner,
    Investigate,
}

/// Why; the rules are in [`decide`], in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NoData,
    NoExposures,
    DataQuality,
    Srm,
    MultipleExposure,
    GuardrailHarm,
    PrimaryHarm,
    MinRuntime,
    NotEnoughData,
    TooGoodToBeTrue,
    Winner,
    MetricConflict,
    GuardrailInconclusive,
    ControlWins,
    NoMeaningfulLift,
    NoDifference,
    ThresholdMetWaiting,
    Inconclusive,
}

/// What a person should know besides; none changes the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    GuardrailHarm,
    GuardrailWorseWithinMargin,
    PrimaryWorse,
    SecondaryWorse,
}

/// What to do, why, and about which variant and metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    pub action: Action,
    pub reason: Reason,
    /// Index of the variant; 0 is the control.
    pub variant: Option<usize>,
    /// Index into the metrics given.
    pub metric: Option<usize>,
    pub warnings: Vec<Warning>,
    /// The variant most probably the best on the first primary metric, and that probability.
    pub leading: Option<(usize, f64)>,
}

/// The least units in several variants, and the share of all, that invalidate a comparison.
const MULTI_EXPOSED_UNITS: u64 = 10;
const MULTI_EXPOSURE_RATE: f64 = 0.01;

/// Recommends what to do from the metrics, in order of declaration, each with the same variants.
///
/// Checked against cases written by hand in `testdata/stats_golden/decision.json`.
pub fn decide(progress: &Progress, health: &Health, metrics: &[MetricEvidence]) -> Recommendation {
    let verdicts = Verdicts::new(progress, metrics);
    let finding = unreadable(progress, health)
        .or_else(|| too_early(&verdicts))
        .unwrap_or_else(|| readable(&verdicts));
    let mut warnings = finding.warnings;
    warnings.extend(
        verdicts
            .within_margin()
            .then_some(Warning::GuardrailWorseWithinMargin),
    );
    warnings.extend(verdicts.secondary_worse().then_some(Warning::SecondaryWorse));
    warnings.sort_unstable();
    Recommendation {
        action: finding.action,
        reason: finding.reason,
        variant: finding.about.0,
        metric: finding.about.1,
        warnings,
        leading: verdicts.leading(),
    }
}

/// The rule that applies, with the variant and the metric it is about.
struct Finding {
    action: Action,
    reason: Reason,
    about: (Option<usize>, Option<usize>),
    warnings: Vec<Warning>,
}

impl Finding {
    fn new(action: Action, reason: Reason) -> Finding {
        Finding {
            action,
            reason,
            about: (None, None),
            warnings: Vec::new(),
        }
    }

    fn about(self, variant: usize, metric: usize) -> Finding {
        Finding {
            about: (Some(variant), Some(metric)),
            ..self
        }
    }

    fn warn(mut self, warning: Option<Warning>) -> Finding {
        self.warnings.extend(warning);
        self
    }
}

/// Whether the numbers must not be read.
fn unreadable(progress: &Progress, health: &Health) -> Option<Finding> {
    let multiple =
        health.multi_exposed_units >= MULTI_EXPOSED_UNITS && health.multi_exposure_rate > MULTI_EXPOSURE_RATE;
    if health.total_units == 0 && progress.days_running < 1.0 {
        return Some(Finding::new(Action::KeepRunning, Reason::NoData));
    }
    let reason = if health.total_units == 0 {
        Reason::NoExposures
    } else if !health.data_quality_ok {
        Reason::DataQuality
    } else if health.srm_flagged {
        Reason::Srm
    } else if multiple {
        Reason::MultipleExposure
    } else {
        return None;
    };
    Some(Finding::new(Action::Investigate, reason))
}

/// Before the minimum runtime only harm counts; without enough data only what is asked for.
fn too_early(verdicts: &Verdicts) -> Option<Finding> {
    let ended = verdicts.progress.planned_end_evaluated;
    let harmed = verdicts.first_guardrail(Guardrail::Harmed);
    if verdicts.progress.days_running < verdicts.progress.min_days && !ended {
        let harm =
            |reason, (variant, metric)| Finding::new(Action::Investigate, reason).about(variant, metric);
        let guardrail = harmed.map(|at| harm(Reason::GuardrailHarm, at));
        let primary = || {
            verdicts
                .first_worse_primary()
                .map(|at| harm(Reason::PrimaryHarm, at))
        };
        return guardrail
            .or_else(primary)
            .or_else(|| Some(Finding::new(Action::KeepRunning, Reason::MinRuntime)));
    }
    let enough = verdicts.any_primary_ok() || harmed.is_some();
    (!enough).then(|| Finding::new(waiting_or_over(verdicts), Reason::NotEnoughData))
}

/// What an open question means: wait before the planned end, ask after it.
fn waiting_or_over(verdicts: &Verdicts) -> Action {
    if verdicts.progress.planned_end_evaluated {
        Action::Investigate
    } else {
        Action::KeepRunning
    }
}

fn readable(verdicts: &Verdicts) -> Finding {
    let harmed = verdicts.first_guardrail(Guardrail::Harmed);
    if let Some((variant, metric, lift)) = verdicts.winner() {
        if lift.abs() > verdicts.progress.suspicious_lift {
            return Finding::new(Action::Investigate, Reason::TooGoodToBeTrue).about(variant, metric);
        }
        let winner = Finding::new(Action::DeclareWinner, Reason::Winner).about(variant, metric);
        return winner.warn(harmed.map(|_| Warning::GuardrailHarm));
    }
    if let Some((variant, metric)) = harmed {
        return Finding::new(Action::Investigate, Reason::GuardrailHarm).about(variant, metric);
    }
    if let Some((variant, metric)) = verdicts.conflict() {
        return Finding::new(Action::Investigate, Reason::MetricConflict).about(variant, metric);
    }
    if let Some((variant, metric)) = verdicts.qualified_but_open() {
        return Finding::new(waiting_or_over(verdicts), Reason::GuardrailInconclusive).about(variant, metric);
    }
    if let Some(metric) = verdicts.control_wins() {
        return Finding::new(Action::DeclareWinner, Reason::ControlWins).about(0, metric);
    }
    undecided(verdicts).warn(verdicts.first_worse_primary().map(|_| Warning::PrimaryWorse))
}

/// No variant qualifies, and the control does not win.
fn undecided(verdicts: &Verdicts) -> Finding {
    if verdicts.progress.planned_end_evaluated {
        return match verdicts.no_meaningful_lift() {
            Some(metric) => Finding::new(Action::DeclareWinner, Reason::NoMeaningfulLift).about(0, metric),
            None => Finding::new(Action::Investigate, Reason::NoDifference),
        };
    }
    match verdicts.first_signal() {
        Some((variant, metric)) => {
            Finding::new(Action::KeepRunning, Reason::ThresholdMetWaiting).about(variant, metric)
        }
        None => Finding::new(Action::KeepRunning, Reason::Inconclusive),
    }
}
