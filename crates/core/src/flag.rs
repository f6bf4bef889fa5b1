//! Flags: the named things that experiments change.

mod target_path;

use crate::{
    experiment::Variant,
    key::{FlagKey, HoldoutKey, Namespace, SegmentKey, Unit, VariantKey},
    time::Timestamp,
    value::{Value, ValueType},
};

pub use target_path::{MAX_TARGET_PATH_BYTES, MAX_TARGET_PATH_STEPS, TargetPath, TargetPathError};

/// What every stored resource carries besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meta {
    /// Counts the writes of this resource, from 1; what an update must name. 0 = not stored yet.
    pub version: u64,
    /// The namespace's generation that carries this version.
    pub generation: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// A named value of a flag.
#[derive(Debug, Clone, PartialEq)]
pub struct Variation {
    /// Key, unique in the flag.
    pub key: VariantKey,
    /// What people call it; may be empty.
    pub name: String,
    /// The value served.
    pub value: Value,
}

/// Serves `value` to units that match `segment`.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentOverride {
    /// The audience.
    pub segment: SegmentKey,
    /// What it gets.
    pub value: Value,
}

/// Serves `value` to one unit (allow list).
#[derive(Debug, Clone, PartialEq)]
pub struct UnitOverride {
    /// The unit.
    pub unit: Unit,
    /// What it gets.
    pub value: Value,
}

/// What the units of one holdout are still served where everyone else got a winner.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldDefault {
    /// The holdout.
    pub holdout: HoldoutKey,
    /// The default that the flag had when the first winner was declared beside that holdout.
    pub value: Value,
}

/// The named thing that an experiment changes: a placement, a lever, a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// Where it lives.
    pub namespace: Namespace,
    /// Key, unique in the namespace, fixed.
    pub key: FlagKey,
    /// What people call it; may be empty.
    pub name: String,
    /// What it changes; may be empty.
    pub description: String,
    /// Type of all its values, fixed.
    pub value_type: ValueType,
    /// Named values, at least one, keys distinct; the first is the control and equals `default_value`.
    pub variations: Vec<Variation>,
    /// What is served when nothing else applies.
    pub default_value: Value,
    /// Values by audience; the first match wins.
    pub segment_overrides: Vec<SegmentOverride>,
    /// Values by unit; beats segment overrides.
    pub unit_overrides: Vec<UnitOverride>,
    /// Defaults that units in holdouts keep; one for each holdout at most. Written by winners, forgotten with the holdout.
    pub held_defaults: Vec<HeldDefault>,
    /// Where in a response body its value belongs, when a gateway puts it there; a path never creates a field. The experiments of such
    /// a flag count a unit by default when the response was really used.
    pub target_path: Option<TargetPath>,
    /// Version and times.
    pub meta: Meta,
}

impl Flag {
    /// Keeps the present default for the units of each of `holdouts` that has none kept yet: a winner is about to replace it.
    pub fn hold_default(&mut self, holdouts: &[HoldoutKey]) {
        for holdout in holdouts {
            if !self.held_defaults.iter().any(|held| held.holdout == *holdout) {
                let (holdout, value) = (holdout.clone(), self.default_value.clone());
                self.held_defaults.push(HeldDefault { holdout, value });
            }
        }
    }

    /// Makes the value of `variant`, a winner, the default and the first variation.
    ///
    /// A variation of that value moves to the front; without one, a new one with the variant's key and name is put there, its key made
    /// unique by a number. Overrides stay as they are.
    pub fn promote(&mut self, variant: &Variant) {
        let known = self
            .variations
            .iter()
            .position(|variation| variation.value == variant.value);
        let first = match known {
            Some(position) => self.variations.remove(position),
            None => Variation {
                key: self.free_key(&variant.key),
                name: variant.name.clone(),
                value: variant.value.clone(),
            },
        };
        self.default_value = first.value.clone();
        self.variations.insert(0, first);
    }

    /// `wanted`, or the first of `<wanted>-2`, `<wanted>-3`, … that no variation has.
    fn free_key(&self, wanted: &VariantKey) -> VariantKey {
        let numbered = |n: u32| wanted.suffixed(&n.to_string());
        let mut candidates = std::iter::once(wanted.clone()).chain((2..=u32::MAX).map(numbered));
        let free = |key: &VariantKey| self.variations.iter().all(|variation| variation.key != *key);
        candidates.find(free).unwrap_or_else(|| wanted.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{flag, variant_key};

    fn promoted(value: Value) -> Flag {
        let mut flag = Flag {
            value_type: value.value_type(),
            ..flag()
        };
        flag.promote(&Variant {
            key: variant_key("on"),
            name: "On".into(),
            value,
        });
        flag
    }

    fn keys(flag: &Flag) -> Vec<&str> {
        flag.variations
            .iter()
            .map(|variation| variation.key.as_str())
            .collect()
    }

    #[test]
    fn a_known_value_moves_to_the_front() {
        let flag = promoted(Value::Bool(true));
        assert_eq!(
            (keys(&flag), &flag.default_value),
            (vec!["on", "off"], &Value::Bool(true))
        );
    }

    #[test]
    fn the_default_stays_when_it_wins() {
        assert_eq!(promoted(Value::Bool(false)), flag());
    }

    #[test]
    fn a_new_value_gets_a_key_of_its_own() {
        let mut flag = promoted(Value::Number(3.0));
        assert_eq!(
            (keys(&flag), &flag.default_value),
            (vec!["on-2", "off", "on"], &Value::Number(3.0))
        );
        flag.promote(&Variant {
            key: variant_key("on"),
            name: String::new(),
            value: Value::Number(4.0),
        });
        assert_eq!(keys(&flag), ["on-3", "on-2", "off", "on"]);
    }
}
