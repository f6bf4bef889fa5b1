//! The decision: which variant a unit gets, and why.

use crate::{
    key::{ExperimentKey, FlagKey, Unit, VariantKey},
    snapshot::{Choice, Phase, Snapshot, Target},
    time::Timestamp,
    value::{Attribute, Attributes, Value},
};

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

/// Decides what `unit` gets for `flag`, or for the experiment of that key.
///
/// Order: flag → QA override → unit override → segment override → unit → state (winner answers here) → segment → coverage → split.
/// The same arguments always give the same answer, and nothing is allocated. `_now` is the caller's clock; no rule looks at it
/// so far: what begins or ends an experiment is its published state.
pub fn assign<'s>(
    snapshot: &'s Snapshot,
    flag: &str,
    unit: Option<&Unit>,
    attributes: &Attributes,
    _now: Timestamp,
) -> Assignment<'s> {
    let Some(Target { flag, experiment }) = snapshot.target(flag) else {
        return unknown_flag(snapshot);
    };
    let experiment = experiment.as_deref();
    let answer = Assignment {
        flag: Some(&flag.key),
        experiment: experiment.map(|e| &e.key),
        value: Some(&flag.default_value),
        reason: Reason::NoExperiment,
        ..unknown_flag(snapshot)
    };
    let default = |reason| Assignment { reason, ..answer };
    let give = |choice: &'s Choice, reason| Assignment {
        variant: Some(&choice.key),
        is_control: choice.is_control,
        value: Some(&choice.value),
        reason,
        ..answer
    };

    if let Some(choice) = experiment.zip(unit).and_then(|(e, unit)| e.qa.get(unit)) {
        return give(choice, Reason::Override);
    }
    if let Some(value) = flag.overridden(unit, attributes) {
        return Assignment {
            value: Some(value),
            reason: Reason::Override,
            ..answer
        };
    }
    // No override applies to this unit, so from here on the flag's default is its `default_value`.
    let Some(experiment) = experiment else {
        return default(Reason::NoExperiment);
    };
    let Some(unit) = unit.filter(|unit| *unit.kind() == experiment.unit_kind) else {
        return default(Reason::NoUnit);
    };
    let split = match &experiment.phase {
        Phase::Default(reason) => return default(*reason),
        Phase::Winner(choice) => return give(choice, Reason::Winner),
        Phase::Split(split) => split,
    };
    if !split.audience.matches(attributes) {
        return default(Reason::NotInSegment);
    }
    if split.coverage_seed.bucket(unit.id()) >= split.admitted_below {
        return default(Reason::NotInCoverage);
    }
    let choice = split.choice(split.split_seed.bucket(unit.id()));
    Assignment {
        cohort: split.cohort,
        exposes: split.exposes,
        segmenting: &split.segmenting,
        ..give(choice, Reason::Split)
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
    }
}

#[cfg(test)]
mod tests;
