//! What is asked under an idempotency key is done once: a layer around every method, so that no use case thinks of it.
//!
//! The key is taken in the transaction of the change ([`claim`], which [`crate::truth::Truth`] asks), so of two requests under one key
//! one is done. The answer is kept right after it: whoever asks again gets the same bytes. When the process dies between the two, who asks again
//! is told which generation was made. A refused request has changed nothing and takes no key.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use assay_core::time::Timestamp;
use assay_platform::{
    Code, Failure, Principal, Role, Shutdown,
    access::{Permission, permission},
    error::chain,
};
use assay_storage::{
    access_store::{AccessStore, Done},
    config_store::Claim,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use sha2::{Digest, Sha256};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{error::Error, truth::Truth};

/// The header of the key.
const HEADER: &str = "idempotency-key";
/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 128;
/// Larger requests are refused by the services, too.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024 + 5;
/// Larger answers are not kept; none of ours is.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How long what was done is remembered.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How often what is older is forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);

tokio::task_local! {
    static PENDING: Arc<Pending>;
}

/// The key of the request under way.
struct Pending {
    claim: Claim,
    is_done: AtomicBool,
}

/// The key that the next change must take; nothing when the request has none, or has taken it with a change before.
pub(crate) fn claim() -> Option<Claim> {
    let pending = PENDING.try_with(Arc::clone).ok()?;
    let is_open = !pending.is_done.load(Ordering::Relaxed);
    is_open.then(|| pending.claim.clone())
}

/// The change that took the key was made.
pub(crate) fn done() {
    // Without a key there is nothing to say.
    let _no_key = PENDING.try_with(|pending| pending.is_done.store(true, Ordering::Relaxed));
}

/// Forgets what was done long ago, until `shutdown`.
pub(crate) async fn forget(truth: &Truth, store: &Arc<dyn AccessStore>, shutdown: Shutdown) {
    let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
    let mut rounds = tokio::time::interval(FORGET_INTERVAL);
    while shutdown.or_done(rounds.tick()).await.is_some() {
        let before = Timestamp::from_micros(truth.now().micros().saturating_sub(kept));
        if let Err(error) = store.forget_done(before).await {
            tracing::warn!(error = chain(&error), "old idempotency keys are forgotten later");
        }
    }
}

/// Does what is asked under a key once.
#[derive(Clone)]
pub(crate) struct OnceLayer {
    store: Arc<dyn AccessStore>,
}

impl OnceLayer {
    pub(crate) fn new(store: Arc<dyn AccessStore>) -> Self {
        Self { store }
    }
}

impl<S> Layer<S> for OnceLayer {
    type Service = Once<S>;

    fn layer(&self, inner: S) -> Once<S> {
        Once {
            inner,
            store: self.store.clone(),
        }
    }
}

/// A service behind [`OnceLayer`].
#[derive(Clone)]
pub(crate) struct Once<S> {
    inner: S,
    store: Arc<dyn AccessStore>,
}

impl<S, B, R> Service<Request<B>> for Once<S>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let key = request.headers().get(HEADER).cloned();
        let Some(key) = key.filter(|_| !is_read(request.uri().path())) else {
            let answer = inner.call(request.map(Body::new));
            return Box::pin(async move { Ok(answer.await?.map(Body::new)) });
        };
        let store = self.store.clone();
        Box::pin(async move {
            let answered = once(&*store, &mut inner, request, &key).await;
            Ok(answered.unwrap_or_else(|failure| Status::from(failure).into_http()))
        })
    }
}

/// Whether the method changes nothing, so that asking again is harmless.
fn is_read(path: &str) -> bool {
    matches!(permission(path), Some(Permission::Role(Role::Viewer)))
}

/// Answers `request`, anew or from what is kept.
async fn once<S, B, R>(
    store: &dyn AccessStore,
    inner: &mut S,
    request: Request<B>,
    key: &HeaderValue,
) -> Result<Response<Body>, Failure>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_REQUEST_BYTES).collect().await;
    let body = body.map_err(|_| too_large())?.to_bytes();
    let claim = Claim {
        principal: Principal::of(&head.extensions).name.clone(),
        key: checked(key)?,
        request: hash(head.uri.path(), &body),
    };
    let found = store.done(&claim.principal, &claim.key).await;
    if let Some(done) = found.map_err(Error::from)? {
        return kept(done, &claim);
    }
    let pending = Arc::new(Pending {
        claim,
        is_done: AtomicBool::new(false),
    });
    let call = inner.call(Request::from_parts(head, Body::new(Full::new(body))));
    let answer = PENDING.scope(pending.clone(), call).await;
    let answer = answer.unwrap_or_else(|never| match never {});
    if !pending.is_done.load(Ordering::Relaxed) {
        return Ok(answer.map(Body::new));
    }
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| Failure::internal(error.to_string()))?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let message = body.to_bytes();
    if trailers
        .get(Status::GRPC_STATUS)
        .is_some_and(|status| status == "0")
    {
        let Claim { principal, key, .. } = &pending.claim;
        if let Err(error) = store.keep_answer(principal, key, &message).await {
            tracing::warn!(
                error = chain(&error),
                "an answer cannot be kept for a repeated request"
            );
        }
    }
    Ok(Response::from_parts(head, whole(message, trailers)))
}

fn checked(key: &HeaderValue) -> Result<String, Failure> {
    let text = key.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > MAX_KEY_BYTES {
        let message =
            format!("the header `{HEADER}` must have 1 to {MAX_KEY_BYTES} visible ASCII characters");
        return Err(Failure::new(Code::InvalidArgument, "IDEMPOTENCY_KEY", message));
    }
    Ok(text.to_owned())
}

fn hash(path: &str, body: &[u8]) -> [u8; 32] {
    let method = Sha256::new().chain_update(path).chain_update([0]);
    method.chain_update(body).finalize().into()
}

/// The answer to what was done before.
fn kept(done: Done, claim: &Claim) -> Result<Response<Body>, Failure> {
    if done.request != claim.request {
        let message = "this idempotency key was used for another request; use a new key for each request";
        return Err(Failure::new(
            Code::FailedPrecondition,
            "IDEMPOTENCY_KEY_REUSED",
            message,
        ));
    }
    let Some(answer) = done.answer else {
        let message = format!(
            "this request was done before and made generation {} of namespace {}, but its answer was not kept; read what it changed",
            done.generation, done.namespace
        );
        return Err(Failure::new(Code::Aborted, "IDEMPOTENCY_ANSWER_LOST", message)
            .with_metadata("generation", done.generation.to_string()));
    };
    let mut trailers = HeaderMap::new();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(whole(answer.into(), trailers));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("idempotent-replay", HeaderValue::from_static("true"));
    Ok(response)
}

/// A body of one message and its trailers.
fn whole(message: Bytes, trailers: HeaderMap) -> Body {
    let frames = [
        http_body::Frame::data(message),
        http_body::Frame::trailers(trailers),
    ];
    Body::new(StreamBody::new(futures::stream::iter(
        frames.map(Ok::<_, Infallible>),
    )))
}

fn too_large() -> Failure {
    Failure::new(
        Code::ResourceExhausted,
        "MESSAGE_TOO_LARGE",
        "the request is larger than 4 MiB; send less",
    )
}
