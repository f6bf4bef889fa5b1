//! A namespace's configuration at one generation, compiled for [`crate::assign`]: looked up by flag, never scanned.

mod compile;
mod describe;
mod origin;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use crate::{
    assign::Reason,
    bucketing::Seed,
    experiment::Experiment,
    flag::Flag,
    hashing::Division,
    holdout::{Held, Holdout},
    key::{ExperimentKey, FlagKey, LayerKey, Namespace, SegmentKey, Unit, UnitKind, VariantKey},
    layer::{self, BucketRange},
    segment::{Audience, Segment},
    sharded::Sharded,
    value::{Attributes, Value, ValueType},
};
use compile::Parts;

use origin::Origin;

pub use describe::{Change, Described};

/// What was published: the input of [`Snapshot::compile`].
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// The namespace.
    pub namespace: Namespace,
    /// The generation.
    pub generation: u64,
    /// Its flags.
    pub flags: Vec<Flag>,
    /// Its segments: the latest version of each, and every version that an experiment has pinned.
    pub segments: Vec<Segment>,
    /// Its holdouts.
    pub holdouts: Vec<Holdout>,
    /// Its experiments; drafts among them are passed over.
    pub experiments: Vec<Experiment>,
}

/// A resource that could not be compiled; all others are unaffected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What it is: `flag gate`, `experiment cookie-cats`, `segment new-players`.
    pub resource: String,
    /// Why.
    pub reason: String,
}

/// A compiled configuration: immutable, replaced whole.
#[derive(Debug)]
pub struct Snapshot {
    namespace: Namespace,
    generation: u64,
    partition_seed: Seed,
    by_flag: Sharded<FlagKey, Target>,
    by_experiment: Sharded<ExperimentKey, Target>,
    /// How many of its experiments ask what is remembered, or wait to be remembered.
    n_remembering: usize,
    /// What flags and experiments refer to.
    parts: Arc<Parts>,
    /// Flags that exist and cannot be served.
    quarantined: HashSet<FlagKey>,
    origins: Sharded<FlagKey, Origin>,
}

/// A flag and the experiments on it as they are after a change.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// The flag.
    pub flag: &'a Flag,
    /// All experiments on it.
    pub experiments: Vec<&'a Experiment>,
}

/// What a key leads to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) flag: Arc<CompiledFlag>,
    /// The flag's current experiment, or the one that was asked for by its own key.
    pub(crate) experiment: Option<Arc<CompiledExperiment>>,
}

/// A flag without its experiment.
#[derive(Debug)]
pub(crate) struct CompiledFlag {
    pub(crate) key: FlagKey,
    pub(crate) default_value: Value,
    value_type: ValueType,
    /// The key of the first variation, which is the control.
    first_variation: Option<VariantKey>,
    pub(crate) by_unit: HashMap<Unit, Value>,
    /// The first match wins.
    pub(crate) by_segment: Vec<(Targeted, Value)>,
    /// What units in holdouts are served in place of the default; the first one that holds the unit wins.
    pub(crate) held: Vec<(Arc<Held>, Value)>,
}

/// A segment in one of its versions.
#[derive(Debug, Clone)]
pub(crate) struct Targeted {
    pub(crate) key: SegmentKey,
    pub(crate) version: u64,
    pub(crate) audience: Arc<Audience>,
}

/// What an experiment does to units in its present state.
#[derive(Debug)]
pub(crate) struct CompiledExperiment {
    pub(crate) key: ExperimentKey,
    pub(crate) unit_kind: UnitKind,
    /// Units with a fixed variant; empty from COMPLETED on.
    pub(crate) qa: HashMap<Unit, Arc<Choice>>,
    /// The holdouts that keep their units out of it.
    pub(crate) holdouts: Vec<Arc<Held>>,
    pub(crate) phase: Phase,
}

/// What a unit without override gets.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The flag's default, for this reason.
    Default(Reason),
    /// This variant, like everyone.
    Winner(Arc<Choice>),
    /// A variant by the split, if it is eligible.
    Split(Box<Split>),
}

/// A running split.
#[derive(Debug)]
pub(crate) struct Split {
    /// Its place in a layer, if it is in one.
    pub(crate) place: Option<Place>,
    /// What other flags must serve.
    pub(crate) prerequisites: Vec<(FlagKey, Value)>,
    pub(crate) recall: Recall,
    pub(crate) keep: Keep,
    /// Whether nobody new is enrolled.
    pub(crate) is_held: bool,
    /// Whom it is for; everyone without one.
    pub(crate) segment: Option<Targeted>,
    /// The attributes that the segment looks at, sorted, each once.
    pub(crate) segmenting: Vec<String>,
    /// Who is admitted, and which of the choices they get.
    pub(crate) division: Division,
    /// The variants in declared order.
    pub(crate) choices: Vec<Arc<Choice>>,
    pub(crate) cohort: u32,
    pub(crate) exposes: bool,
}

/// The buckets of an experiment in its layer.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) key: LayerKey,
    pub(crate) seed: Seed,
    /// In order, not overlapping.
    pub(crate) ranges: Vec<BucketRange>,
}

impl Place {
    /// Whether the layer gave `bucket` to the experiment.
    pub(crate) fn has(&self, bucket: u32) -> bool {
        layer::holds(&self.ranges, bucket)
    }
}

impl Targeted {
    /// Whether a unit with `attributes` belongs to it.
    pub(crate) fn matches(&self, attributes: &Attributes) -> bool {
        self.audience.matches(attributes)
    }
}

/// When it must be known what is remembered of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recall {
    /// Never: the hash says the same.
    Never,
    /// Once it is eligible.
    Eligible,
    /// Before segment and coverage are asked.
    First,
}

/// Whether and when a first assignment is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// It is not.
    No,
    /// Some time after the answer: until another cohort opens the hash says the same.
    Later,
    /// Before the answer: whoever is first decides.
    First,
}

/// A variant that may be given.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) key: VariantKey,
    pub(crate) value: Value,
    pub(crate) is_control: bool,
}

impl Snapshot {
    /// Compiles `configuration`. What cannot be compiled is left out and listed, all else is served.
    ///
    /// A rejected flag is unknown, with its experiments. The flag of a rejected experiment is served as if it had none.
    pub fn compile(configuration: &Configuration) -> (Self, Vec<Rejected>) {
        compile::compile(configuration)
    }

    /// The snapshot of `generation`, which has no more the experiments `gone`, but as they stand in the `groups`: the flags that have
    /// changed or whose experiments have. All that they refer to is as it was. It is what [`Snapshot::compile`] would make of everything, for
    /// the price of the change.
    ///
    /// Nothing when any of it would be rejected: then compile everything.
    pub fn revised<'a>(
        &self,
        generation: u64,
        groups: impl IntoIterator<Item = Group<'a>>,
        gone: impl IntoIterator<Item = &'a ExperimentKey>,
    ) -> Option<Self> {
        compile::revise(self, generation, groups, gone)
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The partition of the log, 0 to `partitions` − 1, that a unit's records in this namespace go to.
    pub fn partition(&self, unit: &Unit, partitions: u32) -> u32 {
        self.partition_seed.partition(unit, partitions)
    }

    /// The keys of the flags that it serves, in no particular order.
    pub fn flags(&self) -> impl Iterator<Item = &FlagKey> {
        self.by_flag.keys()
    }

    /// Whether any of its answers depends on what is remembered, or waits to be remembered.
    pub fn remembers(&self) -> bool {
        self.n_remembering > 0
    }

    /// What the flag that `key` leads to serves when nothing else applies.
    pub fn default_of(&self, key: &str) -> Option<&Value> {
        self.target(key).map(|target| &target.flag.default_value)
    }

    /// What `key` names: a flag, else an experiment.
    pub(crate) fn target(&self, key: &str) -> Option<&Target> {
        self.by_flag.get(key).or_else(|| self.by_experiment.get(key))
    }
}

/// SHA-256 over published resources in order of key: of each its key and its bytes, each behind its length as 8 bytes, big-endian. Who has
/// a copy of a configuration knows by it that it is whole and right.
pub fn digest<'a>(resources: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (key, bytes) in resources {
        for part in [key.as_bytes(), bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

impl Split {
    /// The variant that has `bucket`; none when no variant has.
    pub(crate) fn choice(&self, bucket: u32) -> Option<&Choice> {
        let place = self.division.holder(bucket)?;
        self.choices.get(place).map(|choice| &**choice)
    }

    /// The variant of this key.
    pub(crate) fn named(&self, key: &VariantKey) -> Option<&Choice> {
        let mut choices = self.choices.iter().map(|choice| &**choice);
        choices.find(|choice| choice.key == *key)
    }
}

#[cfg(test)]
mod tests;
