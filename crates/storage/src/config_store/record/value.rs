//! Stored forms that several kinds of resources share.

use assay_core::{
    key::{Unit, UnitKind},
    value::{Attribute, Value, ValueType},
};
use serde::{Deserialize, Serialize};

use super::Broken;

/// A stored enum without data: `SCREAMING_SNAKE` names, the same as the variants of the type in `core`.
macro_rules! names {
    ($record:ident is $core:ty { $($variant:ident),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub(super) enum $record { $($variant),+ }

        impl From<$core> for $record {
            fn from(value: $core) -> Self {
                match value { $(<$core>::$variant => Self::$variant),+ }
            }
        }

        impl From<$record> for $core {
            fn from(record: $record) -> Self {
                match record { $($record::$variant => Self::$variant),+ }
            }
        }
    };
}
pub(super) use names;

names!(ValueTypeRecord is ValueType { Boolean, String, Number, Json });

/// `{"bool":true}`, `{"string":"x"}`, `{"number":1.5}` or `{"json":…}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ValueRecord {
    Bool(bool),
    String(String),
    Number(f64),
    Json(serde_json::Value),
}

impl From<&Value> for ValueRecord {
    fn from(value: &Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::String(value) => Self::String(value.clone()),
            Value::Number(value) => Self::Number(*value),
            Value::Json(value) => Self::Json(value.clone()),
        }
    }
}

impl From<ValueRecord> for Value {
    fn from(record: ValueRecord) -> Self {
        match record {
            ValueRecord::Bool(value) => Self::Bool(value),
            ValueRecord::String(value) => Self::String(value),
            ValueRecord::Number(value) => Self::Number(value),
            ValueRecord::Json(value) => Self::Json(value),
        }
    }
}

/// `true`, `1.5` or `"x"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum AttributeRecord {
    Bool(bool),
    Number(f64),
    String(String),
}

impl From<&Attribute> for AttributeRecord {
    fn from(attribute: &Attribute) -> Self {
        match attribute {
            Attribute::Bool(value) => Self::Bool(*value),
            Attribute::Number(value) => Self::Number(*value),
            Attribute::String(value) => Self::String(value.clone()),
        }
    }
}

impl From<AttributeRecord> for Attribute {
    fn from(record: AttributeRecord) -> Self {
        match record {
            AttributeRecord::Bool(value) => Self::Bool(value),
            AttributeRecord::Number(value) => Self::Number(value),
            AttributeRecord::String(value) => Self::String(value),
        }
    }
}

/// The number that `attribute` is, if it is one.
pub(super) fn attribute_number(attribute: &Attribute) -> Option<f64> {
    match attribute {
        Attribute::Number(number) => Some(*number),
        _ => None,
    }
}

/// What is randomized.
#[derive(Serialize, Deserialize)]
pub(super) struct UnitRecord {
    kind: String,
    id: String,
}

impl From<&Unit> for UnitRecord {
    fn from(unit: &Unit) -> Self {
        Self {
            kind: unit.kind().to_string(),
            id: unit.id().to_owned(),
        }
    }
}

impl TryFrom<UnitRecord> for Unit {
    type Error = Broken;

    fn try_from(record: UnitRecord) -> Result<Self, Broken> {
        Ok(Self::new(UnitKind::new(record.kind)?, record.id)?)
    }
}
