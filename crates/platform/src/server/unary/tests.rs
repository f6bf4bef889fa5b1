use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;

use super::*;
use crate::Channel;
use crate::test_rpc::{GATE, Gate, Running, pass, start};

/// Answers a message backwards; leaves those that begin with `x` to the routes.
struct Backwards;

impl Unary for Backwards {
    fn path(&self) -> &'static str {
        GATE
    }

    fn answer(&self, _: &Principal, _: &HeaderMap, message: &[u8], out: &mut Vec<u8>) -> Option<After> {
        out.extend(message.iter().rev());
        (!message.starts_with(b"x")).then_some(None)
    }
}

/// A server whose routes answer every call at once, and without a message.
async fn server() -> Running {
    let gate = Gate::closed();
    gate.open.add_permits(100);
    start(&gate, |server| server.unary(Backwards).workers(2)).await
}

fn message(text: &str) -> String {
    let length = u8::try_from(text.len()).unwrap();
    format!("\0\0\0\0{}{text}", char::from(length))
}

fn request(content_type: &str, body: String) -> Request<Body> {
    let request = Request::post(GATE).header(CONTENT_TYPE, content_type);
    request.body(Body::new(Full::from(body))).unwrap()
}

/// All that comes back: the bytes, and the status of headers or trailers.
async fn answer(mut channel: Channel, request: Request<Body>) -> (Vec<u8>, String) {
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let mut told = head.headers;
    told.extend(body.trailers().cloned().unwrap_or_default());
    let status = told["grpc-status"].to_str().unwrap().to_owned();
    (body.to_bytes().into(), status)
}

#[tokio::test]
async fn an_ordinary_call_goes_the_short_way() {
    let running = server().await;
    let (bytes, status) = answer(running.channel(), request("application/grpc", message("abc"))).await;
    assert_eq!((bytes, status.as_str()), (message("cba").into_bytes(), "0"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn every_other_call_goes_through_the_routes() {
    let running = server().await;
    let two = message("abc") + &message("abc");
    let short = message("abc").replace("abc", "ab");
    let compressed = message("abc").replacen('\0', "\u{1}", 1);
    let large = message("abc") + &"a".repeat(MAX_BYTES);
    for body in [message("xyz"), two, short, compressed, large, String::new()] {
        let answered = answer(running.channel(), request("application/grpc", body)).await;
        assert_eq!(answered, (vec![], "0".to_owned()));
    }
    let other_type = request("application/grpc+proto", message("abc"));
    assert_eq!(answer(running.channel(), other_type).await.0, Vec::<u8>::new());
    let mut encoded = request("application/grpc", message("abc"));
    encoded
        .headers_mut()
        .insert("grpc-encoding", HeaderValue::from_static("gzip"));
    assert_eq!(answer(running.channel(), encoded).await.0, Vec::<u8>::new());
    assert_eq!(pass(running.channel()).await, tonic::Code::Ok);
    running.stop().await.unwrap();
}
