//! flagd's protocol over Connect: plain HTTP POST, JSON or protobuf, for browsers and for clients that prefer it to gRPC.
//!
//! <https://connectrpc.com/docs/protocol>: a unary call is a body in, a body out, and an error is JSON under an HTTP status. A stream is
//! a sequence of envelopes (one byte of flags, four of length), the last one with what has gone wrong. Calls of gRPC on the same port go
//! on to their service.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context as Task, Poll},
    time::Duration,
};

use assay_platform::{Code, Failure, Principal};
use assay_proto::flagd::evaluation::v1;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message as _;
use prost_types::Struct;
use serde_json::json;
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use super::{
    Caller, Everything, Resolution,
    changes::Event,
    ended,
    flagd::{self, Flagd, first, second, with_values},
    mapping::{Asked, whole},
    refused,
    web::{self, Cors},
};

const GRPC: &[u8] = b"application/grpc";
const TIMEOUT: &str = "connect-timeout-ms";
/// Marks the last envelope of a stream.
const END: u8 = 0b10;
/// What stands before each message of a stream: its flags and its length.
const PREFIX: usize = 5;

/// One version of the service, over gRPC and Connect.
#[derive(Clone)]
pub(crate) struct Edge<S> {
    pub(crate) grpc: S,
    pub(crate) flagd: Flagd,
    pub(crate) cors: Arc<Cors>,
}

impl<S: NamedService> NamedService for Edge<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Edge<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        self.grpc.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if is_grpc(request.headers()) {
            return match self.flagd.0.admit(request.uri().path(), request.headers()) {
                Ok(principal) => {
                    request.extensions_mut().insert(principal);
                    self.grpc.call(request).boxed()
                }
                Err(failure) => futures::future::ready(Ok(Status::from(failure).into_http())).boxed(),
            };
        }
        let (flagd, cors) = (self.flagd.clone(), self.cors.clone());
        let is_second = S::NAME == assay_proto::flagd::evaluation::v2::service_server::SERVICE_NAME;
        let answered = async move {
            let headers = request.headers().clone();
            if web::is_preflight(&request) {
                return Ok(cors.preflight(&headers));
            }
            let mut response = answer(&flagd, is_second, request).await;
            cors.allow(&headers, &mut response);
            Ok(response)
        };
        answered.boxed()
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let behind = content.and_then(|content| content.strip_prefix(GRPC));
    behind.is_some_and(|behind| !behind.starts_with(b"-web"))
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Json,
    Proto,
}

/// What a method does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    One(Asked),
    All,
    Stream,
}

impl Call {
    fn named(method: &str, is_second: bool) -> Option<Self> {
        Some(match method {
            "ResolveBoolean" => Self::One(Asked::Boolean),
            "ResolveString" => Self::One(Asked::String),
            "ResolveFloat" => Self::One(Asked::Float),
            "ResolveInt" => Self::One(Asked::Int),
            "ResolveObject" => Self::One(Asked::Object),
            "ResolveAll" if !is_second => Self::All,
            "EventStream" => Self::Stream,
            _ => return None,
        })
    }
}

async fn answer(flagd: &Flagd, is_second: bool, request: Request<Body>) -> Response<Body> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default();
    let Some(call) = Call::named(method, is_second) else {
        let message = format!("`{method}` is not served here; check the name and the version");
        return error(&Failure::new(Code::Unimplemented, "UNKNOWN_METHOD", message));
    };
    if request.method() != Method::POST {
        let mut response = web::empty(StatusCode::METHOD_NOT_ALLOWED);
        let post = HeaderValue::from_static("POST");
        response.headers_mut().insert(header::ALLOW, post);
        return response;
    }
    let Some(codec) = codec(request.headers(), call) else {
        let mut response = web::empty(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let accepted = match call {
            Call::Stream => "application/connect+json, application/connect+proto",
            Call::One(_) | Call::All => "application/json, application/proto",
        };
        let accepted = HeaderValue::from_static(accepted);
        response.headers_mut().insert("accept-post", accepted);
        return response;
    };
    let headers = request.headers().clone();
    let principal = match flagd.0.admit(request.uri().path(), &headers) {
        Ok(principal) => principal,
        Err(failure) => return refusal(call, codec, &failure),
    };
    if call == Call::Stream {
        return stream(flagd, principal, &headers, codec);
    }
    let answered = unary(
        flagd,
        is_second,
        principal,
        &headers,
        call,
        codec,
        request.into_body(),
    );
    let answered = match timeout(&headers) {
        Some(timeout) => tokio::time::timeout(timeout, answered).await.unwrap_or_else(|_| {
            let message = "the caller's deadline has passed";
            Err(Failure::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message))
        }),
        None => answered.await,
    };
    answered.unwrap_or_else(|failure| error(&failure))
}

fn codec(headers: &HeaderMap, call: Call) -> Option<Codec> {
    let content = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let content = content.split(';').next().unwrap_or_default().trim();
    let of = match call {
        Call::Stream => content.strip_prefix("application/connect+")?,
        Call::One(_) | Call::All => content.strip_prefix("application/")?,
    };
    match of {
        "json" => Some(Codec::Json),
        "proto" => Some(Codec::Proto),
        _ => None,
    }
}

fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers.get(TIMEOUT)?.to_str().ok()?;
    millis.parse().ok().map(Duration::from_millis)
}

async fn unary(
    flagd: &Flagd,
    is_second: bool,
    principal: Arc<Principal>,
    headers: &HeaderMap,
    call: Call,
    codec: Codec,
    body: Body,
) -> Result<Response<Body>, Failure> {
    uncompressed(headers)?;
    let caller = flagd.0.caller(principal, headers)?;
    let body = web::read(body).await.map_err(malformed)?;
    match call {
        Call::One(asked) => {
            let (key, context) = question(&body, codec)?;
            let told = flagd.one(&caller, &key, asked, context).await?;
            Ok(match codec {
                Codec::Json => web::json(StatusCode::OK, &one_json(asked, &told)),
                Codec::Proto => web::bytes("application/proto", one_proto(is_second, asked, &told)),
            })
        }
        Call::All | Call::Stream => {
            let everything = all(flagd, &caller, &body, codec).await?;
            Ok(match codec {
                Codec::Json => web::json(StatusCode::OK, &all_json(everything)),
                Codec::Proto => web::bytes("application/proto", first::all(everything).encode_to_vec()),
            })
        }
    }
}

fn uncompressed(headers: &HeaderMap) -> Result<(), Failure> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    if encoding.is_none_or(|encoding| encoding == b"identity") {
        return Ok(());
    }
    let message = "the request is compressed, which is not supported here; send it uncompressed";
    Err(Failure::new(
        Code::Unimplemented,
        "UNSUPPORTED_COMPRESSION",
        message,
    ))
}

fn malformed(message: String) -> Failure {
    Failure::new(Code::InvalidArgument, "MALFORMED_MESSAGE", message)
}

/// The requests of all methods for one flag, of both versions, have the same fields.
fn question(body: &[u8], codec: Codec) -> Result<(String, Option<Struct>), Failure> {
    match codec {
        Codec::Proto => {
            let request = v1::ResolveBooleanRequest::decode(body).map_err(|e| malformed(e.to_string()))?;
            Ok((request.flag_key, request.context))
        }
        Codec::Json => {
            let json = web::parse(body).map_err(malformed)?;
            let key = json.get("flagKey").or_else(|| json.get("flag_key"));
            let key = key.and_then(|key| key.as_str()).unwrap_or_default().to_owned();
            let context = web::object(&json, "context").map_err(malformed)?;
            Ok((key, context))
        }
    }
}

async fn all(flagd: &Flagd, caller: &Caller, body: &[u8], codec: Codec) -> Result<Everything, Failure> {
    let context = match codec {
        Codec::Proto => {
            let request = v1::ResolveAllRequest::decode(body).map_err(|e| malformed(e.to_string()))?;
            request.context
        }
        Codec::Json => {
            let json = web::parse(body).map_err(malformed)?;
            web::object(&json, "context").map_err(malformed)?
        }
    };
    flagd.all(caller, context).await
}

/// Protobuf's JSON of an answer, but that zero values are always there. A 64-bit integer is a text there.
fn one_json(asked: Asked, told: &Resolution) -> serde_json::Value {
    let value = match (asked, &told.value) {
        (Asked::Int, assay_core::value::Value::Number(number)) => {
            whole(*number).unwrap_or_default().to_string().into()
        }
        (_, value) => web::value(value),
    };
    json!({
        "value": value,
        "reason": told.reason.name(),
        "variant": told.variant,
        "metadata": web::metadata(told),
    })
}

fn one_proto(is_second: bool, asked: Asked, told: &Resolution) -> Vec<u8> {
    match (asked, is_second) {
        (Asked::Boolean, false) => first::boolean(told).encode_to_vec(),
        (Asked::Boolean, true) => second::boolean(told).encode_to_vec(),
        (Asked::String, false) => first::string(told).encode_to_vec(),
        (Asked::String, true) => second::string(told).encode_to_vec(),
        (Asked::Float, false) => first::float(told).encode_to_vec(),
        (Asked::Float, true) => second::float(told).encode_to_vec(),
        (Asked::Int, false) => first::int(told).encode_to_vec(),
        (Asked::Int, true) => second::int(told).encode_to_vec(),
        (Asked::Object | Asked::Any, false) => first::structure(told).encode_to_vec(),
        (Asked::Object | Asked::Any, true) => second::structure(told).encode_to_vec(),
    }
}

fn all_json(everything: Everything) -> serde_json::Value {
    use assay_core::value::Value;
    let about = json!({ "flagSetId": everything.namespace.as_str(), "generation": everything.generation });
    let any = |(key, told): (String, Resolution)| {
        let field = match &told.value {
            Value::Bool(_) => "boolValue",
            Value::String(_) => "stringValue",
            Value::Number(_) => "doubleValue",
            Value::Json(json) if json.is_object() => "objectValue",
            // A list has no place in the protocol.
            Value::Json(_) => return None,
        };
        let flag = json!({
            field: web::value(&told.value),
            "reason": told.reason.name(),
            "variant": told.variant,
            "metadata": web::metadata(&told),
        });
        Some((key, flag))
    };
    let flags: serde_json::Map<_, _> = with_values(everything).filter_map(any).collect();
    json!({ "flags": flags, "metadata": about })
}

/// An error of a unary call.
fn error(failure: &Failure) -> Response<Body> {
    let mut response = web::json(http_status(failure.code), &error_json(failure));
    if failure.code == Code::Unauthenticated {
        let bearer = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

fn error_json(failure: &Failure) -> serde_json::Value {
    let code = failure.code.name().to_ascii_lowercase();
    let metadata = failure.metadata.iter().cloned().collect();
    let info = tonic_types::pb::ErrorInfo {
        reason: failure.reason.to_string(),
        domain: assay_platform::error::DOMAIN.to_owned(),
        metadata,
    };
    let detail = json!({ "type": "google.rpc.ErrorInfo", "value": base64(&info.encode_to_vec()) });
    json!({ "code": code, "message": failure.message, "details": [detail] })
}

fn http_status(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::DataLoss | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Without padding, as Connect has it.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 3);
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..=chunk.len() {
            let six = (bits >> (18 - 6 * place)) & 63;
            out.push(char::from(ALPHABET[six as usize]));
        }
    }
    out
}

/// A refusal before the call: of a stream it stands in the stream, under HTTP 200.
fn refusal(call: Call, codec: Codec, failure: &Failure) -> Response<Body> {
    match call {
        Call::Stream => streamed(codec, futures::stream::iter([end(failure)]).boxed()),
        Call::One(_) | Call::All => error(failure),
    }
}

fn stream(flagd: &Flagd, principal: Arc<Principal>, headers: &HeaderMap, codec: Codec) -> Response<Body> {
    let begun = flagd.0.caller(principal, headers);
    let begun = begun.and_then(|caller| flagd.0.changes(&caller).map_err(refused));
    let events = match begun {
        Ok(events) => events,
        Err(failure) => return refusal(Call::Stream, codec, &failure),
    };
    let message = move |event: Event| {
        let message = match codec {
            Codec::Proto => first::event(&event).encode_to_vec(),
            Codec::Json => event_json(&event).to_string().into_bytes(),
        };
        envelope(0, &message)
    };
    let last = futures::stream::iter([end(&ended())]);
    streamed(codec, events.map(message).chain(last).boxed())
}

fn event_json(event: &Event) -> serde_json::Value {
    match flagd::event(event) {
        (name, Some(data)) => json!({ "type": name, "data": data }),
        (name, None) => json!({ "type": name }),
    }
}

/// The last envelope.
fn end(failure: &Failure) -> Bytes {
    let end = json!({ "error": error_json(failure) });
    envelope(END, end.to_string().as_bytes())
}

fn envelope(flags: u8, message: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(PREFIX + message.len());
    out.push(flags);
    // Messages are ours, and far from 4 GiB.
    out.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(message);
    out.into()
}

fn streamed(codec: Codec, envelopes: futures::stream::BoxStream<'static, Bytes>) -> Response<Body> {
    let frames = envelopes.map(|envelope| Ok::<_, Infallible>(Frame::data(envelope)));
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let content = match codec {
        Codec::Json => "application/connect+json",
        Codec::Proto => "application/connect+proto",
    };
    let content = HeaderValue::from_static(content);
    response.headers_mut().insert(header::CONTENT_TYPE, content);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard_without_padding() {
        // RFC 4648, section 10.
        let pairs = [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xFB, 0xFF]), "+/8");
    }

    #[test]
    fn an_envelope_has_flags_and_length_before_its_message() {
        assert_eq!(envelope(0, b"ab").as_ref(), [0, 0, 0, 0, 2, b'a', b'b']);
        let last = end(&ended());
        assert_eq!((last[0], usize::from(last[4])), (2, last.len() - PREFIX));
    }

    #[test]
    fn only_grpc_itself_goes_on_to_grpc() {
        let of = |content: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
            is_grpc(&headers)
        };
        assert!(of("application/grpc") && of("application/grpc+proto"));
        assert!(
            !of("application/grpc-web+proto") && !of("application/json") && !of("application/connect+proto")
        );
    }
}
