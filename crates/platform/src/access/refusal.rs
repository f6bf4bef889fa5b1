use http::{HeaderValue, Request, Response, StatusCode, header};
use tonic::Status;
use tonic::body::Body;

use crate::error::{Code, Failure};

/// What a refused caller gets: a status where gRPC is spoken, else HTTP's own.
pub(crate) fn refusal<B>(request: &Request<B>, failure: Failure) -> Response<Body> {
    let content = request.headers().get(header::CONTENT_TYPE);
    if content.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return Status::from(failure).into_http();
    }
    let status = match failure.code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    };
    let mut response = Response::new(Body::new(failure.message.clone()));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
