//! What callers see when something fails, and what we log about it.
//!
//! Each service turns its own error enum into a [`Failure`] in one `match`; the conversion to [`tonic::Status`] is the
//! only edge at which internals are logged, and the only one that sends anything to callers.

mod code;
mod wire;

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

pub use code::Code;
pub(crate) use code::name as code_name;
pub use wire::DOMAIN;
pub(crate) use wire::UNKNOWN_METHOD;

/// Any error, as the source of a [`Failure`].
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A failed request: a code for machines, a stable reason for programs, a sentence for people.
///
/// The parts are read as fields (`failure.reason`); they are boxed so that a `Result` stays small.
#[derive(Debug)]
pub struct Failure(Box<Parts>);

/// The parts of a [`Failure`].
#[derive(Debug)]
pub struct Parts {
    /// What kind of failure this is; decides whether a caller may try again.
    pub code: Code,
    /// A stable `SCREAMING_SNAKE` word, unique within Assay, on which programs may branch.
    pub reason: Cow<'static, str>,
    /// One sentence for people. For [`Code::Internal`] it is logged and never sent.
    pub message: String,
    /// Facts that belong to the reason, such as the id that was not found.
    pub metadata: Vec<(String, String)>,
    /// The fields of the request that are wrong.
    pub violations: Vec<FieldViolation>,
    /// When trying again may help, if known.
    pub retry_after: Option<Duration>,
    /// What caused it; logged, never sent.
    pub source: Option<BoxError>,
}

/// One wrong field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field in the request, such as `experiment.variants[1].weight`.
    pub field: String,
    /// A stable `SCREAMING_SNAKE` word for the rule that was broken.
    pub reason: String,
    /// One sentence for people.
    pub description: String,
}

impl Failure {
    /// A failure with a stable `reason` and a sentence for people.
    pub fn new(code: Code, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            reason: reason.into(),
            message: message.into(),
            metadata: Vec::new(),
            violations: Vec::new(),
            retry_after: None,
            source: None,
        }))
    }

    /// A failure that is our fault. Callers see "internal error"; `error` and its sources are logged.
    pub fn internal(error: impl Into<BoxError>) -> Self {
        let error = error.into();
        Self::new(Code::Internal, "INTERNAL", error.to_string()).with_source(error)
    }

    /// A request with wrong fields; the message counts them and names the first.
    #[must_use]
    pub fn invalid(violations: Vec<FieldViolation>) -> Self {
        let message = match violations.as_slice() {
            [] => "the request is invalid".to_owned(),
            [one] => format!("`{}` {}", one.field, one.description),
            [one, rest @ ..] => {
                format!("`{}` {} (and {} more)", one.field, one.description, rest.len())
            }
        };
        let mut failure = Self::new(Code::InvalidArgument, "INVALID_ARGUMENT", message);
        failure.violations = violations;
        failure
    }

    /// Something asked for does not exist, or not for this caller.
    pub fn not_found(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, reason, message)
    }

    /// Something needed is away; trying again after `retry_after` may help.
    pub fn unavailable(
        reason: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        retry_after: Duration,
    ) -> Self {
        Self::new(Code::Unavailable, reason, message).with_retry_after(retry_after)
    }

    /// Adds a fact that belongs to the reason.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Adds a wrong field.
    #[must_use]
    pub fn with_violation(mut self, violation: FieldViolation) -> Self {
        self.violations.push(violation);
        self
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Keeps the cause, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl FieldViolation {
    /// A wrong field: where it is, which rule it breaks, and a sentence that continues the field's name.
    pub fn new(field: impl Into<String>, reason: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
            description: description.into(),
        }
    }
}

impl Deref for Failure {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The message of `error` and of all its sources, joined by ": "; a source that only repeats the message before it
/// is left out.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let message = source.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests;
