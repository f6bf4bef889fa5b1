//! Why a unit gets what it gets: every gate that the decision asks, with what it compared and whether it decided.
//!
//! The decision tells it while it is made. [`assign_with`](super::assign_with) tells [`Nobody`], which hears nothing and costs nothing;
//! [`explain_with`] writes it down. There is one path, so the two cannot disagree.

mod input;
mod text;

use super::{Assignment, Question};
use crate::{key::Unit, memory::Memory, snapshot::Snapshot, time::Timestamp, value::Attributes};
pub use input::{Asked, HeldOut, Input, Standing};

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
