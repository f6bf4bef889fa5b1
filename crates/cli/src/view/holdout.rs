//! Holdouts in files and answers.

use assay_proto::config::v1 as pb;
use serde::{Deserialize, Serialize};

use super::{View, day, is_zero, share::Share, text};
use crate::{error::Error, output::number};

/// A holdout.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Holdout {
    pub(crate) namespace: String,
    pub(crate) key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) unit_kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<Share>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) salt: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) layer_keys: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) version: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) updated_at: String,
}

impl View for Holdout {
    type Message = pb::Holdout;

    const COLUMNS: &'static [&'static str] = &["key", "unit", "share", "scope", "version", "updated"];

    fn of(holdout: pb::Holdout) -> Self {
        Self {
            namespace: holdout.namespace,
            key: holdout.key,
            name: holdout.name,
            description: holdout.description,
            unit_kind: holdout.unit_kind,
            share: Some(Share(holdout.share)),
            salt: holdout.salt,
            layer_keys: holdout.layer_keys,
            version: holdout.version,
            generation: holdout.generation,
            created_at: text::time(holdout.created_at),
            updated_at: text::time(holdout.updated_at),
        }
    }

    fn message(self) -> Result<pb::Holdout, Error> {
        Ok(pb::Holdout {
            namespace: self.namespace,
            key: self.key,
            name: self.name,
            description: self.description,
            unit_kind: self.unit_kind,
            share: self.share.map_or(0, |share| share.0),
            salt: self.salt,
            layer_keys: self.layer_keys,
            version: self.version,
            ..pb::Holdout::default()
        })
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            self.unit_kind.clone(),
            self.held(),
            self.scope(),
            self.version.to_string(),
            day(&self.updated_at),
        ]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("holdout", format!("{}/{}", self.namespace, self.key)),
            ("name", self.name.clone()),
            ("description", self.description.clone()),
            ("unit", self.unit_kind.clone()),
            ("share", self.held()),
            ("scope", self.scope()),
            ("salt", self.salt.clone()),
            (
                "version",
                format!("{} (generation {})", self.version, self.generation),
            ),
            ("created", self.created_at.clone()),
            ("updated", self.updated_at.clone()),
        ]
    }
}

impl Holdout {
    fn held(&self) -> String {
        self.share.map(|share| number::share(share.0)).unwrap_or_default()
    }

    /// What it keeps its units out of, in words.
    fn scope(&self) -> String {
        match self.layer_keys.as_slice() {
            [] => "namespace".to_owned(),
            layers => format!("layers {}", layers.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_a_file_becomes_the_message() {
        let view: Holdout = serde_yaml_ng::from_str("{key: h1, share: 5%, layerKeys: [checkout]}").unwrap();
        assert_eq!(
            (view.held().as_str(), view.scope().as_str()),
            ("5%", "layers checkout")
        );
        let message = view.message().unwrap();
        assert_eq!(
            (message.share, message.layer_keys.as_slice()),
            (500, &["checkout".to_owned()][..])
        );
    }
}
