//! What ingest refuses as a whole, and how callers hear of it. A single refused record is an answer, not an error.

use std::time::Duration;

use assay_platform::{Code, Failure, FieldViolation};
use assay_proto::field::{FieldError, FieldErrors};

/// Why a request is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request itself are wrong.
    #[error(transparent)]
    Invalid(#[from] FieldErrors),
    /// The caller may not.
    #[error(transparent)]
    Access(#[from] Failure),
    /// Imports are not permitted here.
    #[error("imports are not permitted here")]
    ImportNotPermitted,
    /// The log took none of the records.
    #[error("the log took none of the records")]
    Log(#[source] assay_storage::Error),
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Invalid(error.into())
    }
}

const RETRY_AFTER: Duration = Duration::from_millis(500);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(errors) => Self::invalid(
                errors
                    .0
                    .into_iter()
                    .map(|e| FieldViolation::new(e.field, e.rule, e.message))
                    .collect(),
            ),
            Error::Access(failure) => failure,
            Error::ImportNotPermitted => Self::new(
                Code::PermissionDenied,
                "IMPORT_NOT_PERMITTED",
                "imports are not permitted here; set `ingest.imports = true` on the ingest service to permit them",
            ),
            Error::Log(source @ assay_storage::Error::Full { .. }) => Self::new(
                Code::ResourceExhausted,
                "LOG_FULL",
                "the log is full and took nothing; send it again later",
            )
            .with_retry_after(RETRY_AFTER)
            .with_source(source),
            Error::Log(source) => Self::unavailable(
                "LOG_UNAVAILABLE",
                "the log is away and took nothing; send it again",
                RETRY_AFTER,
            )
            .with_source(source),
        }
    }
}
