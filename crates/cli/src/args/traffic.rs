//! Layers and holdouts written as options.

use clap::Args;

use super::resource::{Document, Fields, Texts, set};
use crate::{error::Error, view::share::Share};

/// A layer.
#[derive(Debug, Args)]
pub(crate) struct LayerFields {
    #[command(flatten)]
    texts: Texts,
    /// Kind of unit that its experiments randomize. Default: user.
    #[arg(long)]
    unit_kind: Option<String>,
    /// How long buckets rest after an experiment has ended, such as 7d.
    #[arg(long)]
    cooldown: Option<String>,
    /// The salt of its hash. Default: a random one.
    #[arg(long)]
    salt: Option<String>,
}

impl Fields for LayerFields {
    fn write(self, document: &mut Document) -> Result<(), Error> {
        self.texts.write(document);
        set(document, "unitKind", self.unit_kind);
        set(document, "cooldown", self.cooldown);
        set(document, "salt", self.salt);
        Ok(())
    }
}

/// A holdout.
#[derive(Debug, Args)]
pub(crate) struct HoldoutFields {
    #[command(flatten)]
    texts: Texts,
    /// Kind of unit that it holds. Default: user.
    #[arg(long)]
    unit_kind: Option<String>,
    /// The share of units that it holds, such as 5%.
    #[arg(long)]
    share: Option<Share>,
    /// A layer from whose experiments its units are kept. Default: all experiments of the namespace.
    #[arg(long = "layer", value_name = "KEY")]
    layer_keys: Vec<String>,
    /// The salt of its hash. Default: a random one.
    #[arg(long)]
    salt: Option<String>,
}

impl Fields for HoldoutFields {
    fn write(self, document: &mut Document) -> Result<(), Error> {
        self.texts.write(document);
        set(document, "unitKind", self.unit_kind);
        if let Some(share) = self.share {
            document.insert(
                "share".to_owned(),
                serde_json::to_value(share).map_err(Error::internal)?,
            );
        }
        if !self.layer_keys.is_empty() {
            document.insert("layerKeys".to_owned(), self.layer_keys.into());
        }
        set(document, "salt", self.salt);
        Ok(())
    }
}
