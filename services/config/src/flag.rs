//! What flags must keep besides their own rules: their segments exist, their type is fixed, and no override hides a live experiment.

use assay_core::{
    experiment::Experiment,
    flag::{Flag, SegmentOverride},
    segment::Segment,
    validate::{self, Findings, override_conflict},
    value::Value,
};
use assay_proto::field::FieldErrors;

use crate::{
    error::Error,
    simple::{Changed, Simple, experiments, live_and_drafts, names},
    truth::{Call, Truth, Writes},
};

#[tonic::async_trait]
impl Simple for Flag {
    fn check(&self) -> Findings {
        validate::flag(self)
    }

    async fn check_references(
        &self,
        truth: &Truth,
        call: &Call,
        mut writes: Writes,
    ) -> Result<Writes, Error> {
        let mut missing = FieldErrors::default();
        for (i, hit) in self.segment_overrides.iter().enumerate() {
            let found: Option<Segment> = truth.find(&call.namespace, hit.segment.as_str()).await?;
            if found.is_none() {
                let message = format!(
                    "names segment `{}`, which does not exist; create it first",
                    hit.segment
                );
                missing.push(
                    format!("segment_overrides[{i}].segment_key"),
                    "SEGMENT_NOT_FOUND",
                    message,
                );
            }
            writes = writes.check(&found);
        }
        if missing.0.is_empty() {
            Ok(writes)
        } else {
            Err(missing.into())
        }
    }

    async fn check_change(
        truth: &Truth,
        call: &Call,
        current: &Self,
        updated: &Self,
        generation: u64,
        writes: Writes,
    ) -> Result<Changed, Error> {
        if updated.value_type != current.value_type {
            let message = format!(
                "is {} for good; create another flag for another type",
                current.value_type
            );
            return Err(Error::field("type", "FIXED", message));
        }
        let had = |hit: &SegmentOverride| {
            current
                .segment_overrides
                .iter()
                .any(|old| old.segment == hit.segment)
        };
        if updated.segment_overrides.iter().all(had) {
            return Ok(writes.into());
        }
        let hides = |e: &Experiment| override_conflict(updated, e) && !override_conflict(current, e);
        let hidden = experiments(truth, call, |e| e.flag == current.key && hides(e)).await?;
        let (live, drafts) = live_and_drafts(hidden);
        match live.first() {
            Some(Experiment {
                key,
                segment: Some(segment),
                ..
            }) => Err(Error::OverrideConflict {
                segment: segment.to_string(),
                experiment: key.to_string(),
            }),
            // Nor may one be made and started meanwhile.
            _ => Ok(writes.check(&drafts).at(generation).into()),
        }
    }

    async fn users(&self, truth: &Truth, call: &Call) -> Result<Vec<String>, Error> {
        let requires = |e: &Experiment| e.traffic.prerequisites.iter().any(|p| p.flag == self.key);
        let uses = |e: &Experiment| e.flag == self.key || requires(e);
        Ok(names(&experiments(truth, call, uses).await?))
    }
}

/// Makes `value` the default, and thereby the first variation: one of that value moves to the front, else the first gets it.
pub(crate) fn set_default(flag: &mut Flag, value: Value) {
    if let Some(known) = flag
        .variations
        .iter()
        .position(|variation| variation.value == value)
    {
        let first = flag.variations.remove(known);
        flag.variations.insert(0, first);
    } else if let Some(first) = flag.variations.first_mut() {
        first.value = value.clone();
    }
    flag.default_value = value;
}
