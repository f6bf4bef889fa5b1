//! Segments within segments: what may nest what, and what follows from a change of one that is nested.
//!
//! A stored segment names the version of each segment that it nests, also where it follows the latest one. So a version of a segment
//! means the same units for ever, and an experiment that has pinned it needs to know no more. When a segment changes, those that follow
//! it are revised in the same change ([`nesters`]).

use std::collections::{BTreeMap, BTreeSet};

use super::{Condition, MAX_CONDITIONS, MAX_DEPTH, Segment, SegmentReference};
use crate::key::SegmentKey;

/// Most segments that a change of one revises.
pub const MAX_NESTERS: usize = 200;

/// Why a segment may not nest what it nests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NestingError {
    /// It nests itself.
    #[error("nests itself: {}; take one of these out of the other", route(.path))]
    Cycle {
        /// From the segment over those that it nests back to itself.
        path: Vec<SegmentKey>,
    },
    /// What it nests does not exist.
    #[error("names {what}, which does not exist; create it first, or name another")]
    Missing {
        /// The segment and its version.
        what: String,
    },
    /// It is nested deeper than [`MAX_DEPTH`].
    #[error("is {depth} deep by way of {}; conditions nest at most {MAX_DEPTH} deep, nested segments included, so flatten it", route(.path))]
    TooDeep {
        /// How deep.
        depth: usize,
        /// The segments on the deepest way.
        path: Vec<SegmentKey>,
    },
    /// It has more than [`MAX_CONDITIONS`].
    #[error(
        "has {conditions} conditions with those of `{segment}`; keep at most {MAX_CONDITIONS}, nested segments included"
    )]
    TooLarge {
        /// How many.
        conditions: usize,
        /// The segment that has them.
        segment: SegmentKey,
    },
    /// A change of it would revise too many others.
    #[error(
        "is nested by {count} segments, and a change revises each; at most {MAX_NESTERS} are allowed, so let some pin a version"
    )]
    TooManyNesters {
        /// How many.
        count: usize,
    },
}

fn route(path: &[SegmentKey]) -> String {
    path.iter()
        .map(SegmentKey::as_str)
        .collect::<Vec<_>>()
        .join(" → ")
}

/// How large a segment is with all that it nests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// How deep its conditions nest; 0 without any.
    pub depth: usize,
    /// How many conditions it has, counted as often as they are nested.
    pub conditions: usize,
    /// The segments on the deepest way, itself first.
    deepest: Vec<SegmentKey>,
}

/// Measures `segment`, whose references are resolved, by way of `find`, which finds a segment in one version.
///
/// # Errors
/// [`NestingError`], with the path of the reference that leads there, such as `rules[0].segment`; of what lies deeper its first step.
pub fn measure<'s>(
    segment: &'s Segment,
    find: &impl Fn(&SegmentReference) -> Option<&'s Segment>,
) -> Result<Measure, (String, NestingError)> {
    let mut survey = Survey {
        find,
        known: BTreeMap::new(),
        way: Vec::new(),
    };
    let measured = survey.measure(segment)?;
    if measured.depth > MAX_DEPTH {
        let error = NestingError::TooDeep {
            depth: measured.depth,
            path: measured.deepest,
        };
        return Err((String::from("rules"), error));
    }
    Ok(measured)
}

struct Survey<'f, 's, F> {
    find: &'f F,
    known: BTreeMap<(&'s SegmentKey, u64), Measure>,
    /// The segments from the first one to the present one.
    way: Vec<&'s SegmentKey>,
}

impl<'s, F: Fn(&SegmentReference) -> Option<&'s Segment>> Survey<'_, 's, F> {
    fn measure(&mut self, segment: &'s Segment) -> Result<Measure, (String, NestingError)> {
        self.way.push(&segment.key);
        let mut measured = Measure {
            depth: 0,
            conditions: 0,
            deepest: vec![segment.key.clone()],
        };
        for (path, condition) in super::places("rules", &segment.rules) {
            self.add(&mut measured, path, condition, 1)?;
        }
        self.way.pop();
        if measured.conditions > MAX_CONDITIONS {
            let error = NestingError::TooLarge {
                conditions: measured.conditions,
                segment: segment.key.clone(),
            };
            return Err(("rules".to_owned(), error));
        }
        Ok(measured)
    }

    fn add(
        &mut self,
        measured: &mut Measure,
        path: String,
        condition: &'s Condition,
        depth: usize,
    ) -> Result<(), (String, NestingError)> {
        measured.depth = measured.depth.max(depth);
        measured.conditions = measured.conditions.saturating_add(1);
        for (place, part) in condition.parts() {
            self.add(measured, format!("{path}.{place}"), part, depth.saturating_add(1))?;
        }
        if let Condition::Segment(reference) = condition {
            let path = format!("{path}.segment");
            let nested = self.nested(reference).map_err(|error| (path, error))?;
            let deepest = depth.saturating_add(nested.depth);
            if deepest > measured.depth {
                measured.depth = deepest;
                let way = measured.deepest.drain(..1).chain(nested.deepest).collect();
                measured.deepest = way;
            }
            measured.conditions = measured.conditions.saturating_add(nested.conditions);
        }
        Ok(())
    }

    fn nested(&mut self, reference: &'s SegmentReference) -> Result<Measure, NestingError> {
        if let Some(start) = self.way.iter().position(|key| **key == reference.key) {
            let around = self.way.iter().skip(start).copied().chain([&reference.key]);
            return Err(NestingError::Cycle {
                path: around.cloned().collect(),
            });
        }
        let id = (&reference.key, reference.resolved);
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        let missing = || NestingError::Missing {
            what: match reference.pinned {
                Some(version) => format!("version {version} of segment `{}`", reference.key),
                None => format!("segment `{}`", reference.key),
            },
        };
        let segment = (self.find)(reference).ok_or_else(missing)?;
        // Beyond the limit it cannot become right, and a way that long is not walked.
        if self.way.len() > MAX_DEPTH {
            return Err(NestingError::TooDeep {
                depth: self.way.len(),
                path: self.way.iter().copied().cloned().collect(),
            });
        }
        let measured = self.measure(segment).map_err(|(_, error)| error)?;
        self.known.insert(id, measured.clone());
        Ok(measured)
    }
}

/// The segments of `latest` that follow `changed`, directly or by way of others, each with the versions that its references stand for
/// once all of them have one version more; `changed` has its coming version already.
///
/// # Errors
/// [`NestingError::TooManyNesters`].
pub fn nesters(changed: &Segment, latest: &[Segment]) -> Result<Vec<Segment>, NestingError> {
    let mut coming = BTreeMap::from([(&changed.key, changed.meta.version)]);
    let mut found: BTreeSet<&SegmentKey> = BTreeSet::new();
    loop {
        let new: Vec<_> = latest
            .iter()
            .filter(|segment| !coming.contains_key(&segment.key) && follows(segment, &coming))
            .collect();
        if new.is_empty() {
            break;
        }
        for segment in new {
            found.insert(&segment.key);
            coming.insert(&segment.key, segment.meta.version.saturating_add(1));
        }
    }
    if found.len() > MAX_NESTERS {
        return Err(NestingError::TooManyNesters { count: found.len() });
    }
    let revised = latest.iter().filter(|segment| found.contains(&segment.key));
    let revise = |segment: &Segment| {
        let mut revised = segment.clone();
        revised.resolve(|reference| coming.get(&reference.key).copied());
        revised
    };
    Ok(revised.map(revise).collect())
}

/// Whether `segment` nests the latest version of one of these.
fn follows(segment: &Segment, coming: &BTreeMap<&SegmentKey, u64>) -> bool {
    let references = segment.references();
    let mut followed = references
        .iter()
        .filter(|(_, reference)| reference.pinned.is_none());
    followed.any(|(_, reference)| coming.contains_key(&reference.key))
}
