//! Refusals that come from below the handlers, in the form of all others: a reason, and the field, the rule and the remedy.
//!
//! tonic refuses what it cannot decode, and what nobody serves, with a bare status in the headers. An answer that went through a handler has
//! its status in the trailers, or details beside it: such answers pass with one look at their headers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Request, Response, Uri};
use tonic::Status;
use tower::Service;

use crate::error::{Code, Failure, FieldViolation, UNKNOWN_METHOD, code_name};

const GRPC_STATUS: &str = "grpc-status";

/// The field of a violation that concerns the message as a whole.
const WHOLE: &str = "request";

/// How many names of a field's path are shown: a path as deep as the limit of nesting helps nobody.
const MAX_PATH: usize = 4;

/// A service whose bare refusals are explained; goes directly around the routes.
#[derive(Clone, Debug)]
pub(super) struct Explained<S> {
    inner: S,
}

impl<S> Explained<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<B>> for Explained<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Unpin,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ExplainedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let uri = request.uri().clone(); // counts references, copies nothing
        ExplainedFuture {
            inner: self.inner.call(request),
            uri,
        }
    }
}

/// The answer to come.
#[derive(Debug)]
pub(super) struct ExplainedFuture<F> {
    inner: F,
    uri: Uri,
}

impl<F, R, E> Future for ExplainedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>> + Unpin,
{
    type Output = Result<Response<R>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = ready!(Pin::new(&mut self.inner).poll(cx))?;
        if response.headers().contains_key(GRPC_STATUS) {
            explain(response.headers_mut(), self.uri.path());
        }
        Poll::Ready(Ok(response))
    }
}

/// Puts the explained refusal in place of a bare one.
fn explain(headers: &mut HeaderMap, path: &str) {
    let Some(bare) = Status::from_header_map(headers) else {
        return;
    };
    if bare.code() == tonic::Code::Ok || !bare.details().is_empty() {
        return;
    }
    let full = Status::from(failure(&bare, path));
    // Both are ASCII or percent-encoded, so it does not fail; if it did, the bare status would stand.
    let _written = full.add_header(headers);
}

/// What a status of tonic's means. Its texts are the only sign by which broken messages differ; what is not known by its text keeps code
/// and text.
fn failure(bare: &Status, path: &str) -> Failure {
    let (code, text) = (bare.code(), bare.message());
    match code {
        tonic::Code::Unimplemented if text.is_empty() => unknown_method(path),
        tonic::Code::Unimplemented if text.contains("compressed with") => unsupported_compression(text),
        tonic::Code::OutOfRange if text.contains("message length too large") => too_large(text),
        tonic::Code::ResourceExhausted if text.contains("exceeded while decompressing") => too_large(text),
        tonic::Code::Internal => {
            broken(text).unwrap_or_else(|| Failure::new(Code::Internal, code_name(code), text))
        }
        _ => Failure::new(Code::from(code), code_name(code), text),
    }
}

fn unknown_method(path: &str) -> Failure {
    let method = path.trim_start_matches('/');
    Failure::new(
        Code::Unimplemented,
        UNKNOWN_METHOD,
        format!("`{method}` is not served here; check the name, and that the address is that of its service"),
    )
    .with_metadata("method", method)
}

/// The code is the one that gRPC asks for, so that clients fall back to what `grpc-accept-encoding` names.
fn unsupported_compression(text: &str) -> Failure {
    let used = text.split('`').nth(1).unwrap_or("unknown");
    let description = format!("is compressed with `{used}`, which is not supported; send it uncompressed");
    let mut failure = Failure::invalid(vec![FieldViolation::new(
        WHOLE,
        "UNSUPPORTED_COMPRESSION",
        description,
    )]);
    failure.code = Code::Unimplemented;
    failure.reason = "UNSUPPORTED_COMPRESSION".into();
    failure
}

/// It is no `RESOURCE_EXHAUSTED`, although some servers say so: clients try that again, and the message stays too large.
fn too_large(text: &str) -> Failure {
    let numbers = || {
        text.split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
    };
    let limit = numbers().next_back().unwrap_or("0");
    let description = match numbers().count() {
        2.. => format!(
            "has {} bytes, more than the {limit} that are accepted; split it",
            numbers().next().unwrap_or("0")
        ),
        _ => format!("has more than the {limit} bytes that are accepted; split it"),
    };
    invalid("MESSAGE_TOO_LARGE", WHOLE.to_owned(), &description).with_metadata("limit_bytes", limit)
}

/// A message that cannot be decoded; none if `text` says anything else.
fn broken(text: &str) -> Option<Failure> {
    if let Some(rest) = text.strip_prefix("failed to decode Protobuf message: ") {
        let (field, cause) = place(rest);
        return Some(match cause {
            _ if cause.contains("UTF-8") => {
                invalid("INVALID_UTF8", field, "is not valid UTF-8; send text as UTF-8")
            }
            _ if cause.contains("recursion limit") => invalid(
                "NESTED_TOO_DEEPLY",
                field,
                "is nested too deeply; send fewer levels",
            ),
            _ => {
                let description = format!("cannot be decoded ({cause}); encode it as the .proto files say");
                invalid("MALFORMED_MESSAGE", field, &description)
            }
        });
    }
    let remedy = match text {
        _ if text.starts_with("Error decompressing") => {
            "cannot be decompressed; send it as `grpc-encoding` says"
        }
        _ if text.contains("compressed-flag") => {
            "is marked as compressed without `grpc-encoding`; send that header"
        }
        _ if text.contains("invalid compression flag") => {
            "does not begin as a gRPC message; send length-prefixed messages"
        }
        "Unexpected EOF decoding stream." => "ends before its announced length; send it whole",
        "Missing request message." => "is missing; send one message",
        _ => return None,
    };
    Some(invalid("MALFORMED_MESSAGE", WHOLE.to_owned(), remedy))
}

fn invalid(rule: &'static str, field: String, description: &str) -> Failure {
    Failure::invalid(vec![FieldViolation::new(field, rule, description)])
}

/// The path of the field in the request, and what is wrong there: from `Inner.field: Outer.field: cause`.
fn place(text: &str) -> (String, &str) {
    let (mut names, mut cause) = (Vec::new(), text);
    while let Some((name, rest)) = cause.split_once(": ").and_then(|(place, rest)| {
        let (message, field) = place.split_once('.')?;
        let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (is_name(message) && is_name(field)).then_some((field, rest))
    }) {
        names.push(name);
        cause = rest;
    }
    if names.is_empty() {
        return (WHOLE.to_owned(), cause);
    }
    names.reverse();
    names.truncate(MAX_PATH);
    (names.join("."), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(code: tonic::Code, text: &str) -> Failure {
        failure(&Status::new(code, text), "/a.B/C")
    }

    #[test]
    fn a_field_is_named_from_the_outside_in() {
        let text = "failed to decode Protobuf message: Unit.id: AssignRequest.unit: invalid string value: data is not UTF-8 encoded";
        let failure = explained(tonic::Code::Internal, text);
        assert_eq!(
            (failure.code, &*failure.reason),
            (Code::InvalidArgument, "INVALID_ARGUMENT")
        );
        assert_eq!(failure.violations[0].field, "unit.id");
        assert_eq!(failure.violations[0].reason, "INVALID_UTF8");
        assert_eq!(
            failure.message,
            "`unit.id` is not valid UTF-8; send text as UTF-8"
        );
    }

    #[test]
    fn a_size_is_told_with_its_limit() {
        let text =
            "Error, decoded message length too large: found 10000000 bytes, the limit is: 4194304 bytes";
        let failure = explained(tonic::Code::OutOfRange, text);
        assert_eq!(
            (failure.code, &*failure.reason),
            (Code::InvalidArgument, "INVALID_ARGUMENT")
        );
        assert!(
            failure
                .message
                .contains("has 10000000 bytes, more than the 4194304"),
            "{failure}"
        );
    }

    #[test]
    fn what_is_not_known_keeps_its_code() {
        let failure = explained(tonic::Code::NotFound, "service not registered");
        assert_eq!((failure.code, &*failure.reason), (Code::NotFound, "NOT_FOUND"));
        assert_eq!(failure.message, "service not registered");
    }

    #[test]
    fn an_explained_refusal_stays_as_it_is() {
        let mut headers = HeaderMap::new();
        let sent = Failure::not_found("NO_SUCH", "there is none");
        Status::from(sent).add_header(&mut headers).unwrap();
        let before = headers.clone();
        explain(&mut headers, "/a.B/C");
        assert_eq!(headers, before);
    }
}
