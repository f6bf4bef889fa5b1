//! A segment, compiled: what is asked at each request.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Condition, Explanation, MAX_CONDITIONS, MAX_DEPTH, Outcome, Predicate, RuleError, Segment,
    SegmentReference, explain::Explainer, places,
};
use crate::{
    key::SegmentKey,
    value::{Attribute, Attributes},
};

/// A compiled [`Segment`]: the conditions that must all hold, with those of the segments that it nests.
#[derive(Debug, Clone, Default)]
pub struct Audience {
    conditions: Vec<Compiled>,
    attributes: BTreeSet<String>,
    depth: usize,
    size: usize,
}

/// A compiled [`Condition`].
#[derive(Debug, Clone)]
pub(super) enum Compiled {
    Test(Predicate),
    AllOf(Vec<Compiled>),
    AnyOf(Vec<Compiled>),
    Not(Box<Compiled>),
    Segment(SegmentReference, Arc<Audience>),
}

/// Why a segment cannot be compiled, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {source}")]
pub struct CompileError {
    /// The place, such as `rules[1].any_of[0]`.
    pub path: String,
    /// What is wrong there.
    pub source: CompileFailure,
}

/// What of a segment cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileFailure {
    /// A rule that cannot be evaluated.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A nested segment that is not there, or cannot be compiled itself.
    #[error("version {version} of segment `{key}` is missing or rejected")]
    Nested {
        /// The key of the nested segment.
        key: String,
        /// Its version.
        version: u64,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("is nested deeper than {MAX_DEPTH}, with the segments that it nests; flatten it")]
    TooDeep,
    /// More than [`MAX_CONDITIONS`].
    #[error(
        "has more than {MAX_CONDITIONS} conditions, with those of the segments that it nests; nest fewer"
    )]
    TooLarge,
}

/// What is told of a decision while it is made.
pub(super) trait Observer {
    /// Whether conditions are looked at that cannot change the truth of their group any more.
    const EXHAUSTIVE: bool;
    /// What follows is of the condition at this place in the one before.
    fn enter(&mut self, place: &'static str, index: Option<usize>);
    /// The condition that was entered last is decided.
    fn decided(&mut self, condition: &Compiled, outcome: Outcome, is_true: bool, seen: Option<&Attribute>);
}

/// Tells nobody.
struct Nobody;

impl Observer for Nobody {
    const EXHAUSTIVE: bool = false;
    #[inline]
    fn enter(&mut self, _: &'static str, _: Option<usize>) {}
    #[inline]
    fn decided(&mut self, _: &Compiled, _: Outcome, _: bool, _: Option<&Attribute>) {}
}

impl Segment {
    /// This segment compiled, to be evaluated many times. `nested` finds the compiled segments that it nests.
    ///
    /// # Errors
    /// [`CompileError`] of the first condition that cannot be evaluated.
    pub fn compile(
        &self,
        mut nested: impl FnMut(&SegmentReference) -> Option<Arc<Audience>>,
    ) -> Result<Audience, CompileError> {
        let mut audience = Audience::default();
        for (path, condition) in places("rules", &self.rules) {
            let compiled = audience.add(&path, condition, 1, &mut nested)?;
            audience.conditions.push(compiled);
        }
        Ok(audience)
    }
}

/// A segment's key and version.
type Id<'s> = (&'s SegmentKey, u64);

/// Compiles `segments`, each after those that it nests, which must be among them: by key and version.
///
/// One that nests itself, which no stored segment does, finds itself missing.
pub fn compile_all<'s>(
    segments: impl IntoIterator<Item = &'s Segment>,
) -> BTreeMap<Id<'s>, Result<Arc<Audience>, CompileError>> {
    let all = segments
        .into_iter()
        .map(|segment| ((&segment.key, segment.meta.version), segment));
    let all: BTreeMap<Id<'s>, &Segment> = all.collect();
    let mut done: BTreeMap<Id<'s>, Result<Arc<Audience>, CompileError>> = BTreeMap::new();
    for &id in all.keys() {
        // A stack of our own: however long a chain of segments is, it is walked and then refused.
        let mut open = vec![id];
        while let Some(&id) = open.last() {
            let Some(&segment) = all.get(&id).filter(|_| !done.contains_key(&id)) else {
                open.pop();
                continue;
            };
            let nested = segment
                .references()
                .into_iter()
                .map(|(_, nested)| (&nested.key, nested.resolved));
            let mut waiting =
                nested.filter(|id| all.contains_key(id) && !done.contains_key(id) && !open.contains(id));
            if let Some(first) = waiting.next() {
                open.push(first);
                continue;
            }
            let nested = |reference: &SegmentReference| {
                let compiled = done.get(&(&reference.key, reference.resolved));
                compiled.and_then(|compiled| compiled.as_ref().ok().cloned())
            };
            let compiled = segment.compile(nested).map(Arc::new);
            done.insert(id, compiled);
        }
    }
    done
}

impl Audience {
    /// Whether a unit with `attributes` belongs to it. Does not allocate (but see [`Predicate::outcome`]).
    pub fn matches(&self, attributes: &Attributes) -> bool {
        self.decide(attributes, &mut Nobody)
    }

    /// The same with the reason, condition by condition.
    pub fn explain(&self, attributes: &Attributes) -> Explanation {
        let mut explainer = Explainer::default();
        let matches = self.decide(attributes, &mut explainer);
        explainer.finish(matches)
    }

    /// The names of the attributes that it looks at, each once, those of nested segments included.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(String::as_str)
    }

    fn decide<O: Observer>(&self, attributes: &Attributes, observer: &mut O) -> bool {
        all("rules", &self.conditions, attributes, observer)
    }

    /// Compiles `condition`, which lies `depth` deep, and counts it.
    fn add(
        &mut self,
        path: &str,
        condition: &Condition,
        depth: usize,
        nested: &mut impl FnMut(&SegmentReference) -> Option<Arc<Self>>,
    ) -> Result<Compiled, CompileError> {
        let wrong = |source| CompileError {
            path: path.to_owned(),
            source,
        };
        self.count(depth, 1).map_err(wrong)?;
        Ok(match condition {
            Condition::Rule(rule) => {
                self.attributes.insert(rule.attribute.clone());
                Compiled::Test(rule.compile().map_err(|error| wrong(error.into()))?)
            }
            Condition::AllOf(_) => Compiled::AllOf(self.add_parts(path, condition, depth, nested)?),
            Condition::AnyOf(_) => Compiled::AnyOf(self.add_parts(path, condition, depth, nested)?),
            Condition::Not(part) => {
                let part = self.add(&format!("{path}.not"), part, depth.saturating_add(1), nested)?;
                Compiled::Not(Box::new(part))
            }
            Condition::Segment(reference) => {
                let missing = || CompileFailure::Nested {
                    key: reference.key.to_string(),
                    version: reference.resolved,
                };
                let audience = nested(reference).ok_or_else(missing).map_err(wrong)?;
                let deepest = depth.saturating_add(audience.depth);
                self.count(deepest, audience.size).map_err(wrong)?;
                self.attributes.extend(audience.attributes.iter().cloned());
                Compiled::Segment(reference.clone(), audience)
            }
        })
    }

    fn add_parts(
        &mut self,
        path: &str,
        group: &Condition,
        depth: usize,
        nested: &mut impl FnMut(&SegmentReference) -> Option<Arc<Self>>,
    ) -> Result<Vec<Compiled>, CompileError> {
        let parts = group.parts().into_iter();
        parts
            .map(|(place, part)| self.add(&format!("{path}.{place}"), part, depth.saturating_add(1), nested))
            .collect()
    }

    fn count(&mut self, depth: usize, conditions: usize) -> Result<(), CompileFailure> {
        self.depth = self.depth.max(depth);
        self.size = self.size.saturating_add(conditions);
        if self.depth > MAX_DEPTH {
            return Err(CompileFailure::TooDeep);
        }
        if self.size > MAX_CONDITIONS {
            return Err(CompileFailure::TooLarge);
        }
        Ok(())
    }
}

impl Compiled {
    fn decide<O: Observer>(&self, attributes: &Attributes, observer: &mut O) -> bool {
        let mut told = None;
        let is_true = match self {
            Self::Test(predicate) => {
                let outcome = predicate.outcome(attributes);
                told = Some(outcome);
                predicate.is_true(outcome)
            }
            Self::AllOf(parts) => all("all_of", parts, attributes, observer),
            Self::AnyOf(parts) => any("any_of", parts, attributes, observer),
            Self::Not(part) => {
                observer.enter("not", None);
                !part.decide(attributes, observer)
            }
            Self::Segment(_, audience) => audience.decide(attributes, observer),
        };
        let group = if is_true {
            Outcome::Matched
        } else {
            Outcome::NotMatched
        };
        let seen = match self {
            Self::Test(predicate) if O::EXHAUSTIVE => predicate.seen(attributes),
            _ => None,
        };
        observer.decided(self, told.unwrap_or(group), is_true, seen);
        is_true
    }
}

fn all<O: Observer>(
    place: &'static str,
    parts: &[Compiled],
    attributes: &Attributes,
    observer: &mut O,
) -> bool {
    let mut all_true = true;
    for (i, part) in parts.iter().enumerate() {
        if all_true || O::EXHAUSTIVE {
            observer.enter(place, Some(i));
            all_true &= part.decide(attributes, observer);
        }
    }
    all_true
}

fn any<O: Observer>(
    place: &'static str,
    parts: &[Compiled],
    attributes: &Attributes,
    observer: &mut O,
) -> bool {
    let mut any_true = false;
    for (i, part) in parts.iter().enumerate() {
        if !any_true || O::EXHAUSTIVE {
            observer.enter(place, Some(i));
            any_true |= part.decide(attributes, observer);
        }
    }
    any_true
}
