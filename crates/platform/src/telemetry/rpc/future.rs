use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;

use super::RpcSpan;
use crate::body::RidingBody;

/// The answer to come, within its span.
#[derive(Debug)]
pub struct TraceFuture<F> {
    inner: F,
    span: Option<RpcSpan>,
}

impl<F> TraceFuture<F> {
    pub(super) fn new(inner: F, span: RpcSpan) -> Self {
        Self {
            inner,
            span: Some(span),
        }
    }
}

impl<F, R, E> Future for TraceFuture<F>
where
    F: Future<Output = Result<Response<R>, E>> + Unpin,
    E: std::error::Error + 'static,
{
    type Output = Result<Response<RidingBody<R, RpcSpan>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let span = this
            .span
            .as_ref()
            .expect("a future is not polled after it is done");
        let done = ready!(span.tracing().in_scope(|| Pin::new(&mut this.inner).poll(cx)));
        let mut span = this.span.take().expect("it was there above");
        Poll::Ready(match done {
            Ok(response) => {
                span.answered(response.headers());
                span.answered_in_http(response.status(), response.headers());
                Ok(response.map(|body| RidingBody::new(body, span)))
            }
            Err(error) => {
                span.failed(&error);
                Err(error)
            }
        })
    }
}
