//! The decision: which variant a unit gets, and why.

use crate::{
    key::{ExperimentKey, FlagKey, Unit, VariantKey},
    memory::Memory,
    snapshot::{Choice, CompiledExperiment, Phase, Recall, Snapshot, Split, Target},
    time::Timestamp,
    traffic::MAX_PREREQUISITE_DEPTH,
    value::{Attribute, Attributes, Value},
};

pub use crate::snapshot::Keep;

/// Why a unit got what it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The flag has no experiment, or only drafts.
    NoExperiment,
    /// Its experiment waits for its start time.
    Scheduled,
    /// Assigned by the split.
    Split,
    /// Does not match the segment.
    NotInSegment,
    /// Outside the coverage.
    NotInCoverage,
    /// In a holdout.
    Holdout,
    /// The layer gave the unit to another experiment, or to none.
    LayerExcluded,
    /// A prerequisite flag has another value.
    PrerequisiteFailed,
    /// A QA, unit or segment override.
    Override,
    /// Paused, default served.
    Paused,
    /// Paused, no new enrollment.
    EnrollmentHeld,
    /// The declared winner, for everyone.
    Winner,
    /// Completed without winner, or awaiting the decision.
    Completed,
    /// Ended.
    Ended,
    /// Archived.
    Archived,
    /// Stored data needed but out of reach.
    Degraded,
    /// No such flag.
    UnknownFlag,
    /// No unit id, or of another kind than the experiment randomizes.
    NoUnit,
}

/// The answer for one flag. Borrowed from the snapshot: nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assignment<'s> {
    /// The flag; absent when unknown.
    pub flag: Option<&'s FlagKey>,
    /// Its current experiment.
    pub experiment: Option<&'s ExperimentKey>,
    /// The variant given; absent when the flag's own default or override applies.
    pub variant: Option<&'s VariantKey>,
    /// Whether the variant is the control.
    pub is_control: bool,
    /// What to serve; absent only for an unknown flag.
    pub value: Option<&'s Value>,
    /// Why.
    pub reason: Reason,
    /// The cohort that split the unit; 0 when not split.
    pub cohort: u32,
    /// The generation that answered.
    pub generation: u64,
    /// Whether this answer, once used, is an exposure.
    pub exposes: bool,
    /// The names of the attributes that its exposure carries: those that the experiment's segment looks at, sorted, each once.
    pub segmenting: &'s [String],
    /// Whether the variant was remembered, not split now.
    pub is_remembered: bool,
    /// Whether the variant is to be remembered for the unit, if it is served.
    pub keep: Keep,
    /// With [`Reason::Degraded`]: the experiment in which it must be known what is remembered of the unit.
    pub needs: Option<&'s ExperimentKey>,
}

impl Assignment<'_> {
    /// Those of `attributes` that the exposure carries, in order of name.
    pub fn segmenting_of<'a>(
        &self,
        attributes: &'a Attributes,
    ) -> impl Iterator<Item = (&'a String, &'a Attribute)> + Clone {
        let names = self.segmenting.iter();
        names.filter_map(|name| attributes.get_key_value(name))
    }
}

/// As [`assign_with`] while nothing is known of what is remembered of the unit.
pub fn assign<'s>(
    snapshot: &'s Snapshot,
    flag: &str,
    unit: Option<&Unit>,
    attributes: &Attributes,
    now: Timestamp,
) -> Assignment<'s> {
    assign_with(snapshot, flag, unit, attributes, &Memory::default(), now)
}

/// Decides what `unit` gets for `flag`, or for the experiment of that key.
///
/// Order: flag → QA override → unit override → segment override → unit → holdout → state (winner answers here) → layer bucket →
/// prerequisite → segment → remembered assignment → coverage → split; with eligibility at enrollment what is remembered comes before the
/// segment. The same arguments always give the same answer, and nothing is allocated. `_now` is the caller's clock; no rule looks at it
/// so far: what begins or ends an experiment is its published state.
///
/// Where `memory` must say something of an experiment and does not, the answer is the flag's default, [`Reason::Degraded`], and names
/// the experiment in `needs`: whoever can look it up asks again. Most experiments never need it.
pub fn assign_with<'s>(
    snapshot: &'s Snapshot,
    flag: &str,
    unit: Option<&Unit>,
    attributes: &Attributes,
    memory: &Memory,
    _now: Timestamp,
) -> Assignment<'s> {
    let question = Question {
        snapshot,
        unit,
        attributes,
        memory,
    };
    question.answer(flag, 0)
}

/// What all flags on a way of prerequisites are asked with.
struct Question<'s, 'q> {
    snapshot: &'s Snapshot,
    unit: Option<&'q Unit>,
    attributes: &'q Attributes,
    memory: &'q Memory,
}

impl<'s> Question<'s, '_> {
    /// The answer for `flag`, which stands `depth` prerequisites below the one that was asked for.
    fn answer(&self, flag: &str, depth: u32) -> Assignment<'s> {
        let Some(Target { flag, experiment }) = self.snapshot.target(flag) else {
            return unknown_flag(self.snapshot);
        };
        let experiment = experiment.as_deref();
        let answer = Assignment {
            flag: Some(&flag.key),
            experiment: experiment.map(|e| &e.key),
            value: Some(&flag.default_value),
            reason: Reason::NoExperiment,
            ..unknown_flag(self.snapshot)
        };
        if let Some(choice) = experiment.zip(self.unit).and_then(|(e, unit)| e.qa.get(unit)) {
            return give(answer, choice, Reason::Override);
        }
        if let Some(value) = flag.overridden(self.unit, self.attributes) {
            return Assignment {
                value: Some(value),
                reason: Reason::Override,
                ..answer
            };
        }
        // No override applies to this unit, so from here on the flag's default is its `default_value`, or the old one that is kept for it.
        if let Some(value) = self.unit.and_then(|unit| flag.held(unit)) {
            return Assignment {
                value: Some(value),
                reason: Reason::Holdout,
                ..answer
            };
        }
        match experiment {
            Some(experiment) => self.in_experiment(experiment, answer, depth),
            None => answer,
        }
    }

    /// The answer of `experiment`, where `answer` is that of its flag alone.
    fn in_experiment(
        &self,
        experiment: &'s CompiledExperiment,
        answer: Assignment<'s>,
        depth: u32,
    ) -> Assignment<'s> {
        let Some(unit) = self.unit.filter(|unit| *unit.kind() == experiment.unit_kind) else {
            return default(answer, Reason::NoUnit);
        };
        if experiment.holdouts.iter().any(|held| held.holds(unit)) {
            return default(answer, Reason::Holdout);
        }
        match &experiment.phase {
            Phase::Default(reason) => default(answer, *reason),
            Phase::Winner(choice) => give(answer, choice, Reason::Winner),
            Phase::Split(split) => self.split(experiment, split, unit, answer, depth),
        }
    }

    fn split(
        &self,
        experiment: &'s CompiledExperiment,
        split: &'s Split,
        unit: &Unit,
        answer: Assignment<'s>,
        depth: u32,
    ) -> Assignment<'s> {
        if split.place.as_ref().is_some_and(|place| !place.has(unit.id())) {
            return default(answer, Reason::LayerExcluded);
        }
        if let Some(failed) = self.failed_prerequisite(split, answer, depth) {
            return failed;
        }
        if split.recall == Recall::First
            && let Some(known) = self.recalled(experiment, split, answer)
        {
            return known;
        }
        if !split.audience.matches(self.attributes) {
            return default(answer, Reason::NotInSegment);
        }
        if split.recall == Recall::Eligible
            && let Some(known) = self.recalled(experiment, split, answer)
        {
            return known;
        }
        if split.is_held {
            return default(answer, Reason::EnrollmentHeld);
        }
        if split.coverage_seed.bucket(unit.id()) >= split.admitted_below {
            return default(answer, Reason::NotInCoverage);
        }
        let choice = split.choice(split.split_seed.bucket(unit.id()));
        Assignment {
            cohort: split.cohort,
            exposes: split.exposes,
            segmenting: &split.segmenting,
            keep: split.keep,
            ..give(answer, choice, Reason::Split)
        }
    }

    /// The answer when a prerequisite does not hold, or when it cannot be known whether it does.
    fn failed_prerequisite(
        &self,
        split: &Split,
        answer: Assignment<'s>,
        depth: u32,
    ) -> Option<Assignment<'s>> {
        for (flag, value) in &split.prerequisites {
            if depth >= MAX_PREREQUISITE_DEPTH {
                return Some(default(answer, Reason::PrerequisiteFailed));
            }
            let other = self.answer(flag.as_str(), depth.saturating_add(1));
            if other.reason == Reason::Degraded {
                return Some(degraded(answer, other.needs));
            }
            if other.value != Some(value) {
                return Some(default(answer, Reason::PrerequisiteFailed));
            }
        }
        None
    }

    /// The answer for a unit that is known in `experiment`, or of which it is not known whether it is; nothing for a new one.
    fn recalled(
        &self,
        experiment: &'s CompiledExperiment,
        split: &'s Split,
        answer: Assignment<'s>,
    ) -> Option<Assignment<'s>> {
        let Some(known) = self.memory.of(&experiment.key) else {
            return Some(degraded(answer, Some(&experiment.key)));
        };
        let remembered = known?;
        // Variants are fixed once it has started; one that is not there is damage, and no other may be given in its place.
        let Some(choice) = split.named(&remembered.variant) else {
            return Some(degraded(answer, None));
        };
        Some(Assignment {
            cohort: remembered.cohort,
            exposes: split.exposes,
            segmenting: &split.segmenting,
            is_remembered: true,
            ..give(answer, choice, Reason::Split)
        })
    }
}

fn default(answer: Assignment<'_>, reason: Reason) -> Assignment<'_> {
    Assignment { reason, ..answer }
}

fn give<'s>(answer: Assignment<'s>, choice: &'s Choice, reason: Reason) -> Assignment<'s> {
    Assignment {
        variant: Some(&choice.key),
        is_control: choice.is_control,
        value: Some(&choice.value),
        reason,
        ..answer
    }
}

fn degraded<'s>(answer: Assignment<'s>, needs: Option<&'s ExperimentKey>) -> Assignment<'s> {
    Assignment {
        reason: Reason::Degraded,
        needs,
        ..answer
    }
}

fn unknown_flag(snapshot: &Snapshot) -> Assignment<'_> {
    Assignment {
        flag: None,
        experiment: None,
        variant: None,
        is_control: false,
        value: None,
        reason: Reason::UnknownFlag,
        cohort: 0,
        generation: snapshot.generation(),
        exposes: false,
        segmenting: &[],
        is_remembered: false,
        keep: Keep::No,
        needs: None,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;
