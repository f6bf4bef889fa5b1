use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::{Code, Failure, FieldViolation, chain};
use crate::telemetry::current_trace_id;

/// The `domain` of every `google.rpc.ErrorInfo` that Assay sends.
pub const DOMAIN: &str = "assay";

/// The reason of a refusal by a server of ours that does not serve the method.
pub(crate) const UNKNOWN_METHOD: &str = "UNKNOWN_METHOD";

impl From<Failure> for Status {
    /// Sends code, reason, message and details. An internal failure is logged here, once and with its whole chain,
    /// and callers get nothing but the id under which it was logged.
    fn from(failure: Failure) -> Self {
        let failure = if failure.code == Code::Internal {
            conceal(failure)
        } else {
            failure
        };
        let mut details = ErrorDetails::new();
        let metadata: HashMap<_, _> = failure.metadata.iter().cloned().collect();
        details.set_error_info(failure.reason.clone(), DOMAIN, metadata);
        if !failure.violations.is_empty() {
            let violations: Vec<_> = failure.violations.iter().map(encode_violation).collect();
            details.set_bad_request(violations);
        }
        if failure.retry_after.is_some() {
            details.set_retry_info(failure.retry_after);
        }
        Self::with_error_details(failure.code.into(), failure.message.clone(), details)
    }
}

impl Failure {
    /// Reads back what a server of ours sent. From any other server, code and message are kept and the reason is the
    /// name of the code.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let code = Code::from(status.code());
        let mut failure = Self::new(code, code.name(), status.message());
        if let Some(info) = details.error_info() {
            failure.reason = info.reason.clone().into();
            failure.metadata = info.metadata.clone().into_iter().collect();
            failure.metadata.sort();
        }
        if let Some(bad) = details.bad_request() {
            failure.violations = bad.field_violations.iter().map(decode_violation).collect();
        }
        failure.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        failure
    }
}

/// Logs an internal failure and returns what callers may see of it.
fn conceal(failure: Failure) -> Failure {
    let request_id = current_trace_id().unwrap_or_else(random_id);
    tracing::error!(request_id, reason = %failure.reason, error = chain(&failure), "internal error");
    Failure::new(Code::Internal, failure.reason.clone(), "internal error")
        .with_metadata("request_id", request_id)
}

/// An id for the log when no trace is recorded.
fn random_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(DOMAIN))
}

fn encode_violation(violation: &FieldViolation) -> tonic_types::FieldViolation {
    tonic_types::FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
        reason: violation.reason.clone(),
        localized_message: None,
    }
}

fn decode_violation(violation: &tonic_types::FieldViolation) -> FieldViolation {
    FieldViolation::new(&violation.field, &violation.reason, &violation.description)
}
