use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use tonic::{Code, Status};
use tracing::Span;

use super::TARGET;
use crate::body::Rider;
use crate::error::code_name;

/// The span of one RPC, which gets its status exactly once: the first that is known, or `CANCELLED` if the call is
/// dropped before.
#[derive(Debug)]
pub struct RpcSpan {
    span: Span,
    side: Side,
    is_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// One call site per side, so that `otel.kind` is a constant and both are disabled at the cost of a load.
macro_rules! rpc_span {
    ($kind:literal, $method:expr) => {
        tracing::info_span!(
            target: TARGET,
            "rpc",
            otel.name = $method,
            otel.kind = $kind,
            otel.status_code = tracing::field::Empty,
            rpc.system.name = "grpc",
            rpc.method = $method,
            rpc.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        )
    };
}

impl RpcSpan {
    /// The span of a call to `path` that we answer.
    pub(super) fn server(path: &str) -> Self {
        Self::new(rpc_span!("server", method(path)), Side::Server)
    }

    /// The span of a call to `path` that we make.
    pub(super) fn client(path: &str) -> Self {
        Self::new(rpc_span!("client", method(path)), Side::Client)
    }

    fn new(span: Span, side: Side) -> Self {
        let is_open = !span.is_disabled();
        Self { span, side, is_open }
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.span.is_disabled()
    }

    pub(super) fn tracing(&self) -> &Span {
        &self.span
    }

    /// Takes the status from the headers or trailers of an answer, if it is there.
    pub(super) fn answered(&mut self, headers: &HeaderMap) {
        if self.is_open
            && let Some(status) = Status::from_header_map(headers)
        {
            self.close(status.code());
        }
    }

    /// Takes the status of an answer that is not gRPC: nothing else will tell it.
    pub(super) fn answered_in_http(&mut self, status: StatusCode, headers: &HeaderMap) {
        let content = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_grpc = content.is_some_and(|content| content.starts_with(b"application/grpc"));
        if self.is_open && !is_grpc {
            self.close(code(status));
        }
    }

    /// The call failed without an answer.
    pub(super) fn failed(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.close(
            error
                .downcast_ref::<Status>()
                .map_or(Code::Unavailable, Status::code),
        );
    }

    fn close(&mut self, code: Code) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        self.span.record("rpc.status_code", code_name(code));
        if is_error(self.side, code) {
            self.span.record("error.type", code_name(code));
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

impl Rider for RpcSpan {
    fn trailers(&mut self, trailers: &HeaderMap) {
        self.answered(trailers);
    }
}

impl Drop for RpcSpan {
    fn drop(&mut self) {
        self.close(Code::Cancelled);
    }
}

/// The code that says of a call what `status` says of a request.
fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::NOT_IMPLEMENTED => Code::Unimplemented,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
        _ if status.is_server_error() => Code::Internal,
        _ if status.is_client_error() => Code::InvalidArgument,
        _ => Code::Ok,
    }
}

fn method(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// To a client every failure is one; to a server only those that are its own fault.
fn is_error(side: Side, code: Code) -> bool {
    let at_fault = matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    );
    at_fault || (side == Side::Client && code != Code::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_http_has_the_code_that_says_the_same() {
        let codes = [
            (200, Code::Ok),
            (304, Code::Ok),
            (400, Code::InvalidArgument),
            (404, Code::NotFound),
            (500, Code::Internal),
            (503, Code::Unavailable),
        ];
        for (status, expected) in codes {
            assert_eq!(code(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
    }

    #[test]
    fn only_the_servers_own_faults_are_errors_of_the_server() {
        assert!(!is_error(Side::Server, Code::NotFound));
        assert!(!is_error(Side::Server, Code::Cancelled));
        assert!(is_error(Side::Server, Code::Internal));
        assert!(is_error(Side::Client, Code::NotFound));
        assert!(!is_error(Side::Client, Code::Ok));
    }
}
