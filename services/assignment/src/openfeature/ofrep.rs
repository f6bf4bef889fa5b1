//! OFREP, the OpenFeature Remote Evaluation Protocol 0.3: JSON over HTTP.
//!
//! <https://github.com/open-feature/protocol>. One flag, all flags (with an entity tag: who has them gets 304), a stream that says when
//! to ask again ([`sse`]), and beside the protocol a door for tracking calls ([`track`]), for which it has none yet.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context as Task, Poll},
    time::Duration,
};

use assay_core::value::Attribute;
use assay_platform::{Channel, Code, Failure, Principal};
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tonic::{body::Body, server::NamedService};
use tower::Service;

use super::{
    Caller, OpenFeature, Resolution, code,
    context::Context,
    failure, invalid_context,
    mapping::{Asked, Problem},
    refused, sse, track,
    web::{self, Cors},
};

/// What every path begins with.
const ROOT: &str = "/ofrep/v1/";
/// Longest wait for a generation that the caller has heard of elsewhere.
const GENERATION_WAIT: Duration = Duration::from_secs(1);
/// Seconds after which a page that nobody looks at may hang up.
const INACTIVITY_SECS: u32 = 120;

/// The protocol on the wire.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) open: Arc<OpenFeature>,
    pub(crate) cors: Arc<Cors>,
    /// Where tracking calls go.
    pub(crate) ingest: Option<Channel>,
}

impl NamedService for Edge {
    const NAME: &'static str = "ofrep";
}

impl Service<Request<Body>> for Edge {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let edge = self.clone();
        let answered = async move {
            let headers = request.headers().clone();
            if web::is_preflight(&request) {
                return Ok(edge.cors.preflight(&headers));
            }
            let mut response = edge.answer(request).await;
            edge.cors.allow(&headers, &mut response);
            Ok(response)
        };
        answered.boxed()
    }
}

/// Which door of the protocol a path leads to.
#[derive(Debug, PartialEq)]
enum Path {
    One(String),
    All,
    Stream,
    Track,
}

impl Path {
    fn of(path: &str) -> Option<(Self, Method)> {
        match path.strip_prefix(ROOT)?.trim_end_matches('/') {
            "evaluate/flags" => Some((Self::All, Method::POST)),
            "stream" => Some((Self::Stream, Method::GET)),
            "track" => Some((Self::Track, Method::POST)),
            path => {
                let key = path.strip_prefix("evaluate/flags/")?;
                Some((Self::One(web::decoded(key)?), Method::POST))
            }
        }
    }
}

impl Edge {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let Some((door, method)) = Path::of(path) else {
            let message =
                format!("`{path}` is not served here; the protocol is OFREP, under {ROOT}evaluate/flags");
            return general(StatusCode::NOT_FOUND, &message);
        };
        if request.method() != method {
            let mut response = web::empty(StatusCode::METHOD_NOT_ALLOWED);
            if let Ok(allowed) = HeaderValue::from_str(method.as_str()) {
                response.headers_mut().insert(header::ALLOW, allowed);
            }
            return response;
        }
        let principal = match self.open.admit(path, request.headers()) {
            Ok(principal) => principal,
            Err(failure) => return refusal(None, &failure),
        };
        match door {
            Path::One(key) => {
                let told = self.one(&key, principal, request).await;
                told.unwrap_or_else(|failure| refusal(Some(&key), &failure))
            }
            Path::All => {
                let told = self.all(principal, request).await;
                told.unwrap_or_else(|failure| refusal(None, &failure))
            }
            Path::Stream => {
                let told = sse::stream(&self.open, principal, &request);
                told.unwrap_or_else(|failure| refusal(None, &failure))
            }
            Path::Track => {
                let told = track::track(&self.open, self.ingest.as_ref(), principal, request).await;
                told.unwrap_or_else(|failure| refusal(None, &failure))
            }
        }
    }

    async fn one(
        &self,
        key: &str,
        principal: Arc<Principal>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        let caller = self.open.caller(principal, request.headers())?;
        let context = context(request.into_body()).await?;
        let told = self
            .open
            .one(&caller, key, Asked::Any, &context)
            .await
            .map_err(refused)?;
        Ok(match told {
            Ok(resolution) => web::json(StatusCode::OK, &success(key, &resolution)),
            Err(problem) => web::json(status(&problem), &problem_json(key, &problem, &caller)),
        })
    }

    async fn all(
        &self,
        principal: Arc<Principal>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        let caller = self.open.caller(principal, request.headers())?;
        let wanted = web::parameter(request.uri().query(), "flagConfigEtag");
        if let Some(generation) = wanted.as_deref().and_then(sse::generation)
            && !self
                .open
                .serves_within(&caller, generation, GENERATION_WAIT)
                .await
        {
            let message = format!("generation {generation} is not served here yet; ask again");
            return Err(Failure::unavailable(
                "PROVIDER_NOT_READY",
                message,
                GENERATION_WAIT,
            ));
        }
        let known = request.headers().get(header::IF_NONE_MATCH).cloned();
        let context = context(request.into_body()).await?;
        let snapshot = self.open.assignments.serving.snapshot(caller.namespace.as_str());
        let tag = etag(snapshot.map_err(refused)?.generation(), &caller, &context);
        if known.is_some_and(|known| matches(&known, &tag)) {
            let mut response = web::empty(StatusCode::NOT_MODIFIED);
            tagged(&mut response, &tag);
            return Ok(response);
        }
        let everything = self.open.all(&caller, &context).await.map_err(refused)?;
        let (generation, is_degraded) = (everything.generation, everything.is_degraded);
        let flag = |(key, told): (assay_core::key::FlagKey, Result<Resolution, Problem>)| match told {
            Ok(resolution) => success(key.as_str(), &resolution),
            Err(problem) => problem_json(key.as_str(), &problem, &caller),
        };
        let flags: Vec<_> = everything.answers.into_iter().map(flag).collect();
        let mut body = json!({
            "flags": flags,
            "metadata": { "flagSetId": caller.namespace.as_str(), "generation": generation },
        });
        // A browser cannot send a key with a stream: where one is needed, it asks again from time to time.
        if self.open.access.is_open() {
            body["eventStreams"] = json!([{
                "type": "sse",
                "endpoint": { "requestUri": sse::uri(&caller.namespace) },
                "inactivityDelaySec": INACTIVITY_SECS,
            }]);
        }
        let mut response = web::json(StatusCode::OK, &body);
        // What a store out of reach has changed is not to be kept; nor what is of a newer generation than its tag.
        if !is_degraded {
            tagged(&mut response, &etag(generation, &caller, &context));
        }
        Ok(response)
    }
}

/// The context of a request.
async fn context(body: Body) -> Result<Context, Failure> {
    let unreadable = |message: String| Failure::new(Code::FailedPrecondition, "PARSE_ERROR", message);
    let body = web::read(body).await.map_err(unreadable)?;
    let json = web::parse(&body).map_err(unreadable)?;
    let context = web::object(&json, "context").map_err(unreadable)?;
    Context::read(context).map_err(invalid_context)
}

fn success(key: &str, told: &Resolution) -> Value {
    json!({
        "key": key,
        "value": web::value(&told.value),
        "reason": told.reason.name(),
        "variant": told.variant,
        "metadata": web::metadata(told),
    })
}

fn problem_json(key: &str, problem: &Problem, caller: &Caller) -> Value {
    let details = failure(problem, key, &caller.namespace).message.clone();
    json!({ "key": key, "errorCode": code(problem), "errorDetails": details })
}

fn status(problem: &Problem) -> StatusCode {
    match problem {
        Problem::FlagNotFound => StatusCode::NOT_FOUND,
        Problem::ParseError | Problem::TypeMismatch { .. } | Problem::TargetingKeyMissing => {
            StatusCode::BAD_REQUEST
        }
    }
}

/// A request that is refused as a whole.
fn refusal(key: Option<&str>, failure: &Failure) -> Response<Body> {
    let (status, error_code) = match failure.code {
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "GENERAL"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "GENERAL"),
        Code::NotFound => (StatusCode::NOT_FOUND, "FLAG_NOT_FOUND"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "PROVIDER_NOT_READY"),
        Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "GENERAL"),
        Code::Internal | Code::DataLoss => (StatusCode::INTERNAL_SERVER_ERROR, "GENERAL"),
        _ if failure.reason == "PARSE_ERROR" => (StatusCode::BAD_REQUEST, "PARSE_ERROR"),
        _ if failure.reason == "INVALID_CONTEXT" => (StatusCode::BAD_REQUEST, "INVALID_CONTEXT"),
        _ => (StatusCode::BAD_REQUEST, "GENERAL"),
    };
    let mut body = json!({ "errorCode": error_code, "errorDetails": failure.message });
    if let Some(key) = key {
        body["key"] = key.into();
    }
    let mut response = web::json(status, &body);
    let headers = response.headers_mut();
    if let Some(delay) = failure.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
    }
    if failure.code == Code::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn general(status: StatusCode, details: &str) -> Response<Body> {
    web::json(
        status,
        &json!({ "errorCode": "GENERAL", "errorDetails": details }),
    )
}

/// What all answers for `context` are known by: the same namespace, generation and context give the same ones.
fn etag(generation: u64, caller: &Caller, context: &Context) -> String {
    let attribute = |attribute: &Attribute| match attribute {
        Attribute::Bool(flag) => json!(flag),
        Attribute::Number(number) => json!(number),
        Attribute::String(text) => json!(text),
    };
    let attributes = context
        .attributes
        .iter()
        .map(|(name, of)| json!([name, attribute(of)]));
    let unit = context.unit.as_ref().map(assay_core::key::Unit::id);
    let canonical = json!([
        generation,
        caller.namespace.as_str(),
        unit,
        attributes.collect::<Vec<_>>()
    ]);
    let digest = Sha256::digest(canonical.to_string());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn matches(known: &HeaderValue, tag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    let mut known = known.split(',').map(str::trim);
    known.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

fn tagged(response: &mut Response<Body>, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_door_and_keys_are_decoded() {
        let of = |path: &str| Path::of(path).map(|(door, _)| door);
        assert_eq!(of("/ofrep/v1/evaluate/flags"), Some(Path::All));
        assert_eq!(
            of("/ofrep/v1/evaluate/flags/a%2Fb"),
            Some(Path::One("a/b".into()))
        );
        assert_eq!(of("/ofrep/v1/stream"), Some(Path::Stream));
        assert_eq!(of("/ofrep/v2/evaluate/flags"), None);
        assert_eq!(of("/ofrep/v1/configuration"), None);
    }

    #[test]
    fn a_tag_matches_itself_in_a_list_weak_or_as_a_star() {
        let is = |known: &'static str| matches(&HeaderValue::from_static(known), "\"a\"");
        assert!(is("\"a\"") && is("\"b\", W/\"a\"") && is("*"));
        assert!(!is("\"b\"") && !is("a"));
    }
}
