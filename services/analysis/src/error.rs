//! What analysis refuses, and how callers hear of it.

use std::time::Duration;

use assay_core::key::ExperimentKey;
use assay_platform::{Code, Failure, FieldViolation};
use assay_proto::field::FieldErrors;

use crate::definitions::DefinitionsError;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request are wrong.
    #[error(transparent)]
    Invalid(#[from] FieldErrors),
    /// The caller may not.
    #[error(transparent)]
    Access(#[from] Failure),
    /// The experiment is a draft: there is nothing to analyze.
    #[error("experiment `{experiment}` is a draft")]
    Draft {
        /// Which.
        experiment: ExperimentKey,
    },
    /// The definitions could not be had.
    #[error(transparent)]
    Definitions(#[from] DefinitionsError),
    /// The store did not do what it was asked.
    #[error(transparent)]
    Store(#[from] assay_storage::Error),
}

const RETRY_AFTER: Duration = Duration::from_secs(1);

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
            Error::Draft { experiment } => Self::new(
                Code::FailedPrecondition,
                "NOT_STARTED",
                format!("experiment `{experiment}` is a draft and has no results; start it first"),
            ),
            Error::Definitions(DefinitionsError::Config(status))
                if status.code() == tonic::Code::NotFound =>
            {
                Self::from_status(&status)
            }
            Error::Definitions(source @ DefinitionsError::Config(_)) => Self::unavailable(
                "CONFIG_UNAVAILABLE",
                "the config service did not answer; try again",
                RETRY_AFTER,
            )
            .with_source(source),
            Error::Store(source) if source.is_transient() => Self::unavailable(
                "STORE_UNAVAILABLE",
                "the store of results is away; try again",
                RETRY_AFTER,
            )
            .with_source(source),
            Error::Definitions(source) => Self::internal(source),
            Error::Store(source) => Self::internal(source),
        }
    }
}
