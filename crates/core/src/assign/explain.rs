//! Why a unit gets what it gets: every gate that the decision asks, with what it compared and whether it decided.
//!
//! The decision tells it while it is made. [`assign_with`](super::assign_with) tells [`Nobody`], which hears nothing and costs nothing;
//! [`explain_with`] writes it down. There is one path, so the two cannot disagree.

mod text;

use std::sync::Arc;

use super::{Assignment, Question, Reason};
use crate::{
    holdout::Held,
    key::{ExperimentKey, FlagKey, HoldoutKey, LayerKey, SegmentKey, Unit, UnitKind, VariantKey},
    layer::BucketRange,
    memory::{Memory, Remembered},
    segment::Explanation,
    snapshot::{Choice, Phase, Place, Snapshot, Split, Target, Targeted},
    time::Timestamp,
    value::{Attributes, Value},
};

/// What stands between a question and its answer, in the order in which it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GateKind {
    /// Whether there is such a flag, or an experiment of that key.
    Flag,
    /// Whether the experiment has a fixed variant for the unit.
    QaOverride,
    /// Whether the flag has a value for the unit.
    UnitOverride,
    /// Whether the flag has a value for a segment of the unit.
    SegmentOverride,
    /// Whether the flag keeps an old default for a holdout of the unit.
    HeldDefault,
    /// Whether there is a unit of the kind that the experiment randomizes.
    Unit,
    /// Whether a holdout keeps the unit out of the experiment.
    Holdout,
    /// What the experiment does in its state.
    State,
    /// Whether the layer gave the unit to the experiment.
    Layer,
    /// Whether another flag serves what it must.
    Prerequisite,
    /// Whether the unit matches the segment.
    Segment,
    /// What is remembered of the unit. Asked before the segment where eligibility is checked at enrollment.
    Remembered,
    /// Whether new units are enrolled.
    Enrollment,
    /// Whether the unit is within the coverage.
    Coverage,
    /// Which variant the unit's bucket belongs to.
    Split,
}

impl GateKind {
    /// All of them, in order.
    pub const ALL: [Self; 15] = [
        Self::Flag,
        Self::QaOverride,
        Self::UnitOverride,
        Self::SegmentOverride,
        Self::HeldDefault,
        Self::Unit,
        Self::Holdout,
        Self::State,
        Self::Layer,
        Self::Prerequisite,
        Self::Segment,
        Self::Remembered,
        Self::Enrollment,
        Self::Coverage,
        Self::Split,
    ];
}

/// What came of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It was asked and let the question pass.
    Passed,
    /// It was asked and gave the answer.
    Decided,
    /// There was nothing to ask: no such override, no layer, no experiment.
    Absent,
    /// The answer had been given before.
    NotReached,
}

/// A gate on the way to an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Which.
    pub kind: GateKind,
    /// How many prerequisites below the flag that was asked for; 0 for its own gates.
    pub depth: u32,
    /// What came of it.
    pub verdict: Verdict,
    /// What it was asked with; absent when it was not asked.
    pub input: Option<Input>,
}

/// What a gate was asked with.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Of [`GateKind::Flag`].
    Flag {
        /// The key that was asked for.
        asked: String,
        /// The flag that it leads to.
        flag: Option<FlagKey>,
        /// The experiment that it leads to.
        experiment: Option<ExperimentKey>,
    },
    /// Of [`GateKind::QaOverride`].
    QaOverride {
        /// The unit.
        unit: Option<Unit>,
        /// Its fixed variant.
        variant: Option<VariantKey>,
    },
    /// Of [`GateKind::UnitOverride`].
    UnitOverride {
        /// The unit.
        unit: Option<Unit>,
        /// Its value.
        value: Option<Value>,
    },
    /// Of [`GateKind::SegmentOverride`]; each has a gate of its own.
    SegmentOverride {
        /// The segment.
        segment: Asked,
        /// What its units get.
        value: Value,
    },
    /// Of [`GateKind::HeldDefault`]; each has a gate of its own.
    HeldDefault {
        /// The holdout.
        holdout: HeldOut,
        /// What its units get.
        value: Value,
    },
    /// Of [`GateKind::Unit`].
    Unit {
        /// The unit that was given.
        unit: Option<Unit>,
        /// The kind that the experiment randomizes.
        needed: UnitKind,
    },
    /// Of [`GateKind::Holdout`]; each has a gate of its own.
    Holdout(HeldOut),
    /// Of [`GateKind::State`].
    State(Standing),
    /// Of [`GateKind::Layer`].
    Layer {
        /// The layer.
        layer: LayerKey,
        /// The unit's bucket in it.
        bucket: u32,
        /// The experiment's buckets.
        ranges: Vec<BucketRange>,
    },
    /// Of [`GateKind::Prerequisite`]; each has a gate of its own, and those of its flag follow it, one deeper.
    Prerequisite {
        /// The other flag.
        flag: FlagKey,
        /// What it must serve.
        wanted: Value,
        /// What it serves.
        served: Option<Value>,
        /// Why; absent when the way of prerequisites is too long to ask.
        reason: Option<Reason>,
    },
    /// Of [`GateKind::Segment`]; nothing when the experiment is for everyone.
    Segment(Option<Asked>),
    /// Of [`GateKind::Remembered`].
    Remembered {
        /// Whether it is known what is remembered.
        is_known: bool,
        /// The first assignment.
        first: Option<Remembered>,
    },
    /// Of [`GateKind::Enrollment`].
    Enrollment {
        /// Whether nobody new is enrolled.
        is_held: bool,
    },
    /// Of [`GateKind::Coverage`].
    Coverage {
        /// The unit's bucket.
        bucket: u32,
        /// The first bucket that is not admitted.
        below: u32,
    },
    /// Of [`GateKind::Split`].
    Split {
        /// The unit's bucket.
        bucket: u32,
        /// The cohort whose weights split it.
        cohort: u32,
        /// The variants with the first bucket after each one's range.
        ends: Vec<(VariantKey, u32)>,
        /// The variant whose range has the bucket.
        variant: VariantKey,
    },
}

/// A segment that was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its key.
    pub key: SegmentKey,
    /// Its version.
    pub version: u64,
    /// What was found, condition by condition.
    pub explanation: Explanation,
}

/// A holdout that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOut {
    /// Its key.
    pub key: HoldoutKey,
    /// The unit's bucket, and the first one that is not held; absent for a unit of a kind that the holdout does not hold.
    pub bucket: Option<(u32, u32)>,
}

/// What an experiment does in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It serves the flag's default for this reason; without experiment, too.
    Default(Reason),
    /// It serves this variant to everyone.
    Winner(VariantKey),
    /// It splits units.
    Split,
}

/// An answer with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained<'s> {
    /// What [`assign_with`](super::assign_with) answers.
    pub answer: Assignment<'s>,
    /// Every gate of the flag that was asked for, in the order in which they were asked, then those that were not reached. The gates of
    /// a prerequisite's flag follow its own, as far as they were asked.
    pub gates: Vec<Gate>,
}

/// As [`assign_with`](super::assign_with), with every gate on the way.
pub fn explain_with<'s>(
    snapshot: &'s Snapshot,
    flag: &str,
    unit: Option<&Unit>,
    attributes: &Attributes,
    memory: &Memory,
    _now: Timestamp,
) -> Explained<'s> {
    let question = Question {
        snapshot,
        unit,
        attributes,
        memory,
    };
    let mut explainer = Explainer::default();
    let answer = question.answer(flag, 0, &mut explainer);
    Explained {
        answer,
        gates: explainer.finish(),
    }
}

/// Is told of the gates while the decision is made.
pub(super) trait Observer {
    /// A gate was asked, `depth` prerequisites below the flag in question; `input` says with what.
    fn gate(&mut self, depth: u32, decides: bool, input: impl FnOnce() -> Input);
}

/// Hears nothing.
pub(super) struct Nobody;

impl Observer for Nobody {
    #[inline]
    fn gate(&mut self, _: u32, _: bool, _: impl FnOnce() -> Input) {}
}

/// Writes down what it hears.
#[derive(Default)]
struct Explainer(Vec<Gate>);

impl Observer for Explainer {
    fn gate(&mut self, depth: u32, decides: bool, input: impl FnOnce() -> Input) {
        let input = input();
        let gate = Gate {
            kind: input.kind(),
            depth,
            verdict: if decides {
                Verdict::Decided
            } else {
                Verdict::Passed
            },
            input: Some(input),
        };
        // A prerequisite is decided after the gates of its flag, and stands before them.
        let before = self.0.iter().rposition(|told| told.depth <= depth);
        self.0.insert(before.map_or(0, |i| i.saturating_add(1)), gate);
    }
}

impl Explainer {
    /// What was heard, with the gates that were not asked.
    fn finish(self) -> Vec<Gate> {
        let mut gates = self.0;
        let decider = gates.iter().rfind(|gate| gate.depth == 0).map(|gate| gate.kind);
        for kind in GateKind::ALL {
            if gates.iter().any(|gate| gate.depth == 0 && gate.kind == kind) {
                continue;
            }
            let later = gates.iter().position(|gate| gate.depth == 0 && gate.kind > kind);
            // A segment is always asked when it is reached, even where it is everyone: what is remembered may come before it.
            let is_absent = kind != GateKind::Segment && decider.is_some_and(|decider| kind < decider);
            let (verdict, place) = match later {
                Some(later) if is_absent => (Verdict::Absent, later),
                _ => (Verdict::NotReached, gates.len()),
            };
            let gate = Gate {
                kind,
                depth: 0,
                verdict,
                input: None,
            };
            gates.insert(place, gate);
        }
        gates
    }
}

impl Input {
    /// The gate that it belongs to.
    pub fn kind(&self) -> GateKind {
        match self {
            Self::Flag { .. } => GateKind::Flag,
            Self::QaOverride { .. } => GateKind::QaOverride,
            Self::UnitOverride { .. } => GateKind::UnitOverride,
            Self::SegmentOverride { .. } => GateKind::SegmentOverride,
            Self::HeldDefault { .. } => GateKind::HeldDefault,
            Self::Unit { .. } => GateKind::Unit,
            Self::Holdout(_) => GateKind::Holdout,
            Self::State(_) => GateKind::State,
            Self::Layer { .. } => GateKind::Layer,
            Self::Prerequisite { .. } => GateKind::Prerequisite,
            Self::Segment(_) => GateKind::Segment,
            Self::Remembered { .. } => GateKind::Remembered,
            Self::Enrollment { .. } => GateKind::Enrollment,
            Self::Coverage { .. } => GateKind::Coverage,
            Self::Split { .. } => GateKind::Split,
        }
    }

    /// The unit's bucket, where the gate looks at one.
    pub fn bucket(&self) -> Option<u32> {
        match self {
            Self::Holdout(held) | Self::HeldDefault { holdout: held, .. } => {
                held.bucket.map(|(bucket, _)| bucket)
            }
            Self::Layer { bucket, .. } | Self::Coverage { bucket, .. } | Self::Split { bucket, .. } => {
                Some(*bucket)
            }
            _ => None,
        }
    }

    /// The buckets that the gate is about: those held, given, admitted, or of the variant.
    pub fn ranges(&self) -> Vec<BucketRange> {
        let range = match self {
            Self::Layer { ranges, .. } => return ranges.clone(),
            Self::Holdout(held) | Self::HeldDefault { holdout: held, .. } => {
                held.bucket.and_then(|(_, below)| BucketRange::new(0, below))
            }
            Self::Coverage { below, .. } => BucketRange::new(0, *below),
            Self::Split { bucket, ends, .. } => {
                let place = ends.iter().position(|(_, end)| bucket < end);
                let end = place.and_then(|i| ends.get(i));
                let before = place.and_then(|i| i.checked_sub(1)).and_then(|i| ends.get(i));
                end.and_then(|(_, end)| BucketRange::new(before.map_or(0, |(_, first)| *first), *end))
            }
            _ => None,
        };
        range.into_iter().collect()
    }

    pub(super) fn flag(asked: &str, target: Option<&Target>) -> Self {
        Self::Flag {
            asked: asked.to_owned(),
            flag: target.map(|target| target.flag.key.clone()),
            experiment: target.and_then(|target| Some(target.experiment.as_ref()?.key.clone())),
        }
    }

    pub(super) fn qa_override(unit: Option<&Unit>, choice: Option<&Arc<Choice>>) -> Self {
        Self::QaOverride {
            unit: unit.cloned(),
            variant: choice.map(|choice| choice.key.clone()),
        }
    }

    pub(super) fn unit_override(unit: Option<&Unit>, value: Option<&Value>) -> Self {
        Self::UnitOverride {
            unit: unit.cloned(),
            value: value.cloned(),
        }
    }

    pub(super) fn layer(place: &Place, bucket: u32) -> Self {
        Self::Layer {
            layer: place.key.clone(),
            bucket,
            ranges: place.ranges.clone(),
        }
    }

    pub(super) fn remembered(known: Option<Option<&Remembered>>) -> Self {
        Self::Remembered {
            is_known: known.is_some(),
            first: known.flatten().cloned(),
        }
    }

    pub(super) fn split(split: &Split, bucket: u32, choice: &Choice) -> Self {
        let ends = split
            .ranges
            .iter()
            .map(|(end, choice)| (choice.key.clone(), *end));
        Self::Split {
            bucket,
            cohort: split.cohort,
            ends: ends.collect(),
            variant: choice.key.clone(),
        }
    }
}

impl Asked {
    pub(super) fn new(segment: &Targeted, attributes: &Attributes) -> Self {
        Self {
            key: segment.key.clone(),
            version: segment.version,
            explanation: segment.audience.explain(attributes),
        }
    }
}

impl HeldOut {
    pub(super) fn new(held: &Held, unit: &Unit) -> Self {
        Self {
            key: held.key().clone(),
            bucket: held.bucket(unit),
        }
    }
}

impl Standing {
    pub(super) fn of(phase: &Phase) -> Self {
        match phase {
            Phase::Default(reason) => Self::Default(*reason),
            Phase::Winner(choice) => Self::Winner(choice.key.clone()),
            Phase::Split(_) => Self::Split,
        }
    }
}
