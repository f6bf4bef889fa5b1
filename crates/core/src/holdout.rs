//! Holdouts: units kept out of all experiments of a scope, to measure what these did in sum.
//!
//! An experiment pins the holdouts of its scope when it starts: one that is made later takes nobody out of what runs. A held-out unit gets
//! the flag's default, and keeps the *old* one when a winner becomes the default (see [`crate::flag::HeldDefault`]), until the holdout is
//! deleted.

use crate::{
    bucketing::{Domain, Seed},
    experiment::{AssignmentSource, Experiment},
    flag::Meta,
    key::{HoldoutKey, LayerKey, Namespace, Unit, UnitKind},
    weights::Coverage,
};

/// Which experiments a holdout keeps its units out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of the namespace.
    Namespace,
    /// Those of these layers; at least one.
    Layers(Vec<LayerKey>),
}

/// Units kept out of all experiments of a scope.
#[derive(Debug, Clone, PartialEq)]
pub struct Holdout {
    /// Where it lives.
    pub namespace: Namespace,
    /// Key, unique in the namespace, fixed.
    pub key: HoldoutKey,
    /// What people call it; may be empty.
    pub name: String,
    /// What it is to measure; may be empty.
    pub description: String,
    /// What kind of units it holds; experiments on other kinds do not know it.
    pub unit_kind: UnitKind,
    /// The share of units that it holds.
    pub share: Coverage,
    /// Makes its choice of units independent of all other hashes.
    pub salt: String,
    /// Which experiments it keeps them out of.
    pub scope: Scope,
    /// Version and times.
    pub meta: Meta,
}

impl Holdout {
    /// Whether `experiment` is to leave its units alone.
    pub fn covers(&self, experiment: &Experiment) -> bool {
        let in_scope = match &self.scope {
            Scope::Namespace => true,
            Scope::Layers(layers) => {
                let layer = experiment.traffic.layer.as_ref();
                layer.is_some_and(|layer| layers.contains(&layer.key))
            }
        };
        in_scope && experiment.unit_kind == self.unit_kind && experiment.source == AssignmentSource::Assay
    }

    /// Compiled, to be asked many times.
    pub fn compile(&self) -> Held {
        Held {
            key: self.key.clone(),
            unit_kind: self.unit_kind.clone(),
            seed: Seed::new(Domain::Holdout, &self.salt),
            below: self.share.buckets(),
        }
    }
}

/// A compiled [`Holdout`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    key: HoldoutKey,
    unit_kind: UnitKind,
    seed: Seed,
    below: u32,
}

impl Held {
    /// The key of the holdout.
    pub fn key(&self) -> &HoldoutKey {
        &self.key
    }

    /// The bucket of `unit`, and the first one that it does not hold; nothing for a unit of another kind.
    pub fn bucket(&self, unit: &Unit) -> Option<(u32, u32)> {
        (*unit.kind() == self.unit_kind).then(|| (self.seed.bucket(unit.id()), self.below))
    }

    /// Whether it holds `unit`. Does not allocate.
    pub fn holds(&self, unit: &Unit) -> bool {
        self.bucket(unit).is_some_and(|(bucket, below)| bucket < below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{experiment, holdout, user},
        traffic::InLayer,
    };

    #[test]
    fn the_scope_is_the_namespace_or_some_layers() {
        let layer = |key: &str| LayerKey::new(key).unwrap();
        let layered = Holdout {
            scope: Scope::Layers(vec![layer("checkout")]),
            ..holdout("h")
        };
        let mut in_layer = experiment();
        assert!(holdout("h").covers(&in_layer));
        assert!(!layered.covers(&in_layer));
        in_layer.traffic.layer = Some(InLayer::new(layer("checkout")));
        assert!(layered.covers(&in_layer));
        in_layer.traffic.layer = Some(InLayer::new(layer("search")));
        assert!(!layered.covers(&in_layer));
    }

    #[test]
    fn other_units_and_what_is_imported_are_not_its_business() {
        let of = |change: fn(&mut Experiment)| {
            let mut changed = experiment();
            change(&mut changed);
            holdout("h").covers(&changed)
        };
        assert!(!of(|e| e.unit_kind = UnitKind::new("device").unwrap()));
        assert!(!of(|e| e.source = AssignmentSource::Imported));
        let all = Holdout {
            share: Coverage::FULL,
            ..holdout("h")
        }
        .compile();
        assert!(all.holds(&user("1")));
        assert!(!all.holds(&Unit::new(UnitKind::new("device").unwrap(), "1").unwrap()));
    }

    #[test]
    fn it_holds_its_share() {
        let held = Holdout {
            share: Coverage::new(1_000).unwrap(),
            ..holdout("h")
        }
        .compile();
        let n = (0..20_000)
            .filter(|id| held.holds(&user(&format!("user-{id}"))))
            .count();
        // 2,000 ± 5 σ.
        assert!((1_788..=2_212).contains(&n), "{n}");
    }
}
