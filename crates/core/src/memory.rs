//! What is remembered of one unit: its first assignments, as far as they were looked up.

use std::collections::BTreeMap;

use crate::key::{ExperimentKey, VariantKey};

/// A first assignment, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The variant.
    pub variant: VariantKey,
    /// The cohort that split the unit.
    pub cohort: u32,
}

/// The remembered assignments of one unit by experiment, as far as they are known: an argument of [`crate::assign::assign_with`].
///
/// Empty, it says of no experiment whether the unit is known there, and costs nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory(BTreeMap<ExperimentKey, Option<Remembered>>);

impl Memory {
    /// Learns what is remembered of the unit in `experiment`; nothing = it was never assigned there.
    pub fn learn(&mut self, experiment: ExperimentKey, remembered: Option<Remembered>) {
        self.0.insert(experiment, remembered);
    }

    /// Knows nothing of `experiment` any more.
    pub fn forget(&mut self, experiment: &ExperimentKey) {
        self.0.remove(experiment);
    }

    /// What is known of the unit in `experiment`: nothing at all, or what is remembered, if anything.
    pub fn of(&self, experiment: &ExperimentKey) -> Option<Option<&Remembered>> {
        self.0.get(experiment).map(Option::as_ref)
    }
}
