//! What is wrong with a message: every violation at once, each with the path of its field, a stable rule and a remedy.

use std::fmt;

use assay_core::key::KeyError;

/// One wrong field of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, such as `variants[1].weight`.
    pub field: String,
    /// Stable name of the rule that it breaks, such as `REQUIRED`.
    pub rule: &'static str,
    /// What is wrong and what to do; reads on from the field's name.
    pub message: String,
}

impl FieldError {
    /// A wrong field.
    pub fn new(field: impl Into<String>, rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule,
            message: message.into(),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// The wrong fields of a message, in the order in which they stand there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    /// A single wrong field.
    pub fn one(field: impl Into<String>, rule: &'static str, message: impl Into<String>) -> Self {
        FieldError::new(field, rule, message).into()
    }

    /// Adds a wrong field.
    pub fn push(&mut self, field: impl Into<String>, rule: &'static str, message: impl Into<String>) {
        self.0.push(FieldError::new(field, rule, message));
    }

    /// The value of `result`; when there is none its errors are kept here.
    pub fn keep<T>(&mut self, result: Result<T, impl Into<Self>>) -> Option<T> {
        result.map_err(|errors| self.0.extend(errors.into().0)).ok()
    }

    /// `value`, unless errors were kept. A missing value must have left one.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }

    /// The same errors with their fields below `path`: `value` under `variants[1]` is `variants[1].value`.
    #[must_use]
    pub fn under(mut self, path: &str) -> Self {
        for error in &mut self.0 {
            error.field = join(path, &error.field);
        }
        self
    }
}

/// The path of `field` within `path`; either may be empty.
pub fn join(path: &str, field: &str) -> String {
    match (path, field) {
        ("", field) => field.to_owned(),
        (path, "") => path.to_owned(),
        (path, field) if field.starts_with('[') => format!("{path}{field}"),
        (path, field) => format!("{path}.{field}"),
    }
}

impl From<FieldError> for FieldErrors {
    fn from(error: FieldError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldErrors {}

impl IntoIterator for FieldErrors {
    type Item = FieldError;
    type IntoIter = std::vec::IntoIter<FieldError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The rule that a key or unit id breaks.
pub(crate) fn key_error(field: &str, error: &KeyError) -> FieldError {
    let rule = match error {
        KeyError::Empty => "KEY_REQUIRED",
        KeyError::TooLong { .. } => "KEY_TOO_LONG",
        KeyError::BadCharacter { .. } | KeyError::Control { .. } => "KEY_CHARACTER",
    };
    FieldError::new(field, rule, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_join_and_all_errors_are_told() {
        let mut errors = FieldErrors::one("value", "REQUIRED", "is missing").under("variants[1]");
        errors.push("key", "KEY_REQUIRED", "is empty");
        assert_eq!(errors.to_string(), "variants[1].value: is missing; key: is empty");
        assert_eq!(join("a", "[1]"), "a[1]");
        assert_eq!(join("", "a"), "a");
        assert_eq!(join("a", ""), "a");
    }

    #[test]
    fn nothing_is_made_of_a_message_with_an_error() {
        let mut errors = FieldErrors::default();
        assert_eq!(
            errors.keep::<u8>(Err(FieldError::new("a", "REQUIRED", "is missing"))),
            None
        );
        assert!(errors.finish(Some(1)).is_err());
        assert_eq!(FieldErrors::default().finish(Some(1)), Ok(1));
    }
}
