use assay_core::{
    holdout::{Holdout, Scope},
    key::{HoldoutKey, LayerKey},
    weights::Coverage,
};

use super::{each, key_from, meta_from, meta_time, namespace_from, unit_kind_from};
use crate::{config::v1 as pb, field::FieldErrors};

impl TryFrom<pb::Holdout> for Holdout {
    type Error = FieldErrors;

    /// Without layers it is one of the whole namespace.
    fn try_from(holdout: pb::Holdout) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(holdout.namespace, "namespace"));
        let key = errors.keep(key_from(holdout.key, "key", HoldoutKey::new));
        let unit_kind = errors.keep(unit_kind_from(holdout.unit_kind, "unit_kind"));
        let share = Coverage::new(holdout.share).map_err(|_| {
            FieldErrors::one("share", "SHARE_RANGE", "is above 100 %; give a share such as 5 %")
        });
        let share = errors.keep(share);
        let layers = errors.keep(each(holdout.layer_keys, "layer_keys", |key| {
            key_from(key, "", LayerKey::new)
        }));
        let meta = errors.keep(meta_from(
            holdout.version,
            holdout.generation,
            holdout.created_at,
            holdout.updated_at,
        ));
        let made = || {
            Some(Self {
                namespace: namespace?,
                key: key?,
                name: holdout.name,
                description: holdout.description,
                unit_kind: unit_kind?,
                share: share?,
                salt: holdout.salt,
                scope: layers.map(|layers| match layers.is_empty() {
                    true => Scope::Namespace,
                    false => Scope::Layers(layers),
                })?,
                meta: meta?,
            })
        };
        let made = made();
        errors.finish(made)
    }
}

impl From<&Holdout> for pb::Holdout {
    fn from(holdout: &Holdout) -> Self {
        let layers = match &holdout.scope {
            Scope::Namespace => &[][..],
            Scope::Layers(layers) => layers,
        };
        Self {
            namespace: holdout.namespace.to_string(),
            key: holdout.key.to_string(),
            name: holdout.name.clone(),
            description: holdout.description.clone(),
            unit_kind: holdout.unit_kind.to_string(),
            share: holdout.share.share(),
            salt: holdout.salt.clone(),
            layer_keys: layers.iter().map(ToString::to_string).collect(),
            version: holdout.meta.version,
            generation: holdout.meta.generation,
            created_at: meta_time(holdout.meta.created_at),
            updated_at: meta_time(holdout.meta.updated_at),
        }
    }
}
