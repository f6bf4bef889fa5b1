use assay_core::value::{Value, ValueType};
use prost_types::{ListValue, Struct, value::Kind};
use serde_json::Number;

use super::required;
use crate::{config::v1::FlagType, field::FieldErrors};

/// Integers up to this magnitude are exact as numbers of a message.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A value that must be there: a boolean, a text, a finite number, or a JSON object or array.
///
/// Within JSON a whole number up to 2⁵³ becomes an integer, so that a value that is read is equal to the one that was written.
///
/// # Errors
/// Absent, null, or a number that is not finite.
pub fn value_from(value: Option<prost_types::Value>, field: &str) -> Result<Value, FieldErrors> {
    match required(value.and_then(|value| value.kind), field)? {
        Kind::NullValue(_) => Err(FieldErrors::one(field, "REQUIRED", "is null; give a value")),
        Kind::BoolValue(flag) => Ok(Value::Bool(flag)),
        Kind::StringValue(text) => Ok(Value::String(text)),
        Kind::NumberValue(number) if number.is_finite() => Ok(Value::Number(number)),
        json @ (Kind::NumberValue(_) | Kind::StructValue(_) | Kind::ListValue(_)) => {
            json_kind(json, field).map(Value::Json)
        }
    }
}

/// Any JSON, null too: an absent value is null.
///
/// # Errors
/// Numbers that are not finite.
pub fn json_from(value: Option<prost_types::Value>, field: &str) -> Result<serde_json::Value, FieldErrors> {
    value.map_or(Ok(serde_json::Value::Null), |value| json_part(value, field))
}

fn json_kind(kind: Kind, field: &str) -> Result<serde_json::Value, FieldErrors> {
    Ok(match kind {
        Kind::NullValue(_) => serde_json::Value::Null,
        Kind::BoolValue(flag) => flag.into(),
        Kind::StringValue(text) => text.into(),
        Kind::NumberValue(number) => {
            let not_finite = || {
                FieldErrors::one(
                    field,
                    "NOT_FINITE",
                    "holds NaN or an infinity; give finite numbers",
                )
            };
            number_from(number).ok_or_else(not_finite)?.into()
        }
        Kind::ListValue(list) => {
            let items = list.values.into_iter().map(|item| json_part(item, field));
            items.collect::<Result<Vec<_>, _>>()?.into()
        }
        Kind::StructValue(object) => {
            let fields = object
                .fields
                .into_iter()
                .map(|(name, item)| Ok((name, json_part(item, field)?)));
            serde_json::Value::Object(fields.collect::<Result<_, FieldErrors>>()?)
        }
    })
}

fn json_part(value: prost_types::Value, field: &str) -> Result<serde_json::Value, FieldErrors> {
    value
        .kind
        .map_or(Ok(serde_json::Value::Null), |kind| json_kind(kind, field))
}

fn number_from(number: f64) -> Option<Number> {
    let is_integer =
        number.fract() == 0.0 && number.abs() <= MAX_EXACT && (number != 0.0 || number.is_sign_positive());
    #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^53")]
    if is_integer {
        Some((number as i64).into())
    } else {
        Number::from_f64(number)
    }
}

/// The message of a value.
pub fn value_to(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Number(number) => Kind::NumberValue(*number),
        Value::Json(json) => return json_to(json),
    };
    prost_types::Value { kind: Some(kind) }
}

/// The message of any JSON.
pub fn json_to(json: &serde_json::Value) -> prost_types::Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(flag) => Kind::BoolValue(*flag),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(json_to).collect(),
        }),
        serde_json::Value::Object(fields) => {
            let fields = fields.iter().map(|(name, item)| (name.clone(), json_to(item)));
            Kind::StructValue(Struct {
                fields: fields.collect(),
            })
        }
    };
    prost_types::Value { kind: Some(kind) }
}

impl From<ValueType> for FlagType {
    fn from(value_type: ValueType) -> Self {
        match value_type {
            ValueType::Boolean => Self::Boolean,
            ValueType::String => Self::String,
            ValueType::Number => Self::Number,
            ValueType::Json => Self::Json,
        }
    }
}

/// The type that a flag says it has; none when it does not say.
pub(crate) fn value_type(flag_type: FlagType) -> Option<ValueType> {
    match flag_type {
        FlagType::Unspecified => None,
        FlagType::Boolean => Some(ValueType::Boolean),
        FlagType::String => Some(ValueType::String),
        FlagType::Number => Some(ValueType::Number),
        FlagType::Json => Some(ValueType::Json),
    }
}
