//! The caller's deadline: `grpc-timeout` as the gRPC protocol has it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

/// A service whose calls end when their caller does not wait any more.
#[derive(Clone, Debug)]
pub(super) struct Deadline<S> {
    inner: S,
}

impl<S> Deadline<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let timeout = timeout(request.headers());
        DeadlineFuture {
            inner: self.inner.call(request),
            sleep: timeout.map(|timeout| Box::pin(tokio::time::sleep(timeout))),
        }
    }
}

/// The answer to come, or `DEADLINE_EXCEEDED`.
#[derive(Debug)]
pub(super) struct DeadlineFuture<F> {
    inner: F,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<F, E> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>> + Unpin,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let done @ Poll::Ready(_) = Pin::new(&mut self.inner).poll(cx) {
            return done;
        }
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
            let status = Status::deadline_exceeded("the caller's deadline has passed");
            return Poll::Ready(Ok(status.into_http()));
        }
        Poll::Pending
    }
}

/// `grpc-timeout`: at most eight digits and a unit. What is something else is no deadline.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3_600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(text: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_static(text));
        timeout(&headers)
    }

    #[test]
    fn every_unit_of_the_protocol_is_understood() {
        let seconds = [
            ("2H", 7_200.0),
            ("3M", 180.0),
            ("4S", 4.0),
            ("5m", 5e-3),
            ("6u", 6e-6),
            ("7n", 7e-9),
        ];
        for (text, expected) in seconds {
            assert_eq!(of(text), Some(Duration::from_secs_f64(expected)), "{text}");
        }
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
    }

    #[test]
    fn what_is_no_timeout_is_none() {
        for text in ["", "S", "1", "1s", "+1S", "1.5S", "123456789S"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
