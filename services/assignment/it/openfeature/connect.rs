//! flagd's protocol over Connect: HTTP/1.1, JSON and protobuf.

use assay_assignment::Settings;
use assay_platform::{
    Access, Principal, Role,
    access::{Key, Scope, hash_key},
};
use assay_proto::flagd::evaluation::{v1, v2};
use prost::Message as _;
use serde_json::{Value, json};

use super::{
    Open, flags,
    http::{Exchange, post},
};
use crate::support::World;

fn path(version: &str, method: &str) -> String {
    format!("/flagd.evaluation.{version}.Service/{method}")
}

#[tokio::test]
async fn one_flag_in_json_has_its_zero_value_in_both_versions() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let zeros = [
        ("ResolveBoolean", "bool", json!(false)),
        ("ResolveString", "text", json!("")),
        ("ResolveFloat", "number", json!(0)),
        ("ResolveInt", "number", json!("0")),
        ("ResolveObject", "object", json!({"n": 0, "s": "", "b": false})),
    ];
    for version in ["v1", "v2"] {
        for (method, key, value) in &zeros {
            let asked = json!({ "flagKey": key, "context": { "targetingKey": "u1" } });
            let told = post(
                &open.flagd,
                &path(version, method),
                &["connect-protocol-version: 1"],
                &asked,
            )
            .await;
            assert_eq!(
                (told.status, told.header("content-type")),
                (200, Some("application/json"))
            );
            let told = told.json();
            assert_eq!(told["value"], *value, "{version} {method}");
            assert_eq!(
                (&told["variant"], &told["reason"]),
                (&json!("zero"), &json!("DEFAULT"))
            );
            assert_eq!(told["metadata"]["generation"], 1);
        }
    }
    open.running.stop().await;
}

#[tokio::test]
async fn one_flag_in_protobuf_is_the_message_of_its_version() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let asked = v2::ResolveBooleanRequest {
        flag_key: "bool".into(),
        context: None,
    }
    .encode_to_vec();
    let ask = async |version: &str| {
        let line = format!("POST {}", path(version, "ResolveBoolean"));
        let told = Exchange::begin(&open.flagd, &line, &["content-type: application/proto"], &asked).await;
        let told = told.end().await;
        assert_eq!(
            (told.status, told.header("content-type")),
            (200, Some("application/proto"))
        );
        told.body
    };
    let told = v2::ResolveBooleanResponse::decode(ask("v2").await.as_slice()).unwrap();
    assert_eq!((told.value, told.variant.as_deref()), (Some(false), Some("zero")));
    let told = v1::ResolveBooleanResponse::decode(ask("v1").await.as_slice()).unwrap();
    assert_eq!((told.value, &*told.variant), (false, "zero"));
    open.running.stop().await;
}

#[tokio::test]
async fn everything_in_json_has_typed_values() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let asked = json!({ "context": { "targetingKey": "u1", "tags": ["a"] } });
    let told = post(&open.flagd, &path("v1", "ResolveAll"), &[], &asked)
        .await
        .json();
    let flags = told["flags"].as_object().unwrap();
    assert_eq!(flags["bool"]["boolValue"], json!(false));
    assert_eq!(flags["text"]["stringValue"], json!(""));
    assert_eq!(flags["number"]["doubleValue"], json!(0));
    assert_eq!(flags["object"]["objectValue"]["n"], json!(0));
    assert_eq!(flags["gate"]["reason"], json!("SPLIT"));
    assert_eq!(flags["gate"]["metadata"]["ignoredAttributes"], json!("tags"));
    assert!(!flags.contains_key("list"));
    assert_eq!(told["metadata"], json!({"flagSetId": "default", "generation": 1}));
    let absent = post(&open.flagd, &path("v2", "ResolveAll"), &[], &asked).await;
    assert_eq!(absent.status, 501, "version 2 has no such method");
    open.running.stop().await;
    assert_eq!(world.exposures().await, []);
}

#[tokio::test]
async fn errors_are_json_with_the_code_and_the_details_of_grpc() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let boolean = path("v2", "ResolveBoolean");
    let ask = async |key: &str, headers: &[&str]| {
        let asked = json!({ "flagKey": key });
        let told = post(&open.flagd, &boolean, headers, &asked).await;
        let body = told.json();
        (told.status, body["code"].as_str().unwrap().to_owned(), body)
    };
    let (status, code, body) = ask("nowhere", &[]).await;
    assert_eq!((status, &*code), (404, "not_found"));
    assert_eq!(body["details"][0]["type"], json!("google.rpc.ErrorInfo"));
    assert!(body["message"].as_str().unwrap().contains("`nowhere`"));
    let (status, code, _) = ask("text", &[]).await;
    assert_eq!((status, &*code), (400, "invalid_argument"));
    let (status, code, _) = ask("gate", &[]).await;
    assert_eq!((status, &*code), (400, "failed_precondition"));
    let (status, code, _) = ask("bool", &["flagd-selector: flagSetId=elsewhere"]).await;
    assert_eq!((status, &*code), (404, "not_found"));
    let (status, code, _) = ask("bool", &["content-encoding: gzip"]).await;
    assert_eq!((status, &*code), (501, "unimplemented"));
    let get = Exchange::begin(&open.flagd, &format!("GET {boolean}"), &[], b"")
        .await
        .end()
        .await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    let content = ["content-type: text/plain"];
    let text = Exchange::begin(&open.flagd, &format!("POST {boolean}"), &content, b"x")
        .await
        .end()
        .await;
    assert_eq!(text.status, 415);
    let unknown = post(&open.flagd, &path("v2", "Nothing"), &[], &json!({})).await;
    assert_eq!(unknown.status, 501);
    open.running.stop().await;
}

/// The envelopes of a stream: flags and message.
fn envelopes(mut rest: &[u8]) -> Vec<(u8, Value)> {
    let mut found = Vec::new();
    while let Some((prefix, behind)) = rest.split_at_checked(5) {
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
        let (message, behind) = behind.split_at(length);
        found.push((prefix[0], serde_json::from_slice(message).unwrap()));
        rest = behind;
    }
    found
}

#[tokio::test]
async fn a_stream_is_a_sequence_of_envelopes_with_an_end() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let line = format!("POST {}", path("v1", "EventStream"));
    let content = ["content-type: application/connect+json"];
    let envelope = b"\0\0\0\0\x02{}";
    let mut stream = Exchange::begin(&open.flagd, &line, &content, envelope).await;
    let head = stream.until("\r\n\r\n").await;
    assert!(
        head.contains("200 OK") && head.contains("application/connect+json"),
        "{head}"
    );
    assert!(stream.until("}").await.contains("provider_ready"));
    let mut newer = flags();
    newer.remove(0);
    world.bus.publish("default", 2, &newer).await;
    assert!(
        stream
            .until("configuration_change")
            .await
            .contains(r#""bool":{"type":"delete"}"#)
    );
    let stopping = tokio::spawn(open.running.stop());
    stream.until("provider_shutdown").await;
    // The last envelope is marked as such, and says that it is worth coming back.
    let last = stream.until("}]").await;
    assert!(
        last.contains("\u{2}\0\0") && last.contains(r#""code":"unavailable""#),
        "{last:?}"
    );
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_refused_stream_says_so_in_its_last_envelope() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let line = format!("POST {}", path("v1", "EventStream"));
    let headers = [
        "content-type: application/connect+json",
        "flagd-selector: nonsense",
    ];
    let told = Exchange::begin(&open.flagd, &line, &headers, b"\0\0\0\0\x02{}")
        .await
        .end()
        .await;
    assert_eq!(told.status, 200);
    let envelopes = envelopes(&told.body);
    assert_eq!(envelopes.len(), 1);
    let (flags, end) = &envelopes[0];
    assert_eq!(
        (*flags, &end["error"]["code"]),
        (2, &json!("failed_precondition"))
    );
    open.running.stop().await;
}

#[tokio::test]
async fn a_browser_may_ask_and_read_and_needs_its_key_for_the_call_only() {
    let world = World::new().await;
    world.bus.publish("default", 1, &flags()).await;
    let key = Key {
        hash: hash_key("good"),
        principal: Principal {
            name: "web".into(),
            roles: [Role::Assigner].into(),
            scope: Scope::All,
        },
        expires_at_micros: None,
    };
    let access = Access::keys([key], world.clock.shared());
    access.replace([]);
    let settings = Settings {
        access,
        ..Settings::default()
    };
    let open = Open::start(&world, settings).await;
    let boolean = path("v1", "ResolveBoolean");
    let asks = [
        "origin: https://shop.example",
        "access-control-request-method: POST",
        "access-control-request-headers: authorization, connect-protocol-version",
    ];
    let preflight = Exchange::begin(&open.flagd, &format!("OPTIONS {boolean}"), &asks, b"")
        .await
        .end()
        .await;
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-origin")),
        (204, Some("*"))
    );
    let allowed = preflight.header("access-control-allow-headers");
    assert_eq!(allowed, Some("authorization, connect-protocol-version"));
    let origin = "origin: https://shop.example";
    let refused = post(&open.flagd, &boolean, &[origin], &json!({ "flagKey": "bool" })).await;
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (401, Some("*"))
    );
    assert_eq!(refused.json()["code"], json!("unauthenticated"));
    let told = crate::support::eventually(async || {
        let headers = [origin, "authorization: Bearer good"];
        let told = post(&open.flagd, &boolean, &headers, &json!({ "flagKey": "bool" })).await;
        if told.status == 200 {
            Ok(told)
        } else {
            Err(format!("{told:?}"))
        }
    })
    .await;
    assert_eq!(told.header("access-control-allow-origin"), Some("*"));
    assert_eq!(told.json()["value"], json!(false));
    open.running.stop().await;
}
