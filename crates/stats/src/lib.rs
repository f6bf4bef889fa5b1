//! Intervals, tests and probabilities: numbers in, numbers out.
//!
//! From exact integer sums of unit values this crate computes everything a result shows. It knows nothing of experiments,
//! storage or time, has no randomness and no state, and gives the same bits on every platform. What is undefined is `None`
//! or a status, never NaN or infinity.
//!
//! Read in this order: [`Moments`] (sums), [`Estimate`] (what a variant says), [`compare`] (effect, lift, interval,
//! p-value), [`Mixture`] (why looking is free), [`ptbb_beta`] (win probabilities), [`decide`] (what to do).

mod bayes_effect;
mod classic;
mod compare;
mod cuped;
mod decide;
mod estimate;
mod lift;
mod moments;
mod multiplicity;
mod noninferiority;
mod planner;
mod ptbb;
mod ratio;
mod retention;
mod segments;
mod sequential;
mod sketch;
mod special;
mod srm;
mod stratify;
mod trend;
mod verdict;

pub use bayes_effect::{BayesEffect, bayes_effect};
pub use classic::{Proportion, TwoProportionZ, Welch, mean_interval, two_proportion_z, welch, wilson};
pub use compare::{
    Bounds, Comparison, Design, Evidence, Status, compare, decisive_p, status, variance_guard,
};
pub use cuped::{Cuped, CupedMoments, CupedSummary, cuped};
pub use decide::{
    Action, Health, MetricEvidence, PlannedEndEvidence, Progress, Reason, Recommendation, Role,
    SignalThresholds, StopRule, VariantEvidence, Warning, decide,
};
pub use estimate::{Alpha, Direction, Estimate, Interval, Kind, Normal};
pub use lift::{Lift, LiftStatus, lift_delta, relative_lift};
pub use moments::{Moments, Overflow, Scale, covariance, mean};
pub use multiplicity::{benjamini_hochberg, holm};
pub use noninferiority::{NonInferiority, noninferiority};
pub use planner::{
    Plan, Runtime, SampleSize, mde_binary, planning_level, power, power_with_guardrails, runtime,
    units_needed,
};
pub use ptbb::{BetaPrior, Ptbb, ptbb_beta, ptbb_estimates, ptbb_normal};
pub use ratio::RatioMoments;
pub use retention::{Retained, Retention, RetentionWindow};
pub use segments::{Segments, segments};
pub use sequential::{Mixture, Mode, hybrid_p, tuning_units};
pub use sketch::{Bin, Cap, Quantile, Sketch};
pub use special::{beta_cdf, chi2_sf, norm_ppf, norm_sf, t_ppf, t_sf};
pub use srm::{
    CohortCounts, SRM_CONCENTRATIONS, SrmChi2, srm_chi2, srm_log_e, srm_residuals, srm_sequential,
};
pub use stratify::{Stratified, stratify};
pub use trend::{DayEffect, Drift, Slope, days_separated, drift, slope};
pub use verdict::winner_signal;
