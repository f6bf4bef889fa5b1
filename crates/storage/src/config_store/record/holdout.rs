//! The stored form of a holdout.

use assay_core::{
    holdout::{Holdout, Scope},
    key::{HoldoutKey, LayerKey, UnitKind},
    weights::Coverage,
};
use serde::{Deserialize, Serialize};

use super::{Broken, Identity};

/// The share is in ten-thousandths.
#[derive(Serialize, Deserialize)]
pub(super) struct HoldoutRecord {
    name: String,
    description: String,
    unit_kind: String,
    share: u32,
    salt: String,
    /// Absent for a holdout of the whole namespace.
    layers: Option<Vec<String>>,
}

impl From<&Holdout> for HoldoutRecord {
    fn from(holdout: &Holdout) -> Self {
        Self {
            name: holdout.name.clone(),
            description: holdout.description.clone(),
            unit_kind: holdout.unit_kind.to_string(),
            share: holdout.share.share(),
            salt: holdout.salt.clone(),
            layers: match &holdout.scope {
                Scope::Namespace => None,
                Scope::Layers(layers) => Some(layers.iter().map(ToString::to_string).collect()),
            },
        }
    }
}

impl HoldoutRecord {
    pub(super) fn holdout(self, identity: Identity) -> Result<Holdout, Broken> {
        let scope = match self.layers {
            None => Scope::Namespace,
            Some(layers) => {
                let layers = layers.into_iter().map(LayerKey::new);
                Scope::Layers(layers.collect::<Result<_, _>>()?)
            }
        };
        Ok(Holdout {
            namespace: identity.namespace,
            key: HoldoutKey::new(identity.key)?,
            name: self.name,
            description: self.description,
            unit_kind: UnitKind::new(self.unit_kind)?,
            share: Coverage::new(self.share)?,
            salt: self.salt,
            scope,
            meta: identity.meta,
        })
    }
}
