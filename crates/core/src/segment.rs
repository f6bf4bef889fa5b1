//! Segments: named audience predicates.
//!
//! A [`Segment`] is what people write, an [`Audience`] what is asked at each request: compiled once, nested segments included.
//! [`Audience::matches`] decides and [`Audience::explain`] tells why, on one path, so the two cannot disagree.
//!
//! | attribute | `x eq 1` | `x neq 1` | `x gt 1` | `not (x eq 1)` | `not (x exists)` |
//! |---|---|---|---|---|---|
//! | `x` is 1 | true | false | false | false | false |
//! | `x` is 2 | false | true | true | true | false |
//! | `x` is the text `1` | false | true | false | true | false |
//! | `x` is missing | false | **false** | false | **true** | true |
//!
//! A rule on a missing attribute is false, whatever its operator; `not` negates the truth of what it holds, and so is true there.

mod audience;
mod explain;
mod nesting;
mod predicate;
mod version;

use std::fmt;

use crate::{
    flag::Meta,
    key::{Namespace, SegmentKey},
    value::Attribute,
};

pub use audience::{Audience, CompileError, CompileFailure, compile_all};
pub use explain::{Explanation, Outcome, Step, Subject};
pub use nesting::{MAX_NESTERS, Measure, NestingError, measure, nesters};
pub use predicate::{Predicate, RuleError};

/// Deepest nesting of conditions, nested segments included; a plain rule has depth 1.
pub const MAX_DEPTH: usize = 8;
/// Most conditions of a segment together with all that it nests, counted as often as they are nested.
pub const MAX_CONDITIONS: usize = 1024;
/// Longest pattern of `matches`, in bytes.
pub const MAX_PATTERN_BYTES: usize = 512;

/// How a rule compares an attribute with its operands. A missing attribute makes every rule false, `Neq` and `Nin` included.
///
/// Numbers compare as numbers, and nothing is taken for a value of another type: the text `1` is not equal to the number 1,
/// so `Eq` and `In` are false and `Neq` and `Nin` true; all other comparisons are false for what is not of their type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equal to the operand.
    Eq,
    /// Present and not equal to the operand.
    Neq,
    /// Equal to one of the operands.
    In,
    /// Present and equal to none of the operands.
    Nin,
    /// Number greater than the operand.
    Gt,
    /// Number greater than or equal to the operand.
    Gte,
    /// Number less than the operand.
    Lt,
    /// Number less than or equal to the operand.
    Lte,
    /// Number between two operands, both included.
    Between,
    /// Present, whatever it is. No operand.
    Exists,
    /// Text that has one of the operands in it.
    Contains,
    /// Text that begins with one of the operands.
    StartsWith,
    /// Text that ends with one of the operands.
    EndsWith,
    /// Text in which the pattern is found, in time linear in its length.
    Matches,
    /// Version of the same precedence as the operand.
    SemverEq,
    /// Version of higher precedence than the operand.
    SemverGt,
    /// Version of the same or higher precedence.
    SemverGte,
    /// Version of lower precedence than the operand.
    SemverLt,
    /// Version of the same or lower precedence.
    SemverLte,
    /// Version between two operands, both included.
    SemverBetween,
    /// Time before the operand.
    Before,
    /// Time after the operand.
    After,
    /// Time between two operands, both included.
    DateBetween,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Eq,
        Self::Neq,
        Self::In,
        Self::Nin,
        Self::Gt,
        Self::Gte,
        Self::Lt,
        Self::Lte,
        Self::Between,
        Self::Exists,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Matches,
        Self::SemverEq,
        Self::SemverGt,
        Self::SemverGte,
        Self::SemverLt,
        Self::SemverLte,
        Self::SemverBetween,
        Self::Before,
        Self::After,
        Self::DateBetween,
    ];

    /// Its name, such as `semver_gte`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::In => "in",
            Self::Nin => "nin",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Between => "between",
            Self::Exists => "exists",
            Self::Contains => "contains",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
            Self::Matches => "matches",
            Self::SemverEq => "semver_eq",
            Self::SemverGt => "semver_gt",
            Self::SemverGte => "semver_gte",
            Self::SemverLt => "semver_lt",
            Self::SemverLte => "semver_lte",
            Self::SemverBetween => "semver_between",
            Self::Before => "before",
            Self::After => "after",
            Self::DateBetween => "date_between",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One comparison of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Attribute name, dotted for nested fields.
    pub attribute: String,
    /// The comparison.
    pub operator: Operator,
    /// What it compares with: none for `Exists`, two for the three kinds of between (lower first), one or more for `In`, `Nin`,
    /// `Contains`, `StartsWith` and `EndsWith`, one for all others.
    pub operands: Vec<Attribute>,
}

/// Another segment as a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReference {
    /// Its key.
    pub key: SegmentKey,
    /// The version that is meant for good; absent for the latest one.
    pub pinned: Option<u64>,
    /// The version that it stands for. A stored segment that follows the latest version is revised whenever that one changes, so a
    /// version of a segment always means the same units. 0 = not resolved yet.
    pub resolved: u64,
}

/// What must hold of a unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A comparison of an attribute.
    Rule(Rule),
    /// All of these.
    AllOf(Vec<Condition>),
    /// At least one of these.
    AnyOf(Vec<Condition>),
    /// The opposite of this; true where this is false for want of the attribute.
    Not(Box<Condition>),
    /// Membership of another segment.
    Segment(SegmentReference),
}

impl From<Rule> for Condition {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

impl Condition {
    /// What it is made of, each with its place in it: `any_of[1]`, `not`.
    pub(crate) fn parts(&self) -> Vec<(String, &Self)> {
        match self {
            Self::Rule(_) | Self::Segment(_) => Vec::new(),
            Self::AllOf(parts) => places("all_of", parts),
            Self::AnyOf(parts) => places("any_of", parts),
            Self::Not(part) => vec![("not".to_owned(), part)],
        }
    }

    /// How many conditions it is, groups and what they hold included, nested segments as one.
    pub fn count(&self) -> usize {
        let parts = self.parts().into_iter().map(|(_, part)| part.count());
        parts.fold(1, usize::saturating_add)
    }
}

/// `rules[0]`, `rules[1]`, … beside what is there.
pub(crate) fn places<'a, T>(name: &str, parts: &'a [T]) -> Vec<(String, &'a T)> {
    let numbered = parts.iter().enumerate();
    numbered.map(|(i, part)| (format!("{name}[{i}]"), part)).collect()
}

/// A named audience: the units for which all conditions hold. No condition = all units.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Where it lives.
    pub namespace: Namespace,
    /// Key, unique in the namespace, fixed.
    pub key: SegmentKey,
    /// What people call it; may be empty.
    pub name: String,
    /// Whom it describes; may be empty.
    pub description: String,
    /// Conditions, combined with AND.
    pub rules: Vec<Condition>,
    /// Version and times.
    pub meta: Meta,
}

impl Segment {
    /// The segments that it nests, each with the path of its place, such as `rules[1].any_of[0].segment`.
    pub fn references(&self) -> Vec<(String, &SegmentReference)> {
        let mut found = Vec::new();
        collect(String::new(), places("rules", &self.rules), &mut found);
        found
    }

    /// Its rules, wherever they lie in groups; those of nested segments are theirs.
    pub fn comparisons(&self) -> Vec<&Rule> {
        let mut found = Vec::new();
        let mut open: Vec<&Condition> = self.rules.iter().collect();
        while let Some(condition) = open.pop() {
            match condition {
                Condition::Rule(rule) => found.push(rule),
                group => open.extend(group.parts().into_iter().map(|(_, part)| part)),
            }
        }
        found
    }

    /// Sets the version that each reference stands for to what `version` says of it; where it says nothing the version stays.
    pub fn resolve(&mut self, version: impl Fn(&SegmentReference) -> Option<u64>) {
        self.rules
            .iter_mut()
            .for_each(|condition| condition.resolve(&version));
    }
}

impl Condition {
    fn resolve(&mut self, version: &impl Fn(&SegmentReference) -> Option<u64>) {
        match self {
            Self::Rule(_) => {}
            Self::AllOf(parts) | Self::AnyOf(parts) => {
                parts.iter_mut().for_each(|part| part.resolve(version));
            }
            Self::Not(part) => part.resolve(version),
            Self::Segment(reference) => {
                if let Some(resolved) = reference.pinned.or_else(|| version(reference)) {
                    reference.resolved = resolved;
                }
            }
        }
    }
}

fn collect<'s>(
    path: String,
    parts: Vec<(String, &'s Condition)>,
    found: &mut Vec<(String, &'s SegmentReference)>,
) {
    for (place, part) in parts {
        let path = if path.is_empty() {
            place
        } else {
            format!("{path}.{place}")
        };
        match part {
            Condition::Segment(reference) => found.push((format!("{path}.segment"), reference)),
            group => collect(path, group.parts(), found),
        }
    }
}

#[cfg(test)]
mod tests;
