//! What a snapshot says of its flags apart from any unit: for protocols that tell more than an assignment, and for those that wait for
//! changes.

use std::collections::BTreeMap;

use super::{CompiledExperiment, CompiledFlag, Phase, Snapshot, Target};
use crate::{
    key::{FlagKey, VariantKey},
    value::{Value, ValueType},
};

/// What a flag is, whoever asks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Described<'s> {
    /// The type of all its values.
    pub value_type: ValueType,
    /// The key of its first variation, which has the default value unless an experiment's winner has changed that.
    pub first_variation: Option<&'s VariantKey>,
    /// Whether the unit decides: its experiment splits.
    pub splits: bool,
    /// The winner of its experiment, where every unit of any kind gets it: nothing of the flag looks at the unit.
    pub everyone: Option<(&'s VariantKey, &'s Value)>,
}

/// How a flag differs from an older generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It is new.
    Added,
    /// It may answer differently.
    Updated,
    /// It is gone.
    Removed,
}

impl Snapshot {
    /// What the flag is that `key`, of a flag or of an experiment, leads to.
    pub fn describe(&self, key: &str) -> Option<Described<'_>> {
        let Target { flag, experiment } = self.target(key)?;
        let experiment = experiment.as_deref();
        Some(Described {
            value_type: flag.value_type,
            first_variation: flag.first_variation.as_ref(),
            splits: experiment.is_some_and(|e| matches!(e.phase, Phase::Split(_))),
            everyone: experiment.and_then(|experiment| everyone(flag, experiment)),
        })
    }

    /// Whether there is a flag `key` that cannot be served: it is broken, and no good version of it was ever seen.
    pub fn is_quarantined(&self, key: &str) -> bool {
        self.quarantined.contains(key)
    }

    /// Remembers that there is a flag `key` of which nothing can be read.
    pub fn quarantine(&mut self, key: FlagKey) {
        if !self.by_flag.contains_key(&key) {
            self.quarantined.insert(key);
        }
    }

    /// Which flags may be answered differently than by `older`. A flag is no different for being published again unchanged; one whose
    /// experiment looks at a flag that is different is different, too.
    pub fn changes_since<'s>(&'s self, older: &'s Self) -> BTreeMap<&'s FlagKey, Change> {
        let gone = older
            .origins
            .keys()
            .filter(|key| !self.origins.contains_key(*key));
        let mut changes: BTreeMap<&FlagKey, Change> = gone.map(|key| (key, Change::Removed)).collect();
        for (key, origin) in self.origins.iter() {
            match older.origins.get(key) {
                None => drop(changes.insert(key, Change::Added)),
                Some(before) if before != origin => drop(changes.insert(key, Change::Updated)),
                Some(_) => {}
            }
        }
        // Each round finds the flags one prerequisite further away.
        loop {
            let followers: Vec<&FlagKey> = self
                .origins
                .iter()
                .filter(|(key, origin)| {
                    let mut looked_at = origin.prerequisites.iter();
                    !changes.contains_key(key) && looked_at.any(|other| changes.contains_key(other))
                })
                .map(|(key, _)| key)
                .collect();
            if followers.is_empty() {
                break;
            }
            changes.extend(followers.into_iter().map(|key| (key, Change::Updated)));
        }
        changes
    }
}

fn everyone<'s>(
    flag: &'s CompiledFlag,
    experiment: &'s CompiledExperiment,
) -> Option<(&'s VariantKey, &'s Value)> {
    let looks_at_units = !flag.by_unit.is_empty()
        || !flag.by_segment.is_empty()
        || !flag.held.is_empty()
        || !experiment.qa.is_empty()
        || !experiment.holdouts.is_empty();
    match &experiment.phase {
        Phase::Winner(choice) if !looks_at_units => Some((&choice.key, &choice.value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
