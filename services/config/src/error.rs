//! Why a request is refused, and what callers see of it.

use std::{collections::BTreeSet, time::Duration};

use assay_core::{
    layer::LayerFull,
    lifecycle::{Action, InvalidTransition},
    record::Sighting,
    time::Timestamp,
    validate::{MAX_TEXT_BYTES, Violation},
    winner::NoSignal,
};
use assay_platform::error::{Code, Failure, FieldViolation, chain};
use assay_proto::field::{FieldError, FieldErrors};
use assay_storage::Error as StoreError;
use tonic::Status;

/// Why a request is refused. Things are named as in the audit trail: `experiment/cookie-cats`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Fields of the request are wrong, whatever is stored.
    #[error("{}", summary(.0))]
    Invalid(FieldErrors),
    #[error("{what} does not exist; check its key and the namespace")]
    NotFound { what: String },
    #[error("{what} exists already; choose another key or update it")]
    AlreadyExists { what: String },
    #[error(
        "{what} has been changed meanwhile: version {expected} was named, {found} is stored; read it again"
    )]
    VersionMismatch { what: String, expected: u64, found: u64 },
    #[error("namespace {namespace} was changed again and again while this was decided; try again")]
    Moved { namespace: String },
    #[error("{what}: {source}")]
    InvalidTransition { what: String, source: InvalidTransition },
    #[error("{what} cannot start: {}", summary(.violations))]
    ValidationFailed { what: String, violations: FieldErrors },
    #[error("{what} is locked in its state: {}", summary(.violations))]
    ConfigLocked { what: String, violations: FieldErrors },
    #[error("{what} is in use by {}; {remedy}", some(.by))]
    InUse {
        what: String,
        by: Vec<String>,
        remedy: &'static str,
    },
    #[error(
        "experiment/{experiment} is live on this flag for segment/{segment}, so no override for that segment can be \
         added; wait until it has completed, or use unit overrides"
    )]
    OverrideConflict { segment: String, experiment: String },
    #[error(transparent)]
    LayerFull(LayerFull),
    #[error("{flag} is bound by {by}; complete that one, or choose another flag")]
    FlagBound { flag: String, by: String },
    #[error(
        "there is no winner signal for {what}: {source}; set `force` to declare the winner on the strength of your reason"
    )]
    NoWinnerSignal { what: String, source: NoSignal },
    #[error("{what} is still asked for: {}; ask them to stop, or set `force`, and they get the flag's default", asked(.callers))]
    CallersSeen { what: String, callers: Vec<Sighting> },
    #[error("nobody knows who asks for {what}, because analysis did not answer; try again, or set `force`")]
    CallersUnknown { what: String },
    #[error("{wanted} needs stored assignments, which {what} does not have; {remedy}")]
    NeedsStored {
        what: String,
        wanted: &'static str,
        remedy: &'static str,
        allowed: Vec<Action>,
    },
    #[error("another cohort of {what} is opening; wait until it is open, then add the next")]
    CohortOpening { what: String, allowed: Vec<Action> },
    #[error(
        "{what} can be undone within 60 s of Stop or DeclareWinner only{}; to run it again, Duplicate",
        expired(*.until)
    )]
    UndoExpired {
        what: String,
        until: Option<Timestamp>,
        allowed: Vec<Action>,
    },
    #[error(
        "the variations or the default of {flag} were changed after the winner of {what} was declared, and Undo would lose that; set the \
         default yourself"
    )]
    FlagChanged { what: String, flag: String },
    #[error(
        "{flag} has got an override for segment/{segment} meanwhile, which would hide all variants of {experiment}; remove the override, \
         then Undo"
    )]
    OverrideInTheWay {
        experiment: String,
        flag: String,
        segment: String,
    },
    #[error(
        "a request under the same idempotency key is being made; wait for its answer, or send this one again"
    )]
    InProgress,
    /// Each of these resources stands in the way.
    #[error("generation {generation} cannot be restored: {}", summary(.obstacles))]
    CannotRollBack { generation: u64, obstacles: FieldErrors },
    /// Each of these stands in the way.
    #[error("nothing is imported: {}", summary(.0))]
    CannotImport(FieldErrors),
    /// The caller may not.
    #[error(transparent)]
    Access(#[from] Failure),
    /// The store could not do it.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

impl Error {
    /// One wrong field: its path, the rule, and what is wrong and what to do, which reads on from the field's name.
    pub(crate) fn field(field: impl Into<String>, rule: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(FieldErrors::one(field, rule, message))
    }
}

impl From<FieldErrors> for Error {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

/// What core has found, as wrong fields; nothing when it has found nothing.
pub(crate) fn fields(violations: Vec<Violation>) -> FieldErrors {
    FieldErrors(violations.into_iter().map(FieldError::from).collect())
}

/// What core has found in a request, if anything.
pub(crate) fn refuse(violations: Vec<Violation>) -> Result<(), Error> {
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(fields(violations)))
    }
}

/// Refuses a reason that is too long for the audit trail, together with the `errors` that were found before.
pub(crate) fn refuse_long(reason: &str, errors: &mut FieldErrors) {
    let n = reason.len();
    if n > MAX_TEXT_BYTES {
        let message = format!("has {n} bytes; shorten it to at most {MAX_TEXT_BYTES}");
        errors.push("reason", "TEXT_TOO_LONG", message);
    }
}

/// Who asked, for what, and when, such as `shop` for `gate` at …
fn asked(callers: &[Sighting]) -> String {
    let names: Vec<_> = callers
        .iter()
        .map(|seen| format!("`{}` for `{}` at {}", seen.caller, seen.key, seen.seen_at))
        .collect();
    some(&names)
}

fn expired(until: Option<Timestamp>) -> String {
    until
        .map(|until| format!(", that was until {until}"))
        .unwrap_or_default()
}

fn summary(errors: &FieldErrors) -> String {
    match errors.0.as_slice() {
        [] => "the request is invalid".to_owned(),
        [one] => format!("`{}` {}", one.field, one.message),
        [one, rest @ ..] => format!("`{}` {} (and {} more)", one.field, one.message, rest.len()),
    }
}

/// The first ten of `names`, and how many more there are.
pub(crate) fn some(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(10)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(10) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl From<StoreError> for Error {
    /// What a store says of versions and keys is part of the API; the rest is not.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what } => Self::NotFound { what },
            StoreError::AlreadyExists { what } => Self::AlreadyExists { what },
            StoreError::Stale {
                what,
                expected,
                found,
            } => Self::VersionMismatch {
                what,
                expected,
                found,
            },
            StoreError::Moved { namespace, .. } => Self::Moved { namespace },
            StoreError::Claimed => Self::InProgress,
            StoreError::Taken { what, by } => Self::FlagBound { flag: what, by },
            other => Self::Store(other),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Invalid(violations) => with(
                Self::new(Code::InvalidArgument, "INVALID_ARGUMENT", message),
                violations,
            ),
            Error::NotFound { what } => Self::not_found("NOT_FOUND", message).with_metadata("resource", what),
            Error::AlreadyExists { what } => {
                Self::new(Code::AlreadyExists, "ALREADY_EXISTS", message).with_metadata("resource", what)
            }
            Error::VersionMismatch {
                what,
                expected,
                found,
            } => Self::new(Code::Aborted, "VERSION_MISMATCH", message)
                .with_metadata("resource", what)
                .with_metadata("expected_version", expected.to_string())
                .with_metadata("stored_version", found.to_string()),
            Error::Moved { namespace } => {
                Self::new(Code::Aborted, "CONTENTION", message).with_metadata("namespace", namespace)
            }
            Error::InvalidTransition { what, source } => refused("INVALID_TRANSITION", message)
                .with_metadata("resource", what)
                .with_metadata("action", source.action.to_string())
                .with_metadata("state", source.state)
                .with_metadata("allowed_actions", join(&source.allowed)),
            Error::ValidationFailed { what, violations } => {
                with(refused("VALIDATION_FAILED", message), violations).with_metadata("resource", what)
            }
            Error::ConfigLocked { what, violations } => {
                let fields = violations.0.iter().map(|v| &v.field).collect::<Vec<_>>();
                let failure = refused("CONFIG_LOCKED", message).with_metadata("field", join(&fields));
                with(failure, violations).with_metadata("resource", what)
            }
            Error::InUse { what, by, .. } => refused("IN_USE", message)
                .with_metadata("resource", what)
                .with_metadata("by", join(&by)),
            Error::OverrideConflict { segment, experiment } => refused("OVERRIDE_CONFLICT", message)
                .with_metadata("segment", segment)
                .with_metadata("experiment", experiment),
            Error::LayerFull(full) => {
                let holders = full
                    .holders
                    .iter()
                    .map(|holder| format!("experiment/{}", holder.experiment));
                refused("LAYER_FULL", message)
                    .with_metadata("layer", full.layer.to_string())
                    .with_metadata("free_buckets", full.free.to_string())
                    .with_metadata("wanted_buckets", full.wanted.to_string())
                    .with_metadata("by", join(&holders.collect::<Vec<_>>()))
            }
            Error::FlagBound { flag, by } => refused("FLAG_BOUND", message)
                .with_metadata("flag", flag)
                .with_metadata("by", by),
            Error::NoWinnerSignal { what, source } => refused("NO_WINNER_SIGNAL", message)
                .with_metadata("resource", what)
                .with_metadata("cause", source.cause()),
            Error::CallersSeen { what, callers } => {
                let names: BTreeSet<_> = callers.iter().map(|seen| seen.caller.as_str()).collect();
                let names: Vec<_> = names.into_iter().collect();
                refused("CALLERS_SEEN", message)
                    .with_metadata("resource", what)
                    .with_metadata("callers", join(&names))
            }
            Error::CallersUnknown { what } => {
                refused("CALLERS_UNKNOWN", message).with_metadata("resource", what)
            }
            Error::NeedsStored { what, allowed, .. } => refused("NEEDS_STORED", message)
                .with_metadata("resource", what)
                .with_metadata("allowed_actions", join(&allowed)),
            Error::CohortOpening { what, allowed } => refused("COHORT_OPENING", message)
                .with_metadata("resource", what)
                .with_metadata("allowed_actions", join(&allowed)),
            Error::UndoExpired { what, allowed, .. } => refused("UNDO_EXPIRED", message)
                .with_metadata("resource", what)
                .with_metadata("allowed_actions", join(&allowed)),
            Error::FlagChanged { what, flag } => refused("FLAG_CHANGED", message)
                .with_metadata("resource", what)
                .with_metadata("flag", flag),
            Error::OverrideInTheWay {
                experiment, segment, ..
            } => refused("OVERRIDE_CONFLICT", message)
                .with_metadata("segment", segment)
                .with_metadata("experiment", experiment),
            Error::InProgress => Self::new(Code::Aborted, "IDEMPOTENCY_KEY_IN_USE", message)
                .with_retry_after(Duration::from_secs(1)),
            Error::CannotRollBack {
                generation,
                obstacles,
            } => with(refused("CANNOT_ROLL_BACK", message), obstacles)
                .with_metadata("generation", generation.to_string()),
            Error::CannotImport(obstacles) => with(refused("CANNOT_IMPORT", message), obstacles),
            Error::Access(failure) => failure,
            Error::Store(error) => store(error),
        }
    }
}

fn refused(reason: &'static str, message: String) -> Failure {
    Failure::new(Code::FailedPrecondition, reason, message)
}

fn with(failure: Failure, errors: FieldErrors) -> Failure {
    errors
        .into_iter()
        .fold(failure, |failure, FieldError { field, rule, message }| {
            failure.with_violation(FieldViolation::new(field, rule, message))
        })
}

fn join<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// What callers see of a store's trouble: never which store it is, nor what its driver said.
fn store(error: StoreError) -> Failure {
    const SOON: Duration = Duration::from_secs(1);
    match error {
        StoreError::Unavailable { .. } => {
            tracing::warn!(error = chain(&error), "the configuration store is unavailable");
            let message = "the configuration store is unavailable; a write may have been made or not, so read before you try again";
            Failure::unavailable("STORE_UNAVAILABLE", message, SOON).with_source(error)
        }
        StoreError::Full { .. } => {
            tracing::error!(error = chain(&error), "the configuration store is full");
            Failure::new(
                Code::ResourceExhausted,
                "STORE_FULL",
                "the configuration store is full; tell its operator",
            )
            .with_retry_after(SOON)
            .with_source(error)
        }
        StoreError::Corrupt { ref what, .. } => {
            tracing::error!(error = chain(&error), "a stored resource cannot be read");
            let message = format!("{what} is stored but cannot be read; tell its operator");
            let what = what.clone();
            Failure::new(Code::DataLoss, "STORE_CORRUPT", message)
                .with_metadata("resource", what)
                .with_source(error)
        }
        other => Failure::internal(other),
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}
