//! Why a unit belongs to a segment, or does not.

use super::{
    Rule,
    audience::{Compiled, Observer},
};
use crate::{key::SegmentKey, value::Attribute};

/// What a rule finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The comparison holds.
    Matched,
    /// It does not.
    NotMatched,
    /// The unit has no such attribute; the rule is false.
    Missing,
    /// The attribute is of a type that the operands are not, or a text that is no version or no time where one is needed. The rule is
    /// false, but `Neq` and `Nin` are true: a value of another type is not equal.
    WrongType,
}

/// A condition that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its place, such as `rules[1].any_of[0]`; below a nested segment it goes on with that one's rules.
    pub path: String,
    /// What it is.
    pub subject: Subject,
    /// What was found: of a group or a nested segment only whether it matched.
    pub outcome: Outcome,
    /// Whether it is true.
    pub is_true: bool,
}

/// What kind of condition was looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A rule, with the value that the unit has.
    Rule {
        /// The rule.
        rule: Rule,
        /// The attribute's value; absent when missing.
        seen: Option<Attribute>,
    },
    /// All of what follows below it.
    AllOf,
    /// At least one of what follows below it.
    AnyOf,
    /// The opposite of what follows below it.
    Not,
    /// Another segment, whose rules follow below it.
    Segment {
        /// Its key.
        key: SegmentKey,
        /// Its version.
        version: u64,
    },
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Whether the unit belongs to the segment.
    pub matches: bool,
    /// Every condition in the order in which they are written, a group before what it holds.
    pub steps: Vec<Step>,
}

/// Writes the reason down while the decision is made.
#[derive(Default)]
pub(super) struct Explainer {
    /// Decided steps have their content, the open ones wait for it.
    steps: Vec<(String, Option<Decided>)>,
    /// Places in `steps` of those that are open, outermost first.
    open: Vec<usize>,
}

struct Decided {
    subject: Subject,
    outcome: Outcome,
    is_true: bool,
}

impl Observer for Explainer {
    const EXHAUSTIVE: bool = true;

    fn enter(&mut self, place: &'static str, index: Option<usize>) {
        let above = self.open.last().and_then(|&i| self.steps.get(i));
        let above = above.map_or(String::new(), |(path, _)| format!("{path}."));
        let index = index.map_or(String::new(), |i| format!("[{i}]"));
        self.open.push(self.steps.len());
        self.steps.push((format!("{above}{place}{index}"), None));
    }

    fn decided(&mut self, condition: &Compiled, outcome: Outcome, is_true: bool, seen: Option<&Attribute>) {
        let subject = match condition {
            Compiled::Test(predicate) => Subject::Rule {
                rule: predicate.rule().clone(),
                seen: seen.cloned(),
            },
            Compiled::AllOf(_) => Subject::AllOf,
            Compiled::AnyOf(_) => Subject::AnyOf,
            Compiled::Not(_) => Subject::Not,
            Compiled::Segment(reference, _) => Subject::Segment {
                key: reference.key.clone(),
                version: reference.resolved,
            },
        };
        if let Some((_, decided)) = self.open.pop().and_then(|i| self.steps.get_mut(i)) {
            *decided = Some(Decided {
                subject,
                outcome,
                is_true,
            });
        }
    }
}

impl Explainer {
    pub(super) fn finish(self, matches: bool) -> Explanation {
        let step = |(path, decided): (String, Option<Decided>)| {
            decided.map(|decided| Step {
                path,
                subject: decided.subject,
                outcome: decided.outcome,
                is_true: decided.is_true,
            })
        };
        Explanation {
            matches,
            steps: self.steps.into_iter().filter_map(step).collect(),
        }
    }
}
