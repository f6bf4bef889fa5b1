//! From what was published to what is served.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    Choice, CompiledExperiment, CompiledFlag, Configuration, Group, Keep, Phase, Place, Recall, Rejected,
    Snapshot, Split, Target, Targeted, origin::Metas,
};
use crate::{
    assign::Reason,
    bucketing::{Domain, Seed, partition_seed},
    experiment::{AssignmentSource, Experiment, ExposureMode},
    flag::Flag,
    hashing::Division,
    holdout::{Held, Holdout},
    key::{ExperimentKey, HoldoutKey, SegmentKey},
    lifecycle::{Outcome, PauseMode, State},
    segment::{Audience, Segment, compile_all},
    sharded::Sharded,
    traffic::{Eligibility, Sticky},
    value::{Value, ValueType},
    weights::Coverage,
};

pub(super) fn compile(configuration: &Configuration) -> (Snapshot, Vec<Rejected>) {
    let mut rejected = Vec::new();
    let parts = Arc::new(Parts {
        segments: Segments::compile(&configuration.segments, &mut rejected),
        holdouts: holdouts(&configuration.holdouts),
        metas: Metas::of(configuration),
    });
    let mut snapshot = Snapshot {
        namespace: configuration.namespace.clone(),
        generation: configuration.generation,
        partition_seed: partition_seed(&configuration.namespace),
        by_flag: Sharded::default(),
        by_experiment: Sharded::default(),
        n_remembering: 0,
        parts: parts.clone(),
        quarantined: HashSet::new(),
        origins: Sharded::default(),
    };
    for flag in &configuration.flags {
        snapshot
            .origins
            .insert(flag.key.clone(), parts.metas.origin(flag));
        match compile_flag(flag, &parts) {
            Ok(compiled) => {
                let target = Target {
                    flag: Arc::new(compiled),
                    experiment: None,
                };
                snapshot.by_flag.insert(flag.key.clone(), target);
            }
            Err(reason) => {
                snapshot.quarantined.insert(flag.key.clone());
                rejected.push(Rejected {
                    resource: format!("flag {}", flag.key),
                    reason,
                });
            }
        }
    }
    let experiments = in_order(&configuration.experiments);
    for experiment in experiments {
        if let Some(origin) = snapshot.origins.get_mut(&experiment.flag) {
            parts.metas.add_experiment(origin, experiment);
        }
        if let Err(reason) = attach(&mut snapshot, experiment, &parts) {
            rejected.push(Rejected {
                resource: format!("experiment {}", experiment.key),
                reason,
            });
        }
    }
    (snapshot, rejected)
}

pub(super) fn revise<'a>(
    before: &Snapshot,
    generation: u64,
    groups: impl IntoIterator<Item = Group<'a>>,
    gone: impl IntoIterator<Item = &'a ExperimentKey>,
) -> Option<Snapshot> {
    let parts = before.parts.clone();
    let mut snapshot = Snapshot {
        namespace: before.namespace.clone(),
        generation,
        partition_seed: before.partition_seed,
        by_flag: before.by_flag.clone(),
        by_experiment: before.by_experiment.clone(),
        n_remembering: before.n_remembering,
        parts: parts.clone(),
        quarantined: before.quarantined.clone(),
        origins: before.origins.clone(),
    };
    for key in gone {
        snapshot.place(key, None);
    }
    for Group { flag, experiments } in groups {
        let target = Target {
            flag: Arc::new(compile_flag(flag, &parts).ok()?),
            experiment: None,
        };
        snapshot.by_flag.insert(flag.key.clone(), target);
        let mut origin = parts.metas.origin(flag);
        for experiment in in_order(experiments) {
            parts.metas.add_experiment(&mut origin, experiment);
            attach(&mut snapshot, experiment, &parts).ok()?;
        }
        snapshot.origins.insert(flag.key.clone(), origin);
    }
    Some(snapshot)
}

/// Those that are served, in the order in which they are attached: the current experiment of a flag is its live one, else its latest
/// completed one; it comes last and so stays attached.
fn in_order<'a>(experiments: impl IntoIterator<Item = &'a Experiment>) -> Vec<&'a Experiment> {
    let mut served: Vec<_> = experiments
        .into_iter()
        .filter(|e| e.state != State::Draft)
        .collect();
    served.sort_by_key(|e| (e.state.is_live(), e.completed_at, &e.key));
    served
}

impl Snapshot {
    /// Lets `key` lead to `target`, or to nothing.
    fn place(&mut self, key: &ExperimentKey, target: Option<Target>) {
        let remembers = |target: &Option<Target>| {
            let experiment = target.as_ref().and_then(|target| target.experiment.as_ref());
            usize::from(experiment.is_some_and(|experiment| experiment.remembers()))
        };
        let now = remembers(&target);
        let before = match target {
            Some(target) => self.by_experiment.insert(key.clone(), target),
            None => self.by_experiment.remove(key),
        };
        self.n_remembering = self
            .n_remembering
            .saturating_add(now)
            .saturating_sub(remembers(&before));
    }
}

impl CompiledExperiment {
    /// Whether an answer about it depends on what is remembered, or waits to be remembered.
    fn remembers(&self) -> bool {
        match &self.phase {
            Phase::Split(split) => split.recall != Recall::Never || split.keep == Keep::First,
            Phase::Default(_) | Phase::Winner(_) => false,
        }
    }
}

/// Makes `experiment` the current one of its flag, and known by its own key. A broken one takes its place too, but empty:
/// the flag serves its default, never an older experiment.
fn attach(snapshot: &mut Snapshot, experiment: &Experiment, parts: &Parts) -> Result<(), String> {
    let Some(target) = snapshot.by_flag.get_mut(&experiment.flag) else {
        return Err(format!("its flag `{}` is missing or rejected", experiment.flag));
    };
    if experiment.source == AssignmentSource::Imported {
        let target = Target {
            flag: target.flag.clone(),
            experiment: None,
        };
        snapshot.place(&experiment.key, Some(target));
        return Ok(());
    }
    let compiled = compile_experiment(experiment, target.flag.value_type, parts).map(Arc::new);
    target.experiment = compiled.as_ref().ok().cloned();
    let target = target.clone();
    snapshot.place(&experiment.key, Some(target));
    compiled.map(drop)
}

/// What flags and experiments refer to, compiled.
#[derive(Debug)]
pub(super) struct Parts {
    segments: Segments,
    holdouts: HashMap<HoldoutKey, Arc<Held>>,
    metas: Metas,
}

fn holdouts(holdouts: &[Holdout]) -> HashMap<HoldoutKey, Arc<Held>> {
    let compiled = holdouts
        .iter()
        .map(|holdout| (holdout.key.clone(), Arc::new(holdout.compile())));
    compiled.collect()
}

/// Compiled segments by key and version; `None` for a broken one.
#[derive(Debug)]
struct Segments(HashMap<SegmentKey, BTreeMap<u64, Option<Arc<Audience>>>>);

impl Segments {
    fn compile(segments: &[Segment], rejected: &mut Vec<Rejected>) -> Self {
        let mut compiled: HashMap<SegmentKey, BTreeMap<_, _>> = HashMap::new();
        for ((key, version), audience) in compile_all(segments) {
            if let Err(error) = &audience {
                let resource = format!("segment {key}");
                let reason = error.to_string();
                rejected.push(Rejected { resource, reason });
            }
            let versions = compiled.entry(key.clone()).or_default();
            versions.insert(version, audience.ok());
        }
        Self(compiled)
    }

    /// The latest version that is not broken: where that is not the latest one, the segment is among the rejected.
    fn latest(&self, key: &SegmentKey) -> Result<Targeted, String> {
        let mut versions = self
            .0
            .get(key)
            .into_iter()
            .flat_map(|versions| versions.iter().rev());
        let latest = versions.find_map(|(version, audience)| {
            Some(Targeted {
                key: key.clone(),
                version: *version,
                audience: audience.clone()?,
            })
        });
        latest.ok_or_else(|| format!("segment `{key}` is missing or rejected"))
    }

    fn pinned(&self, key: &SegmentKey, version: u64) -> Result<Targeted, String> {
        let found = self.0.get(key).and_then(|versions| versions.get(&version));
        let audience = found.cloned().flatten();
        let audience =
            audience.ok_or_else(|| format!("version {version} of segment `{key}` is missing or rejected"))?;
        Ok(Targeted {
            key: key.clone(),
            version,
            audience,
        })
    }
}

fn compile_flag(flag: &Flag, parts: &Parts) -> Result<CompiledFlag, String> {
    let typed = |value: &Value| check_type(value, flag.value_type).map(|()| value.clone());
    let mut by_unit = HashMap::new();
    for o in &flag.unit_overrides {
        by_unit.insert(o.unit.clone(), typed(&o.value)?);
    }
    let mut by_segment = Vec::new();
    for o in &flag.segment_overrides {
        by_segment.push((parts.segments.latest(&o.segment)?, typed(&o.value)?));
    }
    let mut held = Vec::new();
    for kept in &flag.held_defaults {
        // A holdout that is gone holds nobody any more.
        if let Some(holdout) = parts.holdouts.get(&kept.holdout) {
            held.push((holdout.clone(), typed(&kept.value)?));
        }
    }
    Ok(CompiledFlag {
        key: flag.key.clone(),
        default_value: typed(&flag.default_value)?,
        value_type: flag.value_type,
        first_variation: flag.variations.first().map(|variation| variation.key.clone()),
        by_unit,
        by_segment,
        held,
    })
}

fn compile_experiment(
    experiment: &Experiment,
    value_type: ValueType,
    parts: &Parts,
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
        State::Running => Phase::Split(Box::new(compile_split(experiment, &choices, &parts.segments)?)),
        State::Paused(PauseMode::ServeDefault) => Phase::Default(Reason::Paused),
        // Without remembered assignments nobody is known to be assigned already.
        State::Paused(PauseMode::HoldEnrollment) if experiment.traffic.sticky == Sticky::HashOnly => {
            Phase::Default(Reason::EnrollmentHeld)
        }
        State::Paused(PauseMode::HoldEnrollment) => {
            Phase::Split(Box::new(compile_split(experiment, &choices, &parts.segments)?))
        }
        State::Completed(Outcome::Winner(winner)) => Phase::Winner(choice(winner.as_str())?),
        State::Completed(Outcome::Pending | Outcome::NoWinner) => Phase::Default(Reason::Completed),
        State::Ended(_) => Phase::Default(Reason::Ended),
        State::Archived { .. } => Phase::Default(Reason::Archived),
    };
    Ok(CompiledExperiment {
        key: experiment.key.clone(),
        unit_kind: experiment.unit_kind.clone(),
        qa,
        holdouts: compile_holdouts(experiment, parts)?,
        phase,
    })
}

/// The holdouts that `experiment` has pinned. While it is live they exist; later a missing one holds nobody any more.
fn compile_holdouts(experiment: &Experiment, parts: &Parts) -> Result<Vec<Arc<Held>>, String> {
    let mut compiled = Vec::new();
    for key in &experiment.traffic.holdouts {
        match parts.holdouts.get(key) {
            Some(held) => compiled.push(held.clone()),
            None if experiment.state.is_live() => {
                return Err(format!("holdout `{key}` is missing or rejected"));
            }
            None => {}
        }
    }
    Ok(compiled)
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

fn compile_split(
    experiment: &Experiment,
    choices: &[Arc<Choice>],
    segments: &Segments,
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
    let segment = match (&experiment.segment, experiment.segment_version) {
        (None, _) => None,
        (Some(key), Some(version)) => Some(segments.pinned(key, version)?),
        (Some(key), None) => Some(segments.latest(key)?),
    };
    let segmenting = segment.iter().flat_map(|segment| segment.audience.attributes());
    let segmenting: BTreeSet<_> = segmenting.map(str::to_owned).collect();
    let traffic = &experiment.traffic;
    let place = traffic.layer.as_ref().map(|layer| Place {
        key: layer.key.clone(),
        seed: Seed::new(Domain::Layer, &layer.salt),
        ranges: layer.ranges.clone(),
    });
    // In a layer the coverage is the experiment's share of the buckets, so whoever has a place there is admitted.
    let coverage = if place.is_some() {
        Coverage::FULL
    } else {
        experiment.coverage
    };
    let variants = experiment.variants.iter().map(|variant| &variant.key);
    let division = Division::new(&traffic.hashing, &experiment.salt, variants, weights, coverage)
        .map_err(|impossible| impossible.to_string())?;
    let prerequisites = traffic
        .prerequisites
        .iter()
        .map(|p| (p.flag.clone(), p.value.clone()));
    let is_held = matches!(experiment.state, State::Paused(PauseMode::HoldEnrollment));
    Ok(Split {
        place,
        prerequisites: prerequisites.collect(),
        recall: recall(experiment, is_held),
        keep: keep(experiment),
        is_held,
        segment,
        segmenting: segmenting.into_iter().collect(),
        division,
        choices: choices.to_vec(),
        cohort: cohort.number,
        exposes: experiment.exposure == ExposureMode::OnAssign,
    })
}

/// When what is remembered may differ from what the hash says.
fn recall(experiment: &Experiment, is_held: bool) -> Recall {
    let traffic = &experiment.traffic;
    match (traffic.sticky, traffic.eligibility) {
        (Sticky::HashOnly, _) => Recall::Never,
        (Sticky::Stored, Eligibility::AtEnrollment) => Recall::First,
        (Sticky::Stored, Eligibility::EachRequest) if is_held || has_cohorts(experiment) => Recall::Eligible,
        (Sticky::Stored, Eligibility::EachRequest) => Recall::Never,
    }
}

fn keep(experiment: &Experiment) -> Keep {
    match experiment.traffic.sticky {
        Sticky::HashOnly => Keep::No,
        Sticky::Stored if has_cohorts(experiment) => Keep::First,
        Sticky::Stored => Keep::Later,
    }
}

/// Whether units may have been split by other weights than others, now or on a replica that is a generation ahead.
fn has_cohorts(experiment: &Experiment) -> bool {
    experiment.cohorts.len() > 1 || experiment.traffic.opening.is_some()
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
