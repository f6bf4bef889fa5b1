use assay_core::value::{Attribute, Attributes};
use prost_types::{Struct, value::Kind};

use super::at;
use crate::field::FieldErrors;

/// Most attributes of one unit or event.
pub const MAX_ATTRIBUTES: usize = 64;
/// Longest text of an attribute, in bytes.
pub const MAX_ATTRIBUTE_TEXT_BYTES: usize = 4096;
/// Longest name of an attribute, dots included, in bytes.
pub const MAX_ATTRIBUTE_NAME_BYTES: usize = 256;
/// Deepest nesting of objects.
pub const MAX_DEPTH: usize = 8;

/// Attributes from a struct: objects are flattened to dotted names, nulls are passed over.
///
/// # Errors
/// Under `path`: lists, numbers that are not finite, names that are empty, too long or given twice, texts that are too long, more than
/// [`MAX_ATTRIBUTES`], objects deeper than [`MAX_DEPTH`].
pub fn attributes(object: impl Into<Option<Struct>>, path: &str) -> Result<Attributes, FieldErrors> {
    let mut reading = Reading {
        path,
        found: Attributes::new(),
        errors: FieldErrors::default(),
    };
    if let Some(object) = object.into() {
        reading.object(object, "", 1);
    }
    if reading.found.len() > MAX_ATTRIBUTES {
        let message = format!(
            "has {} entries; give at most {MAX_ATTRIBUTES}",
            reading.found.len()
        );
        reading.errors.push(path, "TOO_MANY_ATTRIBUTES", message);
    }
    reading.errors.finish(Some(reading.found))
}

struct Reading<'p> {
    path: &'p str,
    found: Attributes,
    errors: FieldErrors,
}

impl Reading<'_> {
    fn object(&mut self, object: Struct, prefix: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return self.refuse(
                prefix,
                "TOO_DEEP",
                format!("is nested deeper than {MAX_DEPTH}; flatten it"),
            );
        }
        for (name, value) in object.fields {
            let too_long =
                prefix.len() + 1 + name.len() > MAX_ATTRIBUTE_NAME_BYTES + usize::from(prefix.is_empty());
            if name.is_empty() || too_long {
                let shown = name.chars().take(32).collect::<String>();
                let message = format!(
                    "has a name of {} bytes; give 1 to {MAX_ATTRIBUTE_NAME_BYTES} in all",
                    name.len()
                );
                self.refuse(&at(prefix, &shown), "ATTRIBUTE_NAME", message);
                continue;
            }
            self.value(value.kind, &at(prefix, &name), depth);
        }
    }

    fn value(&mut self, kind: Option<Kind>, name: &str, depth: usize) {
        match kind {
            None | Some(Kind::NullValue(_)) => {}
            Some(Kind::BoolValue(flag)) => self.insert(name, Attribute::Bool(flag)),
            Some(Kind::NumberValue(number)) if number.is_finite() => {
                self.insert(name, Attribute::Number(number))
            }
            Some(Kind::NumberValue(_)) => {
                self.refuse(name, "NOT_FINITE", "is NaN or infinite; give a finite number")
            }
            Some(Kind::StringValue(text)) if text.len() <= MAX_ATTRIBUTE_TEXT_BYTES => {
                self.insert(name, Attribute::String(text));
            }
            Some(Kind::StringValue(text)) => {
                let message = format!(
                    "has {} bytes; give at most {MAX_ATTRIBUTE_TEXT_BYTES}",
                    text.len()
                );
                self.refuse(name, "TEXT_TOO_LONG", message);
            }
            Some(Kind::StructValue(object)) => self.object(object, name, depth + 1),
            Some(Kind::ListValue(_)) => {
                self.refuse(
                    name,
                    "LIST",
                    "is a list; give a boolean, a finite number, a text or an object of such",
                );
            }
        }
    }

    fn insert(&mut self, name: &str, attribute: Attribute) {
        if self.found.insert(name.to_owned(), attribute).is_some() {
            self.refuse(
                name,
                "DUPLICATE",
                "is given twice, nested and with a dotted name; give it once",
            );
        }
    }

    fn refuse(&mut self, name: &str, rule: &'static str, message: impl Into<String>) {
        self.errors.push(at(self.path, name), rule, message);
    }
}

/// The struct of attributes, flat: dotted names stay dotted.
pub fn attributes_to_struct(attributes: &Attributes) -> Struct {
    let fields = attributes
        .iter()
        .map(|(name, attribute)| (name.clone(), attribute_to(attribute)));
    Struct {
        fields: fields.collect(),
    }
}

/// The message of one attribute.
pub(crate) fn attribute_to(attribute: &Attribute) -> prost_types::Value {
    let kind = match attribute {
        Attribute::Bool(flag) => Kind::BoolValue(*flag),
        Attribute::Number(number) => Kind::NumberValue(*number),
        Attribute::String(text) => Kind::StringValue(text.clone()),
    };
    prost_types::Value { kind: Some(kind) }
}

/// One attribute that must be there.
pub(crate) fn attribute_from(value: prost_types::Value, field: &str) -> Result<Attribute, FieldErrors> {
    match value.kind {
        Some(Kind::BoolValue(flag)) => Ok(Attribute::Bool(flag)),
        Some(Kind::StringValue(text)) => Ok(Attribute::String(text)),
        Some(Kind::NumberValue(number)) if number.is_finite() => Ok(Attribute::Number(number)),
        Some(Kind::NumberValue(_)) => Err(FieldErrors::one(
            field,
            "NOT_FINITE",
            "is NaN or infinite; give a finite number",
        )),
        None | Some(Kind::NullValue(_) | Kind::StructValue(_) | Kind::ListValue(_)) => Err(FieldErrors::one(
            field,
            "SCALAR",
            "is no scalar; give a boolean, a finite number or a text",
        )),
    }
}
