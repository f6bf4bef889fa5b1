//! Which calls are under way, so that those that miss a deadline can be named.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use tower::Service;

use crate::body::{Rider, RidingBody};

/// Paths are the caller's to choose: beyond this many they are counted together.
const MAX_METHODS: usize = 256;

/// What calls beyond [`MAX_METHODS`] are counted under.
const OTHER: &str = "other methods";

/// The number of calls under way, by method. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    methods: Arc<RwLock<HashMap<String, Arc<AtomicUsize>>>>,
    all: Arc<AtomicUsize>,
}

impl InFlight {
    /// The methods with calls under way and how many, by name.
    pub(super) fn list(&self) -> Vec<(String, usize)> {
        let methods = self.methods.read().unwrap_or_else(PoisonError::into_inner);
        let counts = methods
            .iter()
            .map(|(name, n)| (name.clone(), n.load(Ordering::Relaxed)));
        let mut counts: Vec<_> = counts.filter(|(_, n)| *n > 0).collect();
        counts.sort();
        counts
    }

    /// How many calls are under way.
    pub(super) fn count(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// Counts a call, also in `of_connection`, until the result is dropped.
    fn enter(&self, path: &str, of_connection: &Arc<AtomicUsize>) -> Call {
        let of_method = self.known(path).unwrap_or_else(|| self.add(path));
        let counters = [of_method, of_connection.clone(), self.all.clone()];
        for counter in &counters {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Call(counters)
    }

    fn known(&self, path: &str) -> Option<Arc<AtomicUsize>> {
        self.methods
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name(path))
            .cloned()
    }

    fn add(&self, path: &str) -> Arc<AtomicUsize> {
        let mut methods = self.methods.write().unwrap_or_else(PoisonError::into_inner);
        let name = if methods.len() < MAX_METHODS {
            name(path)
        } else {
            OTHER
        };
        methods.entry(name.to_owned()).or_default().clone()
    }
}

fn name(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// One call under way.
#[derive(Debug)]
pub(super) struct Call([Arc<AtomicUsize>; 3]);

impl Drop for Call {
    fn drop(&mut self) {
        for counter in &self.0 {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Rider for Call {}

/// A service whose calls are counted until the last byte of their answer.
#[derive(Clone, Debug)]
pub(super) struct Counted<S> {
    inner: S,
    in_flight: InFlight,
    /// Those of one connection.
    calls: Arc<AtomicUsize>,
}

impl<S: Clone> Counted<S> {
    pub(super) fn new(inner: S, in_flight: InFlight) -> Self {
        Self {
            inner,
            in_flight,
            calls: Arc::default(),
        }
    }

    /// The same for one connection, and the number of calls that it has under way.
    pub(super) fn for_connection(&self) -> (Self, Arc<AtomicUsize>) {
        let calls = Arc::<AtomicUsize>::default();
        let counted = Self {
            calls: calls.clone(),
            ..self.clone()
        };
        (counted, calls)
    }
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Unpin,
{
    type Response = Response<RidingBody<R, Call>>;
    type Error = S::Error;
    type Future = CountedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = Some(self.in_flight.enter(request.uri().path(), &self.calls));
        CountedFuture {
            inner: self.inner.call(request),
            call,
        }
    }
}

/// The answer to come, counted.
pub(super) struct CountedFuture<F> {
    inner: F,
    call: Option<Call>,
}

impl<F, R, E> Future for CountedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>> + Unpin,
{
    type Output = Result<Response<RidingBody<R, Call>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(Pin::new(&mut self.inner).poll(cx))?;
        let call = self.call.take().expect("a future is not polled after it is done");
        Poll::Ready(Ok(response.map(|body| RidingBody::new(body, call))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_while_they_live() {
        let (in_flight, calls) = (InFlight::default(), Arc::default());
        let first = in_flight.enter("/b.B/Get", &calls);
        let second = in_flight.enter("/b.B/Get", &calls);
        let third = in_flight.enter("/a.A/Watch", &Arc::default());
        assert_eq!(
            in_flight.list(),
            [("a.A/Watch".to_owned(), 1), ("b.B/Get".to_owned(), 2)]
        );
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        drop((first, third));
        assert_eq!(in_flight.list(), [("b.B/Get".to_owned(), 1)]);
        drop(second);
        assert_eq!(in_flight.list(), []);
    }

    #[test]
    fn invented_paths_do_not_grow_it_without_bound() {
        let in_flight = InFlight::default();
        let calls: Vec<_> = (0..10_000)
            .map(|n| in_flight.enter(&format!("/x/{n}"), &Arc::default()))
            .collect();
        assert!(in_flight.methods.read().unwrap().len() <= MAX_METHODS + 1);
        assert_eq!(
            in_flight.list().iter().map(|(_, n)| n).sum::<usize>(),
            calls.len()
        );
    }
}
