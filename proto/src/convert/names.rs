use assay_core::key::{KeyError, Namespace, Unit, UnitKind};

use super::{at, required};
use crate::{
    common::v1 as pb,
    field::{FieldErrors, key_error},
};

/// The key `text`, by its constructor such as `FlagKey::new`.
///
/// # Errors
/// What is wrong with it, under `field`.
pub fn key_from<K>(
    text: impl Into<String>,
    field: &str,
    new: impl FnOnce(String) -> Result<K, KeyError>,
) -> Result<K, FieldErrors> {
    new(text.into()).map_err(|error| key_error(field, &error).into())
}

/// The namespace `text`; the empty text is `default`.
///
/// # Errors
/// What is wrong with it, under `field`.
pub fn namespace_from(text: impl Into<String>, field: &str) -> Result<Namespace, FieldErrors> {
    let text = text.into();
    if text.is_empty() {
        Ok(Namespace::default())
    } else {
        key_from(text, field, Namespace::new)
    }
}

/// The kind of unit `text`; the empty text is `user`.
///
/// # Errors
/// What is wrong with it, under `field`.
pub fn unit_kind_from(text: impl Into<String>, field: &str) -> Result<UnitKind, FieldErrors> {
    let text = text.into();
    if text.is_empty() {
        Ok(UnitKind::default())
    } else {
        key_from(text, field, UnitKind::new)
    }
}

/// A unit that must be there.
///
/// # Errors
/// What is wrong with it, under `field`.
pub fn unit_from(unit: Option<pb::Unit>, field: &str) -> Result<Unit, FieldErrors> {
    let unit = required(unit, field)?;
    let mut errors = FieldErrors::default();
    let kind = errors.keep(unit_kind_from(unit.kind, &at(field, "kind")));
    let made = Unit::new(kind.unwrap_or_default(), unit.id);
    let made = errors.keep(made.map_err(|error| key_error(&at(field, "id"), &error)));
    errors.finish(made)
}

/// A unit that need not be there: none when the message or its id is empty, for the empty text identifies nobody.
///
/// # Errors
/// What is wrong with it, under `field`.
pub fn optional_unit_from(unit: Option<pb::Unit>, field: &str) -> Result<Option<Unit>, FieldErrors> {
    match unit {
        Some(unit) if !unit.id.is_empty() => unit_from(Some(unit), field).map(Some),
        _ => Ok(None),
    }
}

/// The message of a unit.
pub fn unit(unit: &Unit) -> pb::Unit {
    pb::Unit {
        kind: unit.kind().to_string(),
        id: unit.id().to_owned(),
    }
}

impl From<&Unit> for pb::Unit {
    fn from(core: &Unit) -> Self {
        unit(core)
    }
}
