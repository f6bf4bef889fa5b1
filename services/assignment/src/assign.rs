//! Use case: decide for units, from one generation, and record what is an exposure.

use std::sync::Arc;

use assay_core::{
    assign::{Assignment, assign},
    key::Unit,
    snapshot::Snapshot,
    time::Timestamp,
    value::Attributes,
};
use assay_proto::hot;
use futures::future::BoxFuture;

use crate::{Assignments, error::Refusal, record::Parcels};

/// One request under way: all of its answers come from one snapshot and one instant, and its exposures are recorded together.
pub(crate) struct Sitting<'a> {
    assignments: &'a Assignments,
    snapshot: Arc<Snapshot>,
    now: Timestamp,
    records: bool,
    parcels: Parcels,
}

impl<'a> Sitting<'a> {
    /// Begins to answer in `namespace`. `records`: whether answers are recorded as exposures.
    ///
    /// # Errors
    /// [`Refusal::NoConfiguration`] until any was seen.
    pub(crate) fn begin(
        assignments: &'a Assignments,
        namespace: &str,
        records: bool,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            assignments,
            snapshot: assignments.serving.snapshot(namespace)?,
            now: assignments.now(),
            records,
            parcels: Parcels::default(),
        })
    }

    /// What `unit` gets for `key`, of a flag or of an experiment.
    pub(crate) fn decide(
        &mut self,
        key: &str,
        unit: Option<&Unit>,
        attributes: &Attributes,
    ) -> Assignment<'_> {
        let Self { snapshot, now, .. } = self;
        let decided = assign(snapshot, key, unit, attributes, *now);
        if self.records
            && decided.exposes
            && let Some(unit) = unit
        {
            let partition = snapshot.partition(unit, self.assignments.recorder.partitions());
            let carried = decided.segmenting_of(attributes);
            self.parcels.add(partition, |out| {
                hot::exposure(out, snapshot.namespace(), &decided, unit, carried, *now);
            });
        }
        decided
    }

    /// Records the exposures. What is answered waits for the future, if there is one: at most two milliseconds.
    pub(crate) fn end(self) -> Option<BoxFuture<'static, ()>> {
        self.assignments.recorder.record(self.parcels)
    }
}
