//! From what was published to what is served.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    Choice, CompiledExperiment, CompiledFlag, Configuration, Phase, Rejected, Snapshot, Split, Target,
};
use crate::{
    assign::Reason,
    bucketing::{Domain, Seed, partition_seed},
    experiment::{AssignmentSource, Experiment, ExposureMode},
    flag::Flag,
    key::SegmentKey,
    lifecycle::{Outcome, PauseMode, State},
    segment::{Audience, Segment, compile_all},
    value::{Value, ValueType},
};

pub(super) fn compile(configuration: &Configuration) -> (Snapshot, Vec<Rejected>) {
    let mut rejected = Vec::new();
    let segments = Segments::compile(&configuration.segments, &mut rejected);
    let mut snapshot = Snapshot {
        namespace: configuration.namespace.clone(),
        generation: configuration.generation,
        partition_seed: partition_seed(&configuration.namespace),
        by_flag: HashMap::new(),
        by_experiment: HashMap::new(),
    };
    for flag in &configuration.flags {
        match compile_flag(flag, &segments) {
            Ok(compiled) => {
                let target = Target {
                    flag: Arc::new(compiled),
                    experiment: None,
                };
                snapshot.by_flag.insert(flag.key.clone(), target);
            }
            Err(reason) => rejected.push(Rejected {
                resource: format!("flag {}", flag.key),
                reason,
            }),
        }
    }
    let mut experiments: Vec<_> = configuration
        .experiments
        .iter()
        .filter(|e| e.state != State::Draft)
        .collect();
    // The current experiment of a flag is its live one, else its latest completed one: it comes last and so stays attached.
    experiments.sort_by_key(|e| (e.state.is_live(), e.completed_at, &e.key));
    for experiment in experiments {
        if let Err(reason) = attach(&mut snapshot, experiment, &segments) {
            rejected.push(Rejected {
                resource: format!("experiment {}", experiment.key),
                reason,
            });
        }
    }
    (snapshot, rejected)
}

/// Makes `experiment` the current one of its flag, and known by its own key. A broken one takes its place too, but empty:
/// the flag serves its default, never an older experiment.
fn attach(snapshot: &mut Snapshot, experiment: &Experiment, segments: &Segments<'_>) -> Result<(), String> {
    let Some(target) = snapshot.by_flag.get_mut(&experiment.flag) else {
        return Err(format!("its flag `{}` is missing or rejected", experiment.flag));
    };
    if experiment.source == AssignmentSource::Imported {
        let target = Target {
            flag: target.flag.clone(),
            experiment: None,
        };
        snapshot.by_experiment.insert(experiment.key.clone(), target);
        return Ok(());
    }
    let compiled = compile_experiment(experiment, target.flag.value_type, segments).map(Arc::new);
    target.experiment = compiled.as_ref().ok().cloned();
    snapshot
        .by_experiment
        .insert(experiment.key.clone(), target.clone());
    compiled.map(drop)
}

/// Compiled segments by key and version; `None` for a broken one.
struct Segments<'a>(BTreeMap<(&'a SegmentKey, u64), Option<Arc<Audience>>>);

impl<'a> Segments<'a> {
    fn compile(segments: &'a [Segment], rejected: &mut Vec<Rejected>) -> Self {
        let mut compiled = BTreeMap::new();
        for (id, audience) in compile_all(segments) {
            if let Err(error) = &audience {
                let resource = format!("segment {}", id.0);
                let reason = error.to_string();
                rejected.push(Rejected { resource, reason });
            }
            compiled.insert(id, audience.ok());
        }
        Self(compiled)
    }

    fn latest(&self, key: &'a SegmentKey) -> Result<Arc<Audience>, String> {
        let latest = self.0.range((key, 0)..=(key, u64::MAX)).next_back();
        let audience = latest.and_then(|(_, audience)| audience.clone());
        audience.ok_or_else(|| format!("segment `{key}` is missing or rejected"))
    }

    fn pinned(&self, key: &'a SegmentKey, version: u64) -> Result<Arc<Audience>, String> {
        let audience = self.0.get(&(key, version)).cloned().flatten();
        audience.ok_or_else(|| format!("version {version} of segment `{key}` is missing or rejected"))
    }
}

fn compile_flag<'a>(flag: &'a Flag, segments: &Segments<'a>) -> Result<CompiledFlag, String> {
    let typed = |value: &Value| check_type(value, flag.value_type).map(|()| value.clone());
    let mut by_unit = HashMap::new();
    for o in &flag.unit_overrides {
        by_unit.insert(o.unit.clone(), typed(&o.value)?);
    }
    let mut by_segment = Vec::new();
    for o in &flag.segment_overrides {
        by_segment.push((segments.latest(&o.segment)?, typed(&o.value)?));
    }
    Ok(CompiledFlag {
        key: flag.key.clone(),
        default_value: typed(&flag.default_value)?,
        value_type: flag.value_type,
        by_unit,
        by_segment,
    })
}

fn compile_experiment<'a>(
    experiment: &'a Experiment,
    value_type: ValueType,
    segments: &Segments<'a>,
) -> Result<CompiledExperiment, String> {
    let choices = choices(experiment, value_type)?;
    let choice = |key: &str| {
        let found = choices.iter().find(|c| c.key.as_str() == key);
        found.cloned().ok_or_else(|| format!("it has no variant `{key}`"))
    };
    let mut qa = HashMap::new();
    if experiment.state.is_live() {
        for o in &experiment.qa_overrides {
            qa.insert(o.unit.clone(), choice(o.variant.as_str())?);
        }
    }
    let phase = match &experiment.state {
        State::Draft => Phase::Default(Reason::NoExperiment),
        State::Scheduled => Phase::Default(Reason::Scheduled),
        State::Running => Phase::Split(compile_split(experiment, &choices, segments)?),
        State::Paused(PauseMode::ServeDefault) => Phase::Default(Reason::Paused),
        // Without remembered assignments nobody is known to be assigned already.
        State::Paused(PauseMode::HoldEnrollment) => Phase::Default(Reason::EnrollmentHeld),
        State::Completed(Outcome::Winner(winner)) => Phase::Winner(choice(winner.as_str())?),
        State::Completed(Outcome::Pending | Outcome::NoWinner) => Phase::Default(Reason::Completed),
        State::Ended(_) => Phase::Default(Reason::Ended),
        State::Archived { .. } => Phase::Default(Reason::Archived),
    };
    Ok(CompiledExperiment {
        key: experiment.key.clone(),
        unit_kind: experiment.unit_kind.clone(),
        qa,
        phase,
    })
}

/// The variants in declared order, control first.
fn choices(experiment: &Experiment, value_type: ValueType) -> Result<Vec<Arc<Choice>>, String> {
    let mut keys = HashSet::new();
    let mut choices = Vec::new();
    for variant in &experiment.variants {
        if !keys.insert(&variant.key) {
            return Err(format!("it has two variants `{}`", variant.key));
        }
        check_type(&variant.value, value_type)?;
        let is_control = choices.is_empty();
        choices.push(Arc::new(Choice {
            key: variant.key.clone(),
            value: variant.value.clone(),
            is_control,
        }));
    }
    Ok(choices)
}

fn compile_split<'a>(
    experiment: &'a Experiment,
    choices: &[Arc<Choice>],
    segments: &Segments<'a>,
) -> Result<Split, String> {
    let cohort = experiment.cohorts.last().ok_or("it has no cohort")?;
    let weights = &cohort.weights;
    if weights.shares().len() != choices.len() {
        return Err(format!(
            "it has {} weights for {} variants",
            weights.shares().len(),
            choices.len()
        ));
    }
    let audience = match (&experiment.segment, experiment.segment_version) {
        (None, _) => Arc::default(),
        (Some(key), Some(version)) => segments.pinned(key, version)?,
        (Some(key), None) => segments.latest(key)?,
    };
    let segmenting: BTreeSet<_> = audience.attributes().map(str::to_owned).collect();
    Ok(Split {
        audience,
        segmenting: segmenting.into_iter().collect(),
        coverage_seed: Seed::new(Domain::Coverage, &experiment.salt),
        admitted_below: experiment.coverage.buckets(),
        split_seed: Seed::new(Domain::Split, &experiment.salt),
        ranges: weights.range_ends().zip(choices.iter().cloned()).collect(),
        cohort: cohort.number,
        exposes: experiment.exposure == ExposureMode::OnAssign,
    })
}

fn check_type(value: &Value, value_type: ValueType) -> Result<(), String> {
    if value.value_type() == value_type {
        return Ok(());
    }
    Err(format!(
        "a value is a {} where the flag is a {value_type}",
        value.value_type()
    ))
}
