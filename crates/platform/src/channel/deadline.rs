use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request, Response};
use tonic::{ConnectError, Status, TimeoutExpired};
use tower::Service;

use super::Credentials;
use crate::error::{BoxError, Code, Failure, UNKNOWN_METHOD, chain};

tokio::task_local! {
    /// The idempotency key of the request that is made.
    pub(super) static REQUEST_KEY: HeaderValue;
}

/// Calls failures of the transport by their right names: a timeout is `DEADLINE_EXCEEDED` (tonic says `CANCELLED`), a
/// server that cannot be reached, or does not speak gRPC, is `UNAVAILABLE`, and one that does not have the service is
/// `UNIMPLEMENTED`; all say which address was called, in the metadata `server` and `service`, too.
///
/// Also presents the API key, and the idempotency key of the request that a call belongs to.
#[derive(Clone, Debug)]
pub struct Deadlines<S> {
    inner: S,
    uri: Arc<str>,
    api_key: Credentials,
}

impl<S> Deadlines<S> {
    pub(crate) fn new(inner: S, uri: &str, api_key: Credentials) -> Self {
        Self {
            inner,
            uri: uri.into(),
            api_key,
        }
    }
}

impl<S, B, R> Service<Request<B>> for Deadlines<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    S::Future: Unpin,
{
    type Response = Response<R>;
    type Error = Status;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let called = |uri: &Arc<str>| Called {
            uri: uri.clone(),
            service: String::new(),
        };
        self.inner
            .poll_ready(cx)
            .map_err(|error| called(&self.uri).status(error.into()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(key) = self.api_key.header() {
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, key);
        }
        if let Ok(key) = REQUEST_KEY.try_with(HeaderValue::clone) {
            request.headers_mut().insert("idempotency-key", key);
        }
        let path = request.uri().path().trim_start_matches('/');
        let service = path.split('/').next().unwrap_or_default().to_owned();
        DeadlineFuture {
            called: Called {
                uri: self.uri.clone(),
                service,
            },
            inner: self.inner.call(request),
        }
    }
}

/// The answer to come.
#[derive(Debug)]
pub struct DeadlineFuture<F> {
    inner: F,
    called: Called,
}

impl<F, R, E> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response<R>, E>> + Unpin,
    E: Into<BoxError>,
{
    type Output = Result<Response<R>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.inner).poll(cx).map(|done| match done {
            Ok(mut response) => {
                rename_timeout(response.headers_mut());
                self.called.judge(&response).map(|()| response)
            }
            Err(error) => Err(self.called.status(error.into())),
        })
    }
}

/// The server may be the first to notice that the time is over; tonic servers then say `CANCELLED`, too.
pub(super) fn rename_timeout(headers: &mut HeaderMap) {
    let is = |name, text: &str| headers.get(name).is_some_and(|value| value == text);
    if is("grpc-status", "1") && is("grpc-message", "Timeout%20expired") {
        headers.insert("grpc-status", HeaderValue::from_static("4"));
    }
}

/// Who was called.
#[derive(Debug)]
struct Called {
    uri: Arc<str>,
    /// The service of the API; empty when the call had not begun.
    service: String,
}

impl Called {
    fn status(&self, error: BoxError) -> Status {
        let uri = &self.uri;
        if has::<TimeoutExpired>(error.as_ref()) {
            return self.failed(Code::DeadlineExceeded, format!("no answer from {uri} in time"));
        }
        if has::<ConnectError>(error.as_ref()) {
            return self.failed(
                Code::Unavailable,
                format!("cannot reach {uri}: {}", root(error.as_ref())),
            );
        }
        let cause = chain(error.as_ref());
        let is_answer = has::<Status>(error.as_ref());
        match Status::try_from_error(error) {
            // What the transport meets by itself, such as an answer in another protocol, is no bug of ours.
            Ok(status) if is_answer || status.code() == tonic::Code::ResourceExhausted => status,
            _ => self.failed(
                Code::Unavailable,
                format!("call to {uri} failed: {cause}; perhaps that is no gRPC server"),
            ),
        }
    }

    /// Whether it is an answer of gRPC at all, and of a server that has the service.
    fn judge<R>(&self, response: &Response<R>) -> Result<(), Status> {
        let uri = &self.uri;
        let (headers, http) = (response.headers(), response.status());
        match headers.get("grpc-status") {
            None if http != http::StatusCode::OK => Err(self.failed(
                Code::Unavailable,
                format!("{uri} answers with HTTP {}: it is no gRPC server", http.as_u16()),
            )),
            Some(code) if code == "12" && is_unknown_method(headers) => {
                let service = &self.service;
                Err(self.failed(
                    Code::Unimplemented,
                    format!("the server at {uri} has no {service}, or not this call of it"),
                ))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, code: Code, message: String) -> Status {
        Failure::new(code, code.name(), message)
            .with_metadata("server", &*self.uri)
            .with_metadata("service", &self.service)
            .into()
    }
}

/// Whether an `UNIMPLEMENTED` says that nobody serves the method: without a word, or by our own reason.
fn is_unknown_method(headers: &HeaderMap) -> bool {
    headers.get("grpc-message").is_none_or(HeaderValue::is_empty)
        || Status::from_header_map(headers)
            .is_some_and(|status| Failure::from_status(&status).reason == UNKNOWN_METHOD)
}

/// Whether `E` is `error` or one of its sources.
fn has<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<E>() || error.source().is_some_and(has::<E>)
}

/// The innermost message, which is the one that tells.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), root)
}
