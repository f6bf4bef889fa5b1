mod hashing;
mod parts;
mod state;
mod traffic;

use assay_core::{
    experiment::{Cohort, Experiment, Variant},
    flag::Flag,
    key::{ExperimentKey, FlagKey, SegmentKey},
    lifecycle::{Action, allowed_actions},
    weights::{Coverage, Weights},
};

use super::{
    each, key_from, meta_from, meta_time, namespace_from, optional_timestamp_from, timestamp, unit_kind_from,
    value_to,
};
use crate::{config::v1 as pb, field::FieldErrors};

/// The confidence of an experiment that names none.
const DEFAULT_CONFIDENCE: f64 = 0.95;

impl TryFrom<pb::Experiment> for Experiment {
    type Error = FieldErrors;

    /// As [`experiment_from`] without a flag: every variant must have its value.
    fn try_from(experiment: pb::Experiment) -> Result<Self, FieldErrors> {
        experiment_from(experiment, None)
    }
}

/// An experiment. What it leaves out is taken from `flag`, its flag, where that is known: without variants it gets those of the flag's
/// variations, a variant without a value that of the variation of its key, and the control the flag's default value.
///
/// What Undo needs is no part of the message: an experiment that was made from one cannot be undone.
///
/// The weights of the variants are those of its last cohort, or of a first one when there is none; weights that are all zero split evenly.
///
/// # Errors
/// All fields that are wrong.
pub fn experiment_from(
    mut experiment: pb::Experiment,
    flag: Option<&Flag>,
) -> Result<Experiment, FieldErrors> {
    let mut errors = FieldErrors::default();
    if let Some(flag) = flag {
        parts::fill_from_flag(&mut experiment.variants, flag);
    }
    let state = errors.keep(state::state_from(&experiment));
    let shares: Vec<u32> = experiment.variants.iter().map(|variant| variant.weight).collect();
    let cohorts = errors.keep(cohorts_from(experiment.cohorts, shares));
    let namespace = errors.keep(namespace_from(experiment.namespace, "namespace"));
    let key = errors.keep(key_from(experiment.key.clone(), "key", ExperimentKey::new));
    let flag_key = if experiment.flag_key.is_empty() {
        experiment.key
    } else {
        experiment.flag_key
    };
    // An experiment whose own key is wrong has said so already.
    let flag_key = match (FlagKey::new(flag_key.clone()), &key) {
        (Err(_), None) => None,
        _ => errors.keep(key_from(flag_key, "flag_key", FlagKey::new)),
    };
    let source = errors.keep(parts::source_from(experiment.assignment_source));
    let unit_kind = errors.keep(unit_kind_from(experiment.unit_kind, "unit_kind"));
    let variants = errors.keep(each(experiment.variants, "variants", parts::variant_from));
    let coverage = errors.keep(coverage_from(experiment.coverage));
    let segment = (!experiment.segment_key.is_empty())
        .then(|| key_from(experiment.segment_key, "segment_key", SegmentKey::new))
        .transpose();
    let segment = errors.keep(segment);
    let metrics = errors.keep(each(experiment.metrics, "metrics", parts::metric_from));
    let exposure = errors.keep(parts::exposure_mode_from(experiment.exposure_mode));
    let confidence = errors.keep(confidence_from(experiment.confidence));
    let qa_overrides = errors.keep(each(
        experiment.qa_overrides,
        "qa_overrides",
        parts::qa_override_from,
    ));
    let traffic = errors.keep(traffic::traffic_from(traffic::Fields {
        sticky: experiment.sticky,
        eligibility: experiment.eligibility,
        layer_key: experiment.layer_key,
        layer_salt: experiment.layer_salt,
        layer_ranges: experiment.layer_ranges,
        holdout_keys: experiment.holdout_keys,
        prerequisites: experiment.prerequisites,
        cohort_opening: experiment.cohort_opening,
        hashing: experiment.hashing,
    }));
    let start_time = errors.keep(optional_timestamp_from(experiment.start_time, "start_time"));
    let end_time = errors.keep(optional_timestamp_from(experiment.end_time, "end_time"));
    let schedule = errors.keep(parts::schedule_from(
        experiment.end_action,
        experiment.end_reached_at,
        experiment.schedule_error,
    ));
    let completed_at = errors.keep(optional_timestamp_from(experiment.completed_at, "completed_at"));
    let pauses = errors.keep(each(experiment.pauses, "pauses", parts::pause_from));
    let meta = meta_from(
        experiment.version,
        experiment.generation,
        experiment.created_at,
        experiment.updated_at,
    );
    let meta = errors.keep(meta);
    let made = || {
        Some(Experiment {
            namespace: namespace?,
            key: key?,
            name: experiment.name,
            description: experiment.description,
            hypothesis: experiment.hypothesis,
            owner: experiment.owner,
            tags: experiment.tags,
            flag: flag_key?,
            state: state?,
            source: source?,
            unit_kind: unit_kind?,
            variants: variants?,
            cohorts: cohorts?,
            coverage: coverage?,
            salt: experiment.salt,
            segment: segment?,
            segment_version: (experiment.segment_version > 0).then_some(experiment.segment_version),
            metrics: metrics?,
            exposure: exposure?,
            confidence: confidence?,
            qa_overrides: qa_overrides?,
            traffic: traffic?,
            start_time: start_time?,
            end_time: end_time?,
            completed_at: completed_at?,
            pauses: pauses?,
            reason: experiment.reason,
            schedule: schedule?,
            undo: None,
            meta: meta?,
        })
    };
    let made = made();
    errors.finish(made)
}

/// The cohorts, the last with the `shares` of the variants: an update says them there.
fn cohorts_from(cohorts: Vec<pb::Cohort>, shares: Vec<u32>) -> Result<Vec<Cohort>, FieldErrors> {
    let mut cohorts = cohorts;
    if cohorts.is_empty() {
        cohorts.push(pb::Cohort {
            number: 1,
            weights: Vec::new(),
            generation: 0,
        });
    }
    let last = cohorts.pop();
    let mut errors = FieldErrors::default();
    let mut converted = errors
        .keep(each(cohorts, "cohorts", cohort_from))
        .unwrap_or_default();
    if let Some(last) = last {
        let weights = if shares.is_empty() { last.weights } else { shares };
        let weights = errors.keep(weights_from(weights, "variants"));
        converted.extend(weights.map(|weights| Cohort {
            number: last.number,
            weights,
            generation: last.generation,
        }));
    }
    errors.finish(Some(converted))
}

fn cohort_from(cohort: pb::Cohort) -> Result<Cohort, FieldErrors> {
    let weights = weights_from(cohort.weights, "weights")?;
    Ok(Cohort {
        number: cohort.number,
        weights,
        generation: cohort.generation,
    })
}

pub(super) fn weights_from(shares: Vec<u32>, field: &str) -> Result<Weights, FieldErrors> {
    if shares.iter().all(|share| *share == 0) {
        return Ok(Weights::even(shares.len()));
    }
    Weights::new(shares).map_err(|error| FieldErrors::one(field, "WEIGHTS_SUM", error.to_string()))
}

fn coverage_from(share: Option<u32>) -> Result<Coverage, FieldErrors> {
    let coverage = share.map_or(Ok(Coverage::FULL), Coverage::new);
    coverage.map_err(|error| FieldErrors::one("coverage", "COVERAGE_RANGE", error.to_string()))
}

fn confidence_from(confidence: f64) -> Result<f64, FieldErrors> {
    if confidence == 0.0 {
        return Ok(DEFAULT_CONFIDENCE);
    }
    if confidence > 0.5 && confidence < 1.0 {
        return Ok(confidence);
    }
    let message = format!("is {confidence}; give a number above 0.5 and below 1, such as 0.95");
    Err(FieldErrors::one("confidence", "CONFIDENCE_RANGE", message))
}

impl From<&Experiment> for pb::Experiment {
    fn from(experiment: &Experiment) -> Self {
        let state = state::StateFields::from(&experiment.state);
        let traffic = traffic::Fields::from(&experiment.traffic);
        let actions = allowed_actions(&experiment.state);
        let shares = experiment
            .cohorts
            .last()
            .map_or(&[][..], |cohort| cohort.weights.shares());
        let shares = shares.iter().copied().chain(std::iter::repeat(0));
        Self {
            namespace: experiment.namespace.to_string(),
            key: experiment.key.to_string(),
            name: experiment.name.clone(),
            description: experiment.description.clone(),
            hypothesis: experiment.hypothesis.clone(),
            owner: experiment.owner.clone(),
            tags: experiment.tags.clone(),
            flag_key: experiment.flag.to_string(),
            state: state.state.into(),
            pause_mode: state.pause_mode.into(),
            outcome: state.outcome.into(),
            winner: state.winner,
            allowed_actions: actions
                .into_iter()
                .filter_map(lifecycle_action)
                .map(i32::from)
                .collect(),
            assignment_source: pb::AssignmentSource::from(experiment.source).into(),
            unit_kind: experiment.unit_kind.to_string(),
            variants: experiment.variants.iter().zip(shares).map(variant).collect(),
            coverage: Some(experiment.coverage.share()),
            segment_key: experiment
                .segment
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            segment_version: experiment.segment_version.unwrap_or_default(),
            metrics: experiment
                .metrics
                .iter()
                .map(pb::ExperimentMetric::from)
                .collect(),
            exposure_mode: pb::ExposureMode::from(experiment.exposure).into(),
            confidence: experiment.confidence,
            qa_overrides: experiment.qa_overrides.iter().map(pb::QaOverride::from).collect(),
            start_time: experiment.start_time.map(timestamp),
            end_time: experiment.end_time.map(timestamp),
            completed_at: experiment.completed_at.map(timestamp),
            pauses: experiment.pauses.iter().map(pb::Pause::from).collect(),
            cohorts: experiment.cohorts.iter().map(pb::Cohort::from).collect(),
            salt: experiment.salt.clone(),
            reason: experiment.reason.clone(),
            version: experiment.meta.version,
            generation: experiment.meta.generation,
            created_at: meta_time(experiment.meta.created_at),
            updated_at: meta_time(experiment.meta.updated_at),
            archived_from: state.archived_from.into(),
            end_action: pb::EndAction::from(experiment.schedule.end_action).into(),
            schedule_error: experiment.schedule.error.clone(),
            undo_until: experiment.undo.as_ref().map(|undo| timestamp(undo.until)),
            control_drift: None,
            counting_from: None,
            unconfirmed_replicas: vec![],
            counting_awaited: false,
            end_reached_at: experiment.schedule.end_reached_at.map(timestamp),
            sticky: traffic.sticky,
            eligibility: traffic.eligibility,
            layer_key: traffic.layer_key,
            layer_ranges: traffic.layer_ranges,
            prerequisites: traffic.prerequisites,
            layer_salt: traffic.layer_salt,
            holdout_keys: traffic.holdout_keys,
            cohort_opening: traffic.cohort_opening,
            hashing: traffic.hashing,
        }
    }
}

fn variant((variant, weight): (&Variant, u32)) -> pb::Variant {
    pb::Variant {
        key: variant.key.to_string(),
        name: variant.name.clone(),
        value: Some(value_to(&variant.value)),
        weight,
    }
}

/// What a person can do; reaching the end is up to the clock.
pub fn lifecycle_action(action: Action) -> Option<pb::LifecycleAction> {
    Some(match action {
        Action::Start => pb::LifecycleAction::Start,
        Action::Unschedule => pb::LifecycleAction::Unschedule,
        Action::Pause => pb::LifecycleAction::Pause,
        Action::Resume => pb::LifecycleAction::Resume,
        Action::Stop => pb::LifecycleAction::Stop,
        Action::DeclareWinner => pb::LifecycleAction::DeclareWinner,
        Action::Undo => pb::LifecycleAction::Undo,
        Action::ReachEnd => return None,
        Action::End => pb::LifecycleAction::End,
        Action::Archive => pb::LifecycleAction::Archive,
        Action::Unarchive => pb::LifecycleAction::Unarchive,
        Action::Delete => pb::LifecycleAction::Delete,
        Action::Duplicate => pb::LifecycleAction::Duplicate,
        Action::AddCohort => pb::LifecycleAction::AddCohort,
    })
}
