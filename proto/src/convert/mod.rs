//! Conversions between messages and core types.
//!
//! To core: `TryFrom`, or `…_from(message, field)` where a part needs the path of its field; all violations are told at once.
//! From core: `From<&…>`, or a function named after the type. What a core type cannot hold is refused here; the rules that it can
//! break are `assay_core::validate`.

mod answer;
mod attributes;
mod experiment;
mod explain;
mod flag;
mod holdout;
mod layer;
mod metric;
mod names;
mod segment;
mod time;
mod value;

#[cfg(test)]
mod tests;

pub use answer::{assignment, finding};
pub use attributes::{
    MAX_ATTRIBUTE_NAME_BYTES, MAX_ATTRIBUTE_TEXT_BYTES, MAX_ATTRIBUTES, MAX_DEPTH, attributes,
    attributes_to_struct,
};
pub use experiment::{experiment_from, lifecycle_action};
pub use explain::explained;
pub use names::{key_from, namespace_from, optional_unit_from, unit, unit_from, unit_kind_from};
pub use segment::tested_condition;
pub use time::{duration, duration_from, optional_timestamp_from, timestamp, timestamp_from};
pub use value::{json_from, json_to, value_from, value_to};

use crate::field::{FieldErrors, join};

/// Converts each of `items`, with the errors of the i-th below `field[i]`.
pub(crate) fn each<A, B>(
    items: Vec<A>,
    field: &str,
    convert: impl Fn(A) -> Result<B, FieldErrors>,
) -> Result<Vec<B>, FieldErrors> {
    let mut errors = FieldErrors::default();
    let mut converted = Vec::with_capacity(items.len());
    for (i, item) in items.into_iter().enumerate() {
        converted.extend(errors.keep(convert(item).map_err(|e| e.under(&format!("{field}[{i}]")))));
    }
    errors.finish(Some(converted))
}

/// The value of an enum field, or what is wrong with its number.
pub(crate) fn enum_from<E: TryFrom<i32>>(number: i32, field: &str) -> Result<E, FieldErrors> {
    E::try_from(number).map_err(|_| {
        FieldErrors::one(
            field,
            "UNKNOWN_VALUE",
            format!("is {number}, which this version does not know; use a listed value"),
        )
    })
}

/// A required message field.
pub(crate) fn required<T>(part: Option<T>, field: &str) -> Result<T, FieldErrors> {
    part.ok_or_else(|| FieldErrors::one(field, "REQUIRED", "is missing; give a value"))
}

/// What every stored resource carries, as it stands in a message.
pub(crate) fn meta_from(
    version: u64,
    generation: u64,
    created_at: Option<prost_types::Timestamp>,
    updated_at: Option<prost_types::Timestamp>,
) -> Result<assay_core::flag::Meta, FieldErrors> {
    let mut errors = FieldErrors::default();
    let created_at = errors.keep(optional_timestamp_from(created_at, "created_at"));
    let updated_at = errors.keep(optional_timestamp_from(updated_at, "updated_at"));
    let made = || {
        Some(assay_core::flag::Meta {
            version,
            generation,
            created_at: created_at?.unwrap_or_default(),
            updated_at: updated_at?.unwrap_or_default(),
        })
    };
    let meta = made();
    errors.finish(meta)
}

/// A time of a [`assay_core::flag::Meta`]: absent until there is one.
pub(crate) fn meta_time(time: assay_core::time::Timestamp) -> Option<prost_types::Timestamp> {
    (time != assay_core::time::Timestamp::default()).then(|| timestamp(time))
}

/// The path of `field` under `path`, for functions that are given both.
pub(crate) fn at(path: &str, field: &str) -> String {
    join(path, field)
}
