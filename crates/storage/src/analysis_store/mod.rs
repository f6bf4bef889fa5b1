//! What analysis remembers: records, enrollments, unit values, sums, and how far it has read. SQL, one adapter for Postgres and SQLite.
//!
//! A unit's records all come through one partition, so everything here that belongs to a unit, and every sum, is written by that
//! partition's reader alone; the compare-and-set on the partition's progress makes two readers of one partition harmless.

#[cfg(any(test, feature = "laws"))]
pub mod laws;
mod sql;

use assay_core::{
    key::{ExperimentKey, FlagKey, MetricKey, Namespace, Unit, VariantKey},
    record::{Event, Sighting},
    time::{Day, Timestamp},
};
use async_trait::async_trait;

pub use self::sql::SqlAnalysisStore;
use crate::{Error, event_log::Position};

/// How far a partition has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Position in the partition's exposures.
    pub exposures: Position,
    /// Position in the partition's events.
    pub events: Position,
    /// The partition's records are complete up to this instant; [`Timestamp::MIN`]-like 0 when never read.
    pub through: Timestamp,
    /// Counts the commits; what the next one must name.
    pub version: u64,
}

/// A unit of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitRef {
    /// The namespace.
    pub namespace: Namespace,
    /// The unit.
    pub unit: Unit,
}

/// The first time a unit met one variant of an experiment in one cohort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposureRow {
    /// The experiment.
    pub experiment: ExperimentKey,
    /// The variant met.
    pub variant: VariantKey,
    /// The cohort.
    pub cohort: u32,
    /// The first time.
    pub time: Timestamp,
}

/// An event as it counts: of equal ids the one with the smallest (`received_at`, hash).
#[derive(Debug, Clone, PartialEq)]
pub struct EventRow {
    /// The event.
    pub event: Event,
    /// [`Event::content_hash`].
    pub hash: [u8; 32],
}

/// Which sums a unit's value is part of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// The namespace.
    pub namespace: Namespace,
    /// The experiment.
    pub experiment: ExperimentKey,
    /// The cohort of the unit's first exposure.
    pub cohort: u32,
    /// The variant of the unit's first exposure.
    pub variant: VariantKey,
    /// What is summed.
    pub measure: Measure,
    /// The UTC day of the unit's first exposure.
    pub day: Day,
}

/// What a cell sums.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Units that count (n only).
    Exposed,
    /// Units set aside because they met several variants (n only), under the variant of their first exposure.
    SetAside,
    /// Units whose value is left out for a metric (n only): a pause meets their window.
    Excluded(MetricKey),
    /// Units without any value (n only): a quantile cannot be taken of them.
    Valueless(MetricKey),
    /// The values of a metric, capped where it has a cap; the numerators of a ratio.
    Metric(MetricKey),
    /// The denominators of a ratio.
    Denominator(MetricKey),
    /// Numerator + denominator of each unit of a ratio: with the sums of squares of both it gives the exact sum of their products.
    Total(MetricKey),
    /// What the cap of a metric cuts off, of the units that it cuts something off.
    Excess(MetricKey),
}

/// What one unit is part of now: exactly what must be taken back when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// The sums.
    pub cell: CellKey,
    /// The unit's value: micro-units, or 0/1; 0 for counts.
    pub value: i64,
}

/// Exact sums of a cell, or a difference of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Units.
    pub n: i64,
    /// Units with a value other than 0.
    pub nonzero: i64,
    /// Σy.
    pub sum: i128,
    /// Σy².
    pub sum_squares: i128,
}

/// A unit's value that waits for its window to close.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Due {
    /// When the window closes.
    pub at: Timestamp,
    /// Whose.
    pub unit: UnitRef,
}

/// Everything known of a unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnitState {
    /// First exposures by experiment, variant, cohort.
    pub exposures: Vec<ExposureRow>,
    /// Its events, one for each id.
    pub events: Vec<EventRow>,
    /// What it is part of.
    pub contributions: Vec<Contribution>,
    /// The instants at which it must be looked at again.
    pub dues: Vec<Timestamp>,
}

/// The new state of a unit, as far as it changed.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitChange {
    /// Whose.
    pub unit: UnitRef,
    /// Exposure rows to insert or to replace (by experiment, variant, cohort).
    pub exposures: Vec<ExposureRow>,
    /// Events to insert or to replace (by event id).
    pub events: Vec<EventRow>,
    /// Contributions that end.
    pub retracted: Vec<Contribution>,
    /// Contributions that begin.
    pub added: Vec<Contribution>,
    /// Due times that end.
    pub dues_removed: Vec<Timestamp>,
    /// Due times that begin.
    pub dues_added: Vec<Timestamp>,
}

/// Counts of what was seen and not counted, by namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events seen again with the same content.
    pub duplicates: u64,
    /// Events seen again with other content.
    pub conflicts: u64,
    /// Events later than the lateness allowance.
    pub late: u64,
    /// Records that could not be understood.
    pub invalid: u64,
    /// Exposures before their experiment began to count.
    pub before_counting: u64,
    /// Exposures that a generation older than their cohort has decided; they count.
    pub older_generation: u64,
}

/// A batch's whole effect: all of it happens, or nothing.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The partition.
    pub partition: u32,
    /// The progress that the batch was read from; another one stored means that somebody else was here: [`Error::Stale`].
    pub from: Progress,
    /// The progress afterwards (its `version` is set by the store: `from.version` + 1).
    pub to: Progress,
    /// The units that changed. Sums follow from their `retracted` and `added`.
    pub units: Vec<UnitChange>,
    /// Counts to add, by namespace.
    pub tallies: Vec<(Namespace, Tally)>,
    /// Callers that were seen; the latest time of each is kept.
    pub callers: Vec<Sighting>,
}

/// One enrolled or set-aside unit of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentRow {
    /// The unit.
    pub unit: Unit,
    /// Its first exposures by variant and cohort, in order of time; two variants = set aside.
    pub exposures: Vec<ExposureRow>,
}

/// The state of analysis.
///
/// Guarantees: a [`Commit`] is one transaction, guarded by the partition's progress; sums are exact; reads see every commit.
#[async_trait]
pub trait AnalysisStore: Send + Sync {
    /// Progress of each of `partitions` partitions, in order.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn progress(&self, partitions: u32) -> Result<Vec<Progress>, Error>;

    /// What is known of `units`, in their order.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn units(&self, units: &[UnitRef]) -> Result<Vec<UnitState>, Error>;

    /// Up to `limit` units of `partition` with a due time at or before `through`, earliest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn due(&self, partition: u32, through: Timestamp, limit: u64) -> Result<Vec<Due>, Error>;

    /// Makes `commit`.
    ///
    /// # Errors
    /// [`Error::Stale`] when the progress is not `from`; then nothing has happened.
    async fn commit(&self, commit: Commit) -> Result<(), Error>;

    /// All sums of an experiment, added over partitions, in order of key.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn cells(
        &self,
        namespace: &Namespace,
        experiment: &ExperimentKey,
    ) -> Result<Vec<(CellKey, Sums)>, Error>;

    /// Counts of `namespace`, added over partitions.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn tally(&self, namespace: &Namespace) -> Result<Tally, Error>;

    /// Up to `limit` callers that asked for one of `keys` at `since` or later, the latest first. What was not seen for 30 days may be gone.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn callers(
        &self,
        namespace: &Namespace,
        keys: &[FlagKey],
        since: Timestamp,
        limit: u64,
    ) -> Result<Vec<Sighting>, Error>;

    /// Up to `limit` exposed units of an experiment in order of unit, after `after`; only `unit` when given.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn assignments(
        &self,
        namespace: &Namespace,
        experiment: &ExperimentKey,
        unit: Option<&Unit>,
        after: Option<&Unit>,
        limit: u64,
    ) -> Result<Vec<AssignmentRow>, Error>;
}
