//! `Assign` and `AssignBatch` as JSON over HTTP: the same messages by the JSON mapping of proto3, on the port of gRPC.
//!
//! `POST /v1/assign` takes an `AssignRequest` and answers an `AssignResponse`, `POST /v1/assign-batch` their batch forms. Access, limits and
//! refusals are those of gRPC; a refusal is `{"error": {code, reason, message, fields}}` under the HTTP status of its code.

mod json;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use assay_platform::{Code, Failure, FieldViolation};
use futures::future::BoxFuture;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tonic::{
    body::Body,
    codegen::{
        Service,
        http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header},
    },
    server::NamedService,
};

use crate::{
    Assignments, MAX_MESSAGE_BYTES,
    grpc::{Asker, assigned, assigned_batch},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The service on the wire.
#[derive(Clone)]
pub(crate) struct Http(pub(crate) Arc<Assignments>);

impl NamedService for Http {
    /// What its paths begin with.
    const NAME: &'static str = "v1";
}

impl Service<Request<Body>> for Http {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let assignments = self.0.clone();
        Box::pin(async move {
            let answered = answer(&assignments, request).await;
            Ok(answered.map_or_else(refusal, |answer| response(StatusCode::OK, &answer)))
        })
    }
}

/// Why there is no answer.
enum Refused {
    /// As gRPC would say.
    Failure(Failure),
    /// It is no request of this door.
    Http(StatusCode, Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

async fn answer(assignments: &Assignments, request: Request<Body>) -> Result<Value, Refused> {
    let is_batch = match request.uri().path() {
        "/v1/assign" => false,
        "/v1/assign-batch" => true,
        path => return Err(not_served(path)),
    };
    check(request.method(), request.headers())?;
    let (asker, body) = Asker::of_http(request);
    let bytes = read(asker.headers(), body).await?;
    if is_batch {
        let asked = json::batch_request(&bytes).map_err(malformed)?;
        return Ok(json::batch_response(
            assigned_batch(assignments, &asker, asked).await?,
        ));
    }
    let asked = json::request(&bytes).map_err(malformed)?;
    Ok(json::response(assigned(assignments, &asker, asked).await?))
}

fn not_served(path: &str) -> Refused {
    let message = format!("`{path}` is not served here; there are /v1/assign and /v1/assign-batch");
    Refused::Http(StatusCode::NOT_FOUND, Failure::not_found("UNKNOWN_PATH", message))
}

/// That it is a POST of JSON. The type must be said: a page of another site cannot say it without being asked.
fn check(method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    let refused =
        |status, reason, message| Refused::Http(status, Failure::new(Code::InvalidArgument, reason, message));
    if method != Method::POST {
        let message = format!("{method} is not possible here; use POST");
        return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "METHOD", message));
    }
    let said = headers
        .get(header::CONTENT_TYPE)
        .and_then(|said| said.to_str().ok())
        .unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let message = format!("the content type is `{said}`; send `application/json`");
        return Err(refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "CONTENT_TYPE",
            message,
        ));
    }
    Ok(())
}

/// The whole body. What announces to be too large is not read.
async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refused> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > MAX_MESSAGE_BYTES as u64) {
        return Err(too_large());
    }
    match Limited::new(body, MAX_MESSAGE_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => {
            let message = format!("the request could not be read: {error}; send it again");
            Err(Failure::new(Code::InvalidArgument, "UNREADABLE", message).into())
        }
    }
}

fn too_large() -> Refused {
    let message =
        format!("the request has more than the {MAX_MESSAGE_BYTES} bytes that are accepted; split it");
    let failure = Failure::new(Code::InvalidArgument, "MESSAGE_TOO_LARGE", message);
    Refused::Http(StatusCode::PAYLOAD_TOO_LARGE, failure)
}

fn malformed(error: serde_json::Error) -> Refused {
    let description = format!("is not the JSON of the message: {error}");
    Failure::invalid(vec![FieldViolation::new(
        "request",
        "MALFORMED_MESSAGE",
        description,
    )])
    .into()
}

fn response(status: StatusCode, body: &Value) -> Response<Body> {
    let body = body.to_string();
    let length = body.len().into();
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CONTENT_LENGTH, length);
    response
}

fn refusal(refused: Refused) -> Response<Body> {
    let (status, failure) = match refused {
        Refused::Http(status, failure) => (status, failure),
        Refused::Failure(failure) => (status_of(failure.code), failure),
    };
    let mut response = response(status, &json::error(&failure));
    let headers = response.headers_mut();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    if let Some(delay) = failure.retry_after {
        // Whole seconds: never earlier than was asked.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn status_of(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::DataLoss | Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
