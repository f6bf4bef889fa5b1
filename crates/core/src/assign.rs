//! The decision: which variant a unit gets, and why. [`explain_with`] tells what was asked on the way to it.

mod explain;

use crate::{
    key::{ExperimentKey, FlagKey, Unit, VariantKey},
    memory::Memory,
    snapshot::{Choice, CompiledExperiment, CompiledFlag, Phase, Recall, Snapshot, Split, Target},
    time::Timestamp,
    traffic::MAX_PREREQUISITE_DEPTH,
    value::{Attribute, Attributes, Value},
};

pub use crate::snapshot::Keep;
pub use explain::{Asked, Explained, Gate, GateKind, HeldOut, Input, Standing, Verdict, explain_with};
use explain::{Nobody, Observer};

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
    question.answer(flag, 0, &mut Nobody)
}

/// What all flags on a way of prerequisites are asked with.
struct Question<'s, 'q> {
    snapshot: &'s Snapshot,
    unit: Option<&'q Unit>,
    attributes: &'q Attributes,
    memory: &'q Memory,
}

/// Where a flag is answered: how many prerequisites below the one that was asked for, and who listens.
struct Hall<'o, O> {
    depth: u32,
    observer: &'o mut O,
}

impl<O: Observer> Hall<'_, O> {
    /// Tells of a gate, and whether it decided the answer.
    fn gate(&mut self, decides: bool, input: impl FnOnce() -> Input) {
        self.observer.gate(self.depth, decides, input);
    }
}

impl<'s> Question<'s, '_> {
    /// The answer for `flag`, which stands `depth` prerequisites below the one that was asked for.
    fn answer<O: Observer>(&self, asked: &str, depth: u32, observer: &mut O) -> Assignment<'s> {
        let mut hall = Hall { depth, observer };
        let target = self.snapshot.target(asked);
        hall.gate(target.is_none(), || Input::flag(asked, target));
        let Some(Target { flag, experiment }) = target else {
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
        if let Some(experiment) = experiment {
            let choice = self.unit.and_then(|unit| experiment.qa.get(unit));
            hall.gate(choice.is_some(), || Input::qa_override(self.unit, choice));
            if let Some(choice) = choice {
                return give(answer, choice, Reason::Override);
            }
        }
        if let Some(value) = self.overridden(flag, &mut hall) {
            return Assignment {
                value: Some(value),
                reason: Reason::Override,
                ..answer
            };
        }
        // No override applies to this unit, so from here on the flag's default is its `default_value`, or the old one that is kept for it.
        if let Some(value) = self.held(flag, &mut hall) {
            return Assignment {
                value: Some(value),
                reason: Reason::Holdout,
                ..answer
            };
        }
        if let Some(experiment) = experiment {
            return self.in_experiment(experiment, answer, &mut hall);
        }
        hall.gate(true, || Input::State(Standing::Default(answer.reason)));
        answer
    }

    /// The value of the unit override, else of the first segment override, that applies.
    fn overridden<O: Observer>(&self, flag: &'s CompiledFlag, hall: &mut Hall<'_, O>) -> Option<&'s Value> {
        let value = self.unit.and_then(|unit| flag.by_unit.get(unit));
        hall.gate(value.is_some(), || Input::unit_override(self.unit, value));
        if value.is_some() {
            return value;
        }
        for (segment, value) in &flag.by_segment {
            let matches = segment.matches(self.attributes);
            hall.gate(matches, || Input::SegmentOverride {
                segment: Asked::new(segment, self.attributes),
                value: value.clone(),
            });
            if matches {
                return Some(value);
            }
        }
        None
    }

    /// The old default, if the unit is in a holdout for which the flag keeps one.
    fn held<O: Observer>(&self, flag: &'s CompiledFlag, hall: &mut Hall<'_, O>) -> Option<&'s Value> {
        let unit = self.unit?;
        for (held, value) in &flag.held {
            let holds = held.holds(unit);
            hall.gate(holds, || Input::HeldDefault {
                holdout: HeldOut::new(held, unit),
                value: value.clone(),
            });
            if holds {
                return Some(value);
            }
        }
        None
    }

    /// The answer of `experiment`, where `answer` is that of its flag alone.
    fn in_experiment<O: Observer>(
        &self,
        experiment: &'s CompiledExperiment,
        answer: Assignment<'s>,
        hall: &mut Hall<'_, O>,
    ) -> Assignment<'s> {
        let unit = self.unit.filter(|unit| *unit.kind() == experiment.unit_kind);
        hall.gate(unit.is_none(), || Input::Unit {
            unit: self.unit.cloned(),
            needed: experiment.unit_kind.clone(),
        });
        let Some(unit) = unit else {
            return default(answer, Reason::NoUnit);
        };
        for held in &experiment.holdouts {
            let holds = held.holds(unit);
            hall.gate(holds, || Input::Holdout(HeldOut::new(held, unit)));
            if holds {
                return default(answer, Reason::Holdout);
            }
        }
        let is_split = matches!(experiment.phase, Phase::Split(_));
        hall.gate(!is_split, || Input::State(Standing::of(&experiment.phase)));
        match &experiment.phase {
            Phase::Default(reason) => default(answer, *reason),
            Phase::Winner(choice) => give(answer, choice, Reason::Winner),
            Phase::Split(split) => self.split(experiment, split, unit, answer, hall),
        }
    }

    fn split<O: Observer>(
        &self,
        experiment: &'s CompiledExperiment,
        split: &'s Split,
        unit: &Unit,
        answer: Assignment<'s>,
        hall: &mut Hall<'_, O>,
    ) -> Assignment<'s> {
        if let Some(place) = &split.place {
            let bucket = place.seed.bucket(unit.id());
            let is_out = !place.has(bucket);
            hall.gate(is_out, || Input::layer(place, bucket));
            if is_out {
                return default(answer, Reason::LayerExcluded);
            }
        }
        if let Some(failed) = self.failed_prerequisite(split, answer, hall) {
            return failed;
        }
        if split.recall == Recall::First
            && let Some(known) = self.recalled(experiment, split, answer, hall)
        {
            return known;
        }
        let segment = split.segment.as_ref();
        let is_outside = segment.is_some_and(|segment| !segment.matches(self.attributes));
        hall.gate(is_outside, || {
            Input::Segment(segment.map(|segment| Asked::new(segment, self.attributes)))
        });
        if is_outside {
            return default(answer, Reason::NotInSegment);
        }
        if split.recall == Recall::Eligible
            && let Some(known) = self.recalled(experiment, split, answer, hall)
        {
            return known;
        }
        hall.gate(split.is_held, || Input::Enrollment {
            is_held: split.is_held,
        });
        if split.is_held {
            return default(answer, Reason::EnrollmentHeld);
        }
        for (bucket, ranges) in split.division.gates(unit.id()) {
            let is_out = !ranges.iter().any(|range| range.contains(&bucket));
            hall.gate(is_out, || Input::coverage(bucket, ranges));
            if is_out {
                return default(answer, Reason::NotInCoverage);
            }
        }
        let bucket = split.division.bucket(unit.id());
        let Some(choice) = split.choice(bucket) else {
            hall.gate(true, || Input::uncovered(split, bucket));
            return default(answer, Reason::NotInCoverage);
        };
        hall.gate(true, || Input::split(split, bucket, choice));
        Assignment {
            cohort: split.cohort,
            exposes: split.exposes,
            segmenting: &split.segmenting,
            keep: split.keep,
            ..give(answer, choice, Reason::Split)
        }
    }

    /// The answer when a prerequisite does not hold, or when it cannot be known whether it does.
    fn failed_prerequisite<O: Observer>(
        &self,
        split: &Split,
        answer: Assignment<'s>,
        hall: &mut Hall<'_, O>,
    ) -> Option<Assignment<'s>> {
        for (flag, value) in &split.prerequisites {
            let other = (hall.depth < MAX_PREREQUISITE_DEPTH)
                .then(|| self.answer(flag.as_str(), hall.depth.saturating_add(1), hall.observer));
            let failed = match other {
                Some(other) if other.reason == Reason::Degraded => Some(degraded(answer, other.needs)),
                Some(other) if other.value == Some(value) => None,
                _ => Some(default(answer, Reason::PrerequisiteFailed)),
            };
            hall.gate(failed.is_some(), || Input::Prerequisite {
                flag: flag.clone(),
                wanted: value.clone(),
                served: other.and_then(|other| other.value.cloned()),
                reason: other.map(|other| other.reason),
            });
            if failed.is_some() {
                return failed;
            }
        }
        None
    }

    /// The answer for a unit that is known in `experiment`, or of which it is not known whether it is; nothing for a new one.
    fn recalled<O: Observer>(
        &self,
        experiment: &'s CompiledExperiment,
        split: &'s Split,
        answer: Assignment<'s>,
        hall: &mut Hall<'_, O>,
    ) -> Option<Assignment<'s>> {
        let known = self.memory.of(&experiment.key);
        hall.gate(known != Some(None), || Input::remembered(known));
        let Some(known) = known else {
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
mod explain_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;
