//! The trace layers around RPCs.
//!
//! [`ServerTrace`] goes around a server's routes and continues the caller's trace; [`ClientTrace`] goes around a
//! channel and sends ours along. A span lasts until the last byte of the answer, so that streams are measured whole.
//! When nothing is exported, both only pass the call on.

mod future;
mod span;

use std::task::{Context, Poll};

use http::{Request, Response};
use tower::Service;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::context;
use crate::body::RidingBody;
pub use future::TraceFuture;
pub use span::RpcSpan;

/// The target of RPC spans. They go to traces only; log filters do not apply to them.
pub const TARGET: &str = "assay::rpc";

/// A server whose calls are traced, each in a span of its own.
#[derive(Clone, Debug)]
pub struct ServerTrace<S> {
    inner: S,
}

impl<S> ServerTrace<S> {
    /// Traces the calls that `inner` answers.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<B>> for ServerTrace<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: std::error::Error + 'static,
    S::Future: Unpin,
{
    type Response = Response<RidingBody<R, RpcSpan>>;
    type Error = S::Error;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let span = RpcSpan::server(request.uri().path());
        if !span.is_disabled()
            && let Some(caller) = context::extract(request.headers())
        {
            // It can only fail for a span that has begun, and this one has not.
            let _begun = span.tracing().set_parent(caller);
        }
        let inner = span.tracing().in_scope(|| self.inner.call(request));
        TraceFuture::new(inner, span)
    }
}

/// A client whose calls are traced; the server gets to know the caller.
#[derive(Clone, Debug)]
pub struct ClientTrace<S> {
    inner: S,
}

impl<S> ClientTrace<S> {
    /// Traces the calls of `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B, R> Service<Request<B>> for ClientTrace<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: std::error::Error + 'static,
    S::Future: Unpin,
{
    type Response = Response<RidingBody<R, RpcSpan>>;
    type Error = S::Error;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let span = RpcSpan::client(request.uri().path());
        if !span.is_disabled() {
            context::inject(span.tracing(), request.headers_mut());
        }
        TraceFuture::new(self.inner.call(request), span)
    }
}
