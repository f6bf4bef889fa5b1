//! The stored forms of what the clock does, and of what Undo brings back.

use assay_core::{
    flag::{HeldDefault, Variation},
    schedule::EndAction,
    time::Timestamp,
    undo::{FlagBefore, Undo},
};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Broken,
        flag::{HeldDefaultRecord, VariationRecord},
        value::{ValueRecord, names},
    },
    parts::StateRecord,
};

names!(EndActionRecord is EndAction { Complete, HoldEnrollment, NotifyOnly });

/// Of documents from before there was a choice.
impl Default for EndActionRecord {
    fn default() -> Self {
        EndAction::default().into()
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct UndoRecord {
    before: StateRecord,
    until_us: i64,
    flag: Option<FlagBeforeRecord>,
}

#[derive(Serialize, Deserialize)]
struct FlagBeforeRecord {
    variations: Vec<VariationRecord>,
    default_value: ValueRecord,
    #[serde(default)]
    held_defaults: Vec<HeldDefaultRecord>,
}

impl From<&Undo> for UndoRecord {
    fn from(undo: &Undo) -> Self {
        Self {
            before: (&undo.before).into(),
            until_us: undo.until.micros(),
            flag: undo.flag.as_ref().map(|flag| FlagBeforeRecord {
                variations: flag.variations.iter().map(VariationRecord::from).collect(),
                default_value: (&flag.default_value).into(),
                held_defaults: flag.held_defaults.iter().map(HeldDefaultRecord::from).collect(),
            }),
        }
    }
}

impl TryFrom<UndoRecord> for Undo {
    type Error = Broken;

    fn try_from(record: UndoRecord) -> Result<Self, Broken> {
        let flag = record.flag.map(|flag| {
            let variations = flag.variations.into_iter().map(Variation::try_from);
            Ok::<_, Broken>(FlagBefore {
                variations: variations.collect::<Result<_, _>>()?,
                default_value: flag.default_value.into(),
                held_defaults: flag
                    .held_defaults
                    .into_iter()
                    .map(HeldDefault::try_from)
                    .collect::<Result<_, _>>()?,
            })
        });
        Ok(Self {
            before: record.before.try_into()?,
            until: Timestamp::from_micros(record.until_us),
            flag: flag.transpose()?,
        })
    }
}
