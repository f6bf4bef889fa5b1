use std::time::Duration;

use assay_platform::{Code, Failure, channel::ChannelError};

/// Why a call did not give what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of a service is none, or its TLS settings cannot be used.
    #[error(transparent)]
    Endpoint(#[from] ChannelError),
    /// The service refused, or could not be reached: with its reason, its sentence and the fields that are wrong.
    #[error("{0}")]
    Call(Failure),
    /// There was no answer in time, attempts and pauses between them included.
    #[error("there was no answer within {after:?}")]
    Deadline {
        /// The time.
        after: Duration,
    },
    /// The service answered without what its API promises.
    #[error("the answer has no {what}; the server may be of another version")]
    Incomplete {
        /// What is missing.
        what: &'static str,
    },
}

impl Error {
    /// What the service said.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Call(failure) => Some(failure),
            Self::Endpoint(_) | Self::Deadline { .. } | Self::Incomplete { .. } => None,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Call(failure) => failure.code.is_retryable(),
            Self::Deadline { .. } => true,
            Self::Endpoint(_) | Self::Incomplete { .. } => false,
        }
    }

    /// The code of what the service said.
    pub fn code(&self) -> Option<Code> {
        self.failure().map(|failure| failure.code)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}
