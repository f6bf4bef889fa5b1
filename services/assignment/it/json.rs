//! JSON over HTTP, spoken by hand.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Running, World};

/// Status, head and body of the answer to a request in HTTP/1.1.
async fn call(running: &Running, head: &str, body: &str) -> (u16, String, String) {
    send(running, head, body.len(), body).await
}

/// The same for a body that announces another length than it has.
async fn send(running: &Running, head: &str, length: usize, body: &str) -> (u16, String, String) {
    let address = running.uri.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("{head}\r\nhost: assay\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

async fn post(running: &Running, path: &str, body: Value) -> (u16, Value) {
    let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json; charset=utf-8");
    let (status, head, body) = call(running, &head, &body.to_string()).await;
    assert!(head.contains("content-type: application/json"), "{head}");
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn the_answers_are_those_of_grpc() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let asked = json!({"unit": {"id": "u1"}, "flagKeys": ["gate", "nothing"]});
    let (status, answer) = post(&running, "/v1/assign", asked).await;
    assert_eq!(status, 200, "{answer}");
    let over_grpc = running.one("u1", "gate").await.unwrap();
    let [gate, nothing] = &answer["assignments"].as_array().unwrap()[..] else {
        panic!("{answer}")
    };
    assert_eq!(gate["variantKey"], over_grpc.variant_key);
    assert_eq!(
        (&gate["reason"], &gate["generation"]),
        (&json!("REASON_SPLIT"), &json!("1"))
    );
    assert_eq!(gate["value"], json!(over_grpc.variant_key == "on"));
    assert_eq!(nothing["reason"], "REASON_UNKNOWN_FLAG");

    let asked = json!({"items": [{"unit": {"id": "u1"}}, {"unit": {"id": "\u{1}"}}], "flag_keys": ["gate"]});
    let (status, answer) = post(&running, "/v1/assign-batch", asked).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["results"][0]["assignments"][0], *gate);
    assert_eq!(answer["results"][1]["errorField"], "unit.id");
    running.stop().await;
    // One by gRPC and one by the batch: the first asked for two flags.
    assert_eq!(world.exposed_units(2).await, ["u1", "u1"]);
}

#[tokio::test]
async fn a_refusal_has_a_status_a_reason_and_its_fields() {
    let world = World::with_gate().await;
    let running = world.serving(1).await;
    let (status, refused) = post(&running, "/v1/assign", json!({"flagKeys": [""]})).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (400, &json!("INVALID_ARGUMENT"))
    );
    assert_eq!(refused["error"]["fields"][0]["field"], "flag_keys[0]");
    let (status, refused) = post(&running, "/v1/assign", json!({"flags": ["gate"]})).await;
    assert_eq!(status, 400);
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("unknown field `flags`"),
        "{refused}"
    );

    let (status, head, _) = call(&running, "GET /v1/assign HTTP/1.1", "").await;
    assert_eq!((status, head.contains("allow: post")), (405, true));
    let (status, ..) = call(
        &running,
        "POST /v1/assign HTTP/1.1\r\ncontent-type: text/plain",
        "{}",
    )
    .await;
    assert_eq!(status, 415);
    let (status, ..) = call(
        &running,
        "POST /v1/assignment HTTP/1.1\r\ncontent-type: application/json",
        "{}",
    )
    .await;
    assert_eq!(status, 404);
    let head = "POST /v1/assign HTTP/1.1\r\ncontent-type: application/json";
    let (status, _, body) = send(&running, head, 5 * 1024 * 1024, "").await;
    assert_eq!(status, 413, "{body}");
    running.stop().await;
}

#[tokio::test]
async fn without_configuration_it_says_when_to_come_back() {
    let world = World::new().await;
    world.bus.cut(true);
    let running = world.start().await;
    let head = "POST /v1/assign HTTP/1.1\r\ncontent-type: application/json";
    let (status, head, body) = call(&running, head, r#"{"flagKeys": ["gate"]}"#).await;
    assert_eq!((status, head.contains("retry-after: 1")), (503, true), "{body}");
    assert!(body.contains("NO_CONFIGURATION"), "{body}");
    running.stop().await;
}
