//! What a flag serves and what a unit says of itself.

use std::{collections::BTreeMap, fmt};

/// The type of a flag, fixed at its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// UTF-8 text.
    String,
    /// A finite 64-bit floating point number.
    Number,
    /// A JSON object or array.
    Json,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Number => "number",
            Self::Json => "json",
        })
    }
}

/// A value that a flag serves.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A text.
    String(String),
    /// A finite number.
    Number(f64),
    /// Any JSON object or array.
    Json(serde_json::Value),
}

impl Value {
    /// The type of this value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Bool(_) => ValueType::Boolean,
            Self::String(_) => ValueType::String,
            Self::Number(_) => ValueType::Number,
            Self::Json(_) => ValueType::Json,
        }
    }
}

/// One attribute of a unit, as targeting sees it. Numbers compare as numbers; a text is never taken for a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A boolean.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// A text.
    String(String),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Attribute {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Attribute {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

/// The attributes of a unit by name; nested profile fields have dotted names.
pub type Attributes = BTreeMap<String, Attribute>;
