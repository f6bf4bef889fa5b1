//! Segments as far as one that nests them needs them.

use std::collections::{BTreeMap, BTreeSet};

use assay_core::{
    key::SegmentKey,
    segment::{MAX_CONDITIONS, NestingError, Segment, SegmentReference, measure},
};

use super::nesting;
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// Sets the version of each segment that `segment` nests in the latest one; 0 when there is none.
pub(super) async fn resolve(segment: &mut Segment, truth: &Truth, call: &Call) -> Result<(), Error> {
    let references = segment.references().into_iter().map(|(_, nested)| nested);
    let followed = references.filter(|nested| nested.pinned.is_none());
    let keys: BTreeSet<String> = followed.map(|nested| nested.key.to_string()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = keys.into_iter().collect();
    let found: Vec<Segment> = truth.find_all(&call.namespace, &keys).await?;
    let latest: BTreeMap<_, _> = found
        .iter()
        .map(|found| (&found.key, found.meta.version))
        .collect();
    segment.resolve(|nested| Some(latest.get(&nested.key).copied().unwrap_or(0)));
    Ok(())
}

/// Segments by key and version.
#[derive(Default)]
pub(super) struct Graph(BTreeMap<(SegmentKey, u64), Segment>);

impl Graph {
    /// Adds a segment that is not stored yet.
    pub(super) fn add(&mut self, segment: Segment) {
        self.0
            .insert((segment.key.clone(), segment.meta.version), segment);
    }

    /// Adds all that `segment` nests, as far as it exists, and what that nests, and so on.
    pub(super) async fn load(&mut self, segment: &Segment, truth: &Truth, call: &Call) -> Result<(), Error> {
        let mut open = nested_ids(segment);
        while let Some((key, version)) = open.pop() {
            let id = (key, version);
            if version == 0 || self.0.contains_key(&id) {
                continue;
            }
            if self.0.len() > MAX_CONDITIONS {
                let error = NestingError::TooLarge {
                    conditions: self.0.len(),
                    segment: segment.key.clone(),
                };
                return Err(nesting("rules", &error));
            }
            let found = truth
                .segment_version(&call.namespace, id.0.as_str(), version)
                .await?;
            if let Some(found) = found {
                open.extend(nested_ids(&found));
                self.0.insert(id, found);
            }
        }
        Ok(())
    }

    /// Refuses `segment` when it nests itself, what does not exist, or too much.
    pub(super) fn check(&self, segment: &Segment) -> Result<(), Error> {
        let measured = measure(segment, &|nested| self.get(nested));
        measured.map(drop).map_err(|(path, error)| nesting(&path, &error))
    }

    /// The segment that a reference stands for.
    pub(super) fn get(&self, nested: &SegmentReference) -> Option<&Segment> {
        self.0.get(&(nested.key.clone(), nested.resolved))
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Segment> {
        self.0.values()
    }
}

fn nested_ids(segment: &Segment) -> Vec<(SegmentKey, u64)> {
    let nested = segment.references().into_iter();
    nested
        .map(|(_, nested)| (nested.key.clone(), nested.resolved))
        .collect()
}
