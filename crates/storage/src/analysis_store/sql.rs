//! The state of analysis in SQL: Postgres, or SQLite when embedded.
//!
//! A batch is written set by set: whatever it changes in a table goes in one statement or a few, so that its cost is that of inserting the
//! same rows in bulk. Sums are read, added to and written back in the same transaction; they need no lock of their own, because the
//! partition's progress, which the transaction writes first, is one.

mod callers;
mod commit;
mod encode;
mod read;
mod rows;
mod sums;
mod tables;

use assay_core::{
    key::{ExperimentKey, FlagKey, Namespace, Unit},
    record::Sighting,
    time::Timestamp,
};
use async_trait::async_trait;

use super::{AnalysisStore, AssignmentRow, CellKey, Commit, Due, Progress, Sums, Tally, UnitRef, UnitState};
use crate::{
    Error,
    sql::{Database, within},
};

/// An [`AnalysisStore`] in a [`Database`] that has been migrated.
#[derive(Debug, Clone)]
pub struct SqlAnalysisStore {
    database: Database,
}

impl SqlAnalysisStore {
    /// The store in `database`.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl AnalysisStore for SqlAnalysisStore {
    async fn progress(&self, partitions: u32) -> Result<Vec<Progress>, Error> {
        within(read::progress(&self.database, partitions)).await
    }

    async fn units(&self, units: &[UnitRef]) -> Result<Vec<UnitState>, Error> {
        within(read::units(&self.database, units)).await
    }

    async fn due(&self, partition: u32, through: Timestamp, limit: u64) -> Result<Vec<Due>, Error> {
        within(read::due(&self.database, partition, through, limit)).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), Error> {
        within(commit::commit(&self.database, &commit)).await
    }

    async fn cells(
        &self,
        namespace: &Namespace,
        experiment: &ExperimentKey,
    ) -> Result<Vec<(CellKey, Sums)>, Error> {
        within(read::cells(&self.database, namespace, experiment)).await
    }

    async fn tally(&self, namespace: &Namespace) -> Result<Tally, Error> {
        within(read::tally(&self.database, namespace)).await
    }

    async fn callers(
        &self,
        namespace: &Namespace,
        keys: &[FlagKey],
        since: Timestamp,
        limit: u64,
    ) -> Result<Vec<Sighting>, Error> {
        within(callers::read(&self.database, namespace, keys, since, limit)).await
    }

    async fn assignments(
        &self,
        namespace: &Namespace,
        experiment: &ExperimentKey,
        unit: Option<&Unit>,
        after: Option<&Unit>,
        limit: u64,
    ) -> Result<Vec<AssignmentRow>, Error> {
        within(read::assignments(
            &self.database,
            namespace,
            experiment,
            unit,
            after,
            limit,
        ))
        .await
    }
}
