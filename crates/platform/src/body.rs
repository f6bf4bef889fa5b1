//! A response body that carries something which must live, or be told, until the last byte is out.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// What rides along with a body. It is dropped with the body: at the end, or when the peer goes away.
pub(crate) trait Rider: Unpin {
    /// The trailers, if the body came to its end.
    fn trailers(&mut self, _trailers: &HeaderMap) {}
}

/// A body and its rider.
#[derive(Debug)]
pub struct RidingBody<B, R> {
    inner: B,
    rider: R,
}

impl<B, R> RidingBody<B, R> {
    pub(crate) fn new(inner: B, rider: R) -> Self {
        Self { inner, rider }
    }
}

impl<B: Body + Unpin, R: Rider> Body for RidingBody<B, R> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.rider.trailers(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
