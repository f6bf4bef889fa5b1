//! What assignment refuses, and how callers hear of it. A flag that does not exist is an answer, not an error.

use std::time::Duration;

use assay_platform::{Code, Failure, FieldViolation, server::ServeError};
use assay_proto::field::{FieldError, FieldErrors};

/// Why assignment ended, or could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The spool cannot be used.
    #[error(
        "the spool in {directory} cannot be used; give a directory that can be written, or set `exposures.spool = false`"
    )]
    Spool {
        /// Where it is.
        directory: String,
        /// Why.
        #[source]
        source: assay_storage::Error,
    },
    /// The thread that writes exposures cannot be started.
    #[error("the thread that writes exposures cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Why a request is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Its fields are wrong.
    #[error(transparent)]
    Invalid(#[from] FieldErrors),
    /// Another generation is served than the one that was asked.
    #[error("generation {asked} is asked and {served} is served")]
    GenerationNotServed {
        /// The one that was asked.
        asked: u64,
        /// The one that is served.
        served: u64,
    },
    /// No more can watch.
    #[error("{limit} watch already")]
    TooManyWatches {
        /// How many can.
        limit: usize,
    },
    /// There is nothing to answer from.
    #[error("no configuration has been seen yet")]
    NoConfiguration,
}

impl From<FieldError> for Refusal {
    fn from(error: FieldError) -> Self {
        Self::Invalid(error.into())
    }
}

const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(errors) => Self::invalid(
                errors
                    .0
                    .into_iter()
                    .map(|e| FieldViolation::new(e.field, e.rule, e.message))
                    .collect(),
            ),
            Refusal::GenerationNotServed { asked, served } => Self::new(
                Code::FailedPrecondition,
                "GENERATION_NOT_SERVED",
                format!(
                    "generation {asked} is not served here, {served} is; ask config's ExplainGeneration for one of the past"
                ),
            )
            .with_metadata("served", served.to_string()),
            Refusal::TooManyWatches { limit } => Self::new(
                Code::ResourceExhausted,
                "TOO_MANY_WATCHES",
                format!("{limit} clients watch this replica already; try another one, or again later"),
            )
            .with_retry_after(RETRY_AFTER),
            Refusal::NoConfiguration => Self::unavailable(
                "NO_CONFIGURATION",
                "no configuration has been seen yet; serve your own default and try again",
                RETRY_AFTER,
            ),
        }
    }
}
