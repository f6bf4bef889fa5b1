use http::Request;
use tonic::Code;
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::*;
use crate::test_rpc::{GATE, Gate, call, start};

fn problem(uri: &str) -> String {
    connect_lazy(uri, &ChannelOptions::default())
        .unwrap_err()
        .to_string()
}

#[tokio::test]
async fn good_addresses() {
    for uri in ["http://127.0.0.1:7071", "http://config:7071/", "http://[::1]:1"] {
        assert!(connect_lazy(uri, &ChannelOptions::default()).is_ok(), "{uri}");
    }
}

#[tokio::test]
async fn bad_addresses_say_what_is_wrong() {
    assert!(
        problem("config:7071").contains("begin with `http://`"),
        "{}",
        problem("config:7071")
    );
    assert!(problem("https://config:7071").contains("needs TLS"));
    assert!(problem("http://config:7071/v1").contains("has a path"));
    assert!(problem("http://conf ig").contains("`http://conf ig` is not a server address"));
    assert!(problem("http://config:7071?x=1").contains("has a path"));
    assert!(
        problem("http://:7071").contains("has no host"),
        "{}",
        problem("http://:7071")
    );
    assert!(problem("").contains("is not a server address"));
}

#[tokio::test]
async fn no_answer_in_time_is_deadline_exceeded() {
    let running = start(&Gate::closed(), |server| server).await;
    let options = ChannelOptions {
        request_timeout: Duration::from_millis(50),
        ..Default::default()
    };
    let mut channel = connect_lazy(&running.uri, &options).unwrap();
    let request = Request::post(GATE).body(Body::empty()).unwrap();
    assert_eq!(call(&mut channel, request).await, Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_timeout_that_the_server_notices_is_deadline_exceeded() {
    let running = start(&Gate::closed(), |server| server).await;
    let request = Request::post(GATE)
        .header("grpc-timeout", "50m")
        .body(Body::empty())
        .unwrap();
    assert_eq!(
        call(&mut running.channel(), request).await,
        Code::DeadlineExceeded
    );
    let mut headers = http::HeaderMap::new();
    headers.insert("grpc-status", "1".parse().unwrap());
    headers.insert("grpc-message", "Timeout%20expired".parse().unwrap());
    deadline::rename_timeout(&mut headers);
    assert_eq!(headers["grpc-status"], "4");
}

async fn failure(uri: &str, path: &str) -> crate::Failure {
    let mut channel = connect_lazy(uri, &ChannelOptions::default()).unwrap();
    let request = Request::post(path).body(Body::empty()).unwrap();
    let error = channel.ready().await.unwrap().call(request).await.unwrap_err();
    crate::Failure::from_status(&error)
}

#[tokio::test]
async fn a_server_of_another_protocol_is_unavailable_and_named() {
    use tokio::io::AsyncWriteExt;

    let listener = crate::server::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            peer.write_all(answer).await.unwrap();
        }
    });
    let failure = failure(&uri, GATE).await;
    serving.abort();
    assert_eq!(failure.code, crate::Code::Unavailable, "{failure}");
    assert!(failure.message.contains(&uri), "{failure}");
}

#[tokio::test]
async fn a_server_without_the_service_is_named_with_it() {
    let running = start(&Gate::closed(), |server| server).await;
    let failure = failure(&running.uri, "/assay.config.v1.FlagService/GetFlag").await;
    assert_eq!(failure.code, crate::Code::Unimplemented);
    let expected = format!("the server at {} has no assay.config.v1.FlagService", running.uri);
    assert!(failure.message.starts_with(&expected), "{failure}");
    let service = ("service".to_owned(), "assay.config.v1.FlagService".to_owned());
    assert!(failure.metadata.contains(&service), "{:?}", failure.metadata);
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_named() {
    let listener = crate::server::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut channel = connect_lazy(&uri, &ChannelOptions::default()).unwrap();
    let request = Request::post(GATE).body(Body::empty()).unwrap();
    let error = channel.ready().await.unwrap().call(request).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(
        error.message().starts_with(&format!("cannot reach {uri}: ")),
        "{error}"
    );
    assert!(error.message().contains("refused"), "{error}");
}
