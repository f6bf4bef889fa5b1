use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request, Response};
use tonic::{ConnectError, Status, TimeoutExpired};
use tower::Service;

use crate::error::{BoxError, chain};

/// Calls failures of the transport by their right names: a timeout is `DEADLINE_EXCEEDED` (tonic says `CANCELLED`), a
/// server that cannot be reached is `UNAVAILABLE` and says which one.
#[derive(Clone, Debug)]
pub struct Deadlines<S> {
    inner: S,
    uri: Arc<str>,
}

impl<S> Deadlines<S> {
    pub(crate) fn new(inner: S, uri: &str) -> Self {
        Self {
            inner,
            uri: uri.into(),
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
        self.inner
            .poll_ready(cx)
            .map_err(|error| status(error.into(), &self.uri))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        DeadlineFuture {
            inner: self.inner.call(request),
            uri: self.uri.clone(),
        }
    }
}

/// The answer to come.
#[derive(Debug)]
pub struct DeadlineFuture<F> {
    inner: F,
    uri: Arc<str>,
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
                Ok(response)
            }
            Err(error) => Err(status(error.into(), &self.uri)),
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

fn status(error: BoxError, uri: &str) -> Status {
    if has::<TimeoutExpired>(error.as_ref()) {
        return Status::deadline_exceeded(format!("no answer from {uri} in time"));
    }
    if has::<ConnectError>(error.as_ref()) {
        return Status::unavailable(format!("cannot reach {uri}: {}", root(error.as_ref())));
    }
    match Status::try_from_error(error) {
        Ok(status) => status,
        Err(error) => Status::unavailable(format!("call to {uri} failed: {}", chain(error.as_ref()))),
    }
}

/// Whether `E` is `error` or one of its sources.
fn has<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<E>() || error.source().is_some_and(has::<E>)
}

/// The innermost message, which is the one that tells.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), root)
}
