use std::time::Duration;

use tonic::Status;

use super::*;

#[test]
fn failure_survives_the_wire() {
    let sent = Failure::new(Code::FailedPrecondition, "NOT_DRAFT", "experiment `a` is running")
        .with_metadata("experiment", "a")
        .with_metadata("state", "running")
        .with_violation(FieldViolation::new("experiment.state", "STATE", "is not draft"))
        .with_retry_after(Duration::from_millis(1_500));
    let read = Failure::from_status(&Status::from(sent));
    assert_eq!(read.code, Code::FailedPrecondition);
    assert_eq!(read.reason, "NOT_DRAFT");
    assert_eq!(read.message, "experiment `a` is running");
    assert_eq!(read.metadata[1], ("state".to_owned(), "running".to_owned()));
    assert_eq!(
        read.violations,
        [FieldViolation::new("experiment.state", "STATE", "is not draft")]
    );
    assert_eq!(read.retry_after, Some(Duration::from_millis(1_500)));
}

#[test]
fn internals_are_never_sent() {
    let cause = std::io::Error::other("password authentication failed for user \"assay\"");
    let status = Status::from(Failure::internal(cause).with_metadata("host", "db-7"));
    assert_eq!(status.code(), tonic::Code::Internal);
    assert_eq!(status.message(), "internal error");
    let wire = String::from_utf8_lossy(status.details()).into_owned();
    assert!(!wire.contains("password") && !wire.contains("db-7"), "{wire}");
    let read = Failure::from_status(&status);
    assert_eq!(read.metadata[0].0, "request_id");
    assert_eq!(read.metadata[0].1.len(), 16);
}

#[test]
fn codes_survive_the_wire() {
    let all = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::PermissionDenied,
        Code::Unauthenticated,
        Code::ResourceExhausted,
        Code::Unavailable,
        Code::DeadlineExceeded,
        Code::Unimplemented,
        Code::DataLoss,
        Code::Internal,
    ];
    for code in all {
        assert_eq!(Code::from(tonic::Code::from(code)), code);
    }
}

#[test]
fn foreign_status_keeps_code_and_message() {
    let read = Failure::from_status(&Status::out_of_range("past the end"));
    assert_eq!(read.code, Code::InvalidArgument);
    assert_eq!(read.reason, "INVALID_ARGUMENT");
    assert_eq!(read.message, "past the end");
}

#[test]
fn invalid_names_the_first_field_and_counts_the_rest() {
    let one = || FieldViolation::new("salt", "REQUIRED", "is missing");
    assert_eq!(Failure::invalid(vec![one()]).message, "`salt` is missing");
    assert_eq!(
        Failure::invalid(vec![one(), one()]).message,
        "`salt` is missing (and 1 more)"
    );
}

#[test]
fn chain_joins_sources_without_repeating() {
    let inner = std::io::Error::other("connection refused");
    let failure = Failure::new(Code::Unavailable, "STORE_AWAY", "store is away").with_source(inner);
    assert_eq!(chain(&failure), "store is away: connection refused");
    let same = std::io::Error::other("disk full");
    assert_eq!(chain(&Failure::internal(same)), "disk full");
}

#[test]
fn a_result_stays_small() {
    assert_eq!(size_of::<Failure>(), size_of::<usize>());
}
