//! How an experiment shares units with others, and whether it remembers whom it gave what.

use crate::{
    experiment::{AssignmentSource, Cohort, Experiment},
    hashing::Hashing,
    key::{ExperimentKey, FlagKey, HoldoutKey, LayerKey},
    layer::{BucketRange, Layer, LayerFull},
    lifecycle::State,
    time::Timestamp,
    value::Value,
    weights::Weights,
};

/// Most flags on a path of prerequisites, the experiment's own flag not counted.
pub const MAX_PREREQUISITE_DEPTH: u32 = 5;

/// Whether first assignments are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sticky {
    /// No: the hash alone decides.
    #[default]
    HashOnly,
    /// Yes, put-if-absent in the unit store.
    Stored,
}

/// When it is checked whether a unit is eligible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Eligibility {
    /// Every time: a unit that stops matching gets the default, and its variant again when it matches.
    #[default]
    EachRequest,
    /// When it is first assigned; afterwards segment and coverage are not asked any more. Needs [`Sticky::Stored`].
    AtEnrollment,
}

/// The place of an experiment in its layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InLayer {
    /// The layer.
    pub key: LayerKey,
    /// The layer's salt, pinned at Start; empty before.
    pub salt: String,
    /// The buckets that it was given at Start and since, in order; kept as history when it has ended.
    pub ranges: Vec<BucketRange>,
}

impl InLayer {
    /// In the layer `key`, without buckets yet.
    pub fn new(key: LayerKey) -> Self {
        Self {
            key,
            salt: String::new(),
            ranges: Vec::new(),
        }
    }
}

/// What another flag must serve a unit for it to be admitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Prerequisite {
    /// The other flag.
    pub flag: FlagKey,
    /// What it must serve; of its type.
    pub value: Value,
}

/// A cohort that is about to open: until then first assignments are remembered before they are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The weights that it will have.
    pub weights: Weights,
    /// A generation that is no later than the one that announced it.
    pub since: u64,
}

/// How an experiment shares units with others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Traffic {
    /// Whether assignments are remembered.
    pub sticky: Sticky,
    /// When eligibility is checked.
    pub eligibility: Eligibility,
    /// Its layer; without one it shares units with all experiments.
    pub layer: Option<InLayer>,
    /// The holdouts of its scope, pinned at Start.
    pub holdouts: Vec<HoldoutKey>,
    /// What other flags must serve; all must hold.
    pub prerequisites: Vec<Prerequisite>,
    /// The cohort that is about to open.
    pub opening: Option<Opening>,
    /// How unit ids become variants.
    pub hashing: Hashing,
}

impl Traffic {
    /// What a copy of the experiment has of it: nothing that Start writes.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            layer: self.layer.as_ref().map(|layer| InLayer::new(layer.key.clone())),
            holdouts: Vec::new(),
            opening: None,
            ..self.clone()
        }
    }
}

/// Gives `experiment`, which was `before`, the buckets that its state and coverage ask for, and takes back what it no longer needs.
///
/// Scheduled, running and paused it has its coverage's share of the layer; completed it keeps what it has, for Undo; back in draft it has
/// none, and nobody has met it; ended or archived its buckets cool down. Calling it again changes nothing.
///
/// # Errors
/// [`LayerFull`]; then nothing has changed.
pub fn settle(
    layer: &mut Layer,
    before: &Experiment,
    experiment: &mut Experiment,
    now: Timestamp,
) -> Result<(), LayerFull> {
    if experiment.source == AssignmentSource::Imported {
        return Ok(());
    }
    let wanted = experiment.coverage.buckets();
    let Some(place) = experiment
        .traffic
        .layer
        .as_mut()
        .filter(|place| place.key == layer.key)
    else {
        return Ok(());
    };
    match &experiment.state {
        State::Draft => {
            layer.release(&experiment.key, now, before.state != State::Scheduled);
            *place = InLayer::new(place.key.clone());
        }
        State::Scheduled | State::Running | State::Paused(_) => {
            place.ranges = layer.allocate(&experiment.key, wanted, now)?;
            place.salt.clone_from(&layer.salt);
        }
        State::Completed(_) => {}
        State::Ended(_) | State::Archived { .. } => layer.release(&experiment.key, now, true),
    }
    Ok(())
}

/// Whether somebody may open another cohort: it runs or is paused, remembers its units, and no cohort is opening already.
pub fn may_add_cohort(experiment: &Experiment) -> bool {
    experiment.state.is_open()
        && experiment.traffic.sticky == Sticky::Stored
        && experiment.traffic.opening.is_none()
}

/// `experiment` with the cohort open that was announced; the cohort begins at `generation`. None when no cohort waits to open, or when
/// the experiment enrolls no more.
pub fn open_cohort(experiment: &Experiment, generation: u64) -> Option<Experiment> {
    let mut opened = experiment.clone();
    let opening = opened.traffic.opening.take()?;
    if !experiment.state.is_open() {
        return None;
    }
    let last = experiment.cohorts.last().map_or(0, |cohort| cohort.number);
    opened.cohorts.push(Cohort {
        number: last.saturating_add(1),
        weights: opening.weights,
        generation,
    });
    Some(opened)
}

/// The way back to `flag` through prerequisites, or a way that is too long, if `experiment` is stored beside `others`.
///
/// `others` are the experiments that may be served: drafts and live ones. A way names flags; it begins with the experiment's own, or with that
/// from which the longest way leads to it.
pub fn prerequisite_path(experiment: &Experiment, others: &[Experiment]) -> Option<Vec<FlagKey>> {
    let own = |flag: &FlagKey| *flag == experiment.flag;
    let way = |mut path: Vec<FlagKey>| {
        path.push(experiment.flag.clone());
        let (prerequisites, key) = (&experiment.traffic.prerequisites, &experiment.key);
        walk(prerequisites, key, &own, others, &mut path).then_some(path)
    };
    way(Vec::new()).or_else(|| {
        let above = above(&experiment.flag, &experiment.key, others, MAX_PREREQUISITE_DEPTH);
        (!above.is_empty()).then_some(above).and_then(way)
    })
}

/// The longest way through the prerequisites of `others` that leads to `flag`, which is left out; at most `limit` flags.
fn above(flag: &FlagKey, skip: &ExperimentKey, others: &[Experiment], limit: u32) -> Vec<FlagKey> {
    let Some(limit) = limit.checked_sub(1) else {
        return Vec::new();
    };
    let requires = |other: &&Experiment| {
        let mut required = other.traffic.prerequisites.iter();
        other.key != *skip && required.any(|prerequisite| prerequisite.flag == *flag)
    };
    let ways = others.iter().filter(requires).map(|other| {
        let mut way = above(&other.flag, skip, others, limit);
        way.push(other.flag.clone());
        way
    });
    ways.max_by_key(Vec::len).unwrap_or_default()
}

/// Whether a way through `prerequisites` comes back or is too long; then it is left in `path`.
fn walk(
    prerequisites: &[Prerequisite],
    skip: &ExperimentKey,
    is_own: &impl Fn(&FlagKey) -> bool,
    others: &[Experiment],
    path: &mut Vec<FlagKey>,
) -> bool {
    for prerequisite in prerequisites {
        let comes_back = is_own(&prerequisite.flag);
        path.push(prerequisite.flag.clone());
        if comes_back || path.len().saturating_sub(1) > MAX_PREREQUISITE_DEPTH as usize {
            return true;
        }
        let next = others
            .iter()
            .filter(|other| other.flag == prerequisite.flag && other.key != *skip);
        for other in next {
            if walk(&other.traffic.prerequisites, skip, is_own, others, path) {
                return true;
            }
        }
        path.pop();
    }
    false
}

#[cfg(test)]
mod tests;
