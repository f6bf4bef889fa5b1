//! OFREP 0.3 over HTTP/1.1.

use assay_assignment::Settings;
use assay_core::value::Value as FlagValue;
use assay_platform::{
    Access, Principal, Role,
    access::{Key, Scope, hash_key},
};
use assay_proto::bus::Published;
use serde_json::{Value, json};

use super::{
    Open, flags,
    http::{Exchange, post},
    zero,
};
use crate::support::{World, eventually};

const ALL: &str = "/ofrep/v1/evaluate/flags";

fn one(key: &str) -> String {
    format!("{ALL}/{key}")
}

fn context(unit: &str) -> Value {
    json!({ "context": { "targetingKey": unit, "country": "NL" } })
}

#[tokio::test]
async fn one_flag_has_its_value_of_any_type_and_is_an_exposure() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let zeros = [
        ("bool", json!(false)),
        ("text", json!("")),
        ("number", json!(0)),
        ("half", json!(0.5)),
        ("object", json!({"n": 0, "s": "", "b": false})),
        ("list", json!([])),
    ];
    for (key, value) in zeros {
        let told = post(&open.ofrep, &one(key), &[], &Value::Null).await;
        assert_eq!(told.status, 200);
        let told = told.json();
        assert_eq!((&told["key"], &told["value"]), (&json!(key), &value));
        assert_eq!(
            (&told["variant"], &told["reason"]),
            (&json!("zero"), &json!("DEFAULT"))
        );
    }
    let told = post(&open.ofrep, &one("gate"), &[], &context("u1")).await.json();
    assert_eq!(told["reason"], json!("SPLIT"));
    assert_eq!(told["value"], json!(told["variant"] == json!("on")));
    assert_eq!(told["metadata"]["experiment"], json!("gate-test"));
    open.running.stop().await;
    assert_eq!(world.exposed_units(1).await, ["u1"]);
}

#[tokio::test]
async fn problems_have_the_status_and_the_error_code_of_the_protocol() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let ask = async |path: &str, headers: &[&str], body: &Value| {
        let told = post(&open.ofrep, path, headers, body).await;
        let body = told.json();
        assert!(
            body["errorDetails"].as_str().is_some_and(|text| !text.is_empty()),
            "{body}"
        );
        (
            told.status,
            body["errorCode"].as_str().unwrap().to_owned(),
            body["key"].clone(),
        )
    };
    let is = |status, code: &str, key: &str| (status, code.to_owned(), json!(key));
    assert_eq!(
        ask(&one("nowhere"), &[], &context("u1")).await,
        is(404, "FLAG_NOT_FOUND", "nowhere")
    );
    let elsewhere = ask(
        &one("gate"),
        &["flagd-selector: flagSetId=elsewhere"],
        &context("u1"),
    )
    .await;
    assert_eq!(elsewhere, is(404, "FLAG_NOT_FOUND", "gate"));
    assert_eq!(
        ask(&one("gate"), &[], &json!({})).await,
        is(400, "TARGETING_KEY_MISSING", "gate")
    );
    let number = json!({ "context": { "targetingKey": 7 } });
    assert_eq!(
        ask(&one("gate"), &[], &number).await,
        is(400, "INVALID_CONTEXT", "gate")
    );
    assert_eq!(
        ask(&one("gate"), &[], &json!([])).await,
        is(400, "PARSE_ERROR", "gate")
    );
    let (status, code, _) = ask("/ofrep/v1/nothing", &[], &json!({})).await;
    assert_eq!((status, &*code), (404, "GENERAL"));
    let get = Exchange::begin(&open.ofrep, &format!("GET {ALL}"), &[], b"")
        .await
        .end()
        .await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    open.running.stop().await;
    assert_eq!(world.exposures().await, []);
}

#[tokio::test]
async fn all_flags_are_known_by_a_tag_of_generation_namespace_and_context() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let first = post(&open.ofrep, ALL, &[], &context("u1")).await;
    let tag = first.header("etag").unwrap().to_owned();
    let body = first.json();
    let keys: Vec<_> = body["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| flag["key"].as_str().unwrap())
        .collect();
    assert_eq!(
        keys,
        ["bool", "done", "gate", "half", "list", "number", "object", "text"]
    );
    assert_eq!(body["flags"][0]["value"], json!(false));
    assert_eq!(body["eventStreams"][0]["type"], json!("sse"));
    let known = format!("if-none-match: {tag}");
    let again = post(&open.ofrep, ALL, &[&known], &context("u1")).await;
    assert_eq!(
        (again.status, again.header("etag"), again.body.len()),
        (304, Some(&*tag), 0)
    );
    // The order of attributes is none of the context.
    let turned = json!({ "context": { "country": "NL", "targetingKey": "u1" } });
    assert_eq!(post(&open.ofrep, ALL, &[&known], &turned).await.status, 304);
    assert_eq!(
        post(&open.ofrep, ALL, &[&known], &context("u2")).await.status,
        200
    );
    let selector = "flagd-selector: flagSetId=elsewhere";
    assert_eq!(
        post(&open.ofrep, ALL, &[&known, selector], &context("u1"))
            .await
            .status,
        200
    );
    let nobody = post(&open.ofrep, ALL, &[], &json!({})).await.json();
    assert_eq!(nobody["flags"][2]["errorCode"], json!("TARGETING_KEY_MISSING"));
    world.bus.publish("default", 2, &flags()).await;
    // Who has heard of it elsewhere waits for it here.
    let newer = format!("{ALL}?flagConfigEtag=%222%22");
    let newer = post(&open.ofrep, &newer, &[&known], &context("u1")).await;
    assert_eq!(
        (newer.status, &newer.json()["metadata"]["generation"]),
        (200, &json!(2))
    );
    let never = post(
        &open.ofrep,
        &format!("{ALL}?flagConfigEtag=%229%22"),
        &[],
        &context("u1"),
    )
    .await;
    assert_eq!((never.status, never.header("retry-after")), (503, Some("1")));
    open.running.stop().await;
    assert_eq!(world.exposures().await, [], "all flags are no exposure");
}

#[tokio::test]
async fn the_stream_says_when_to_ask_again_and_ends_with_the_process() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let all = post(&open.ofrep, ALL, &[], &context("u1")).await.json();
    let uri = all["eventStreams"][0]["endpoint"]["requestUri"]
        .as_str()
        .unwrap()
        .to_owned();
    let line = format!("GET {uri}");
    let mut fresh = Exchange::begin(&open.ofrep, &line, &[], b"").await;
    let head = fresh.until("\r\n\r\n").await;
    assert!(head.contains("text/event-stream"), "{head}");
    // Between the question and the stream something may have changed.
    assert!(fresh.until("\n\n").await.contains("refetchEvaluation"));
    let mut heard = Exchange::begin(&open.ofrep, &line, &["last-event-id: 1"], b"").await;
    assert!(!heard.until(": ready").await.contains("refetch"));
    let mut newer = flags();
    newer.push(Published::Flag(zero(
        "new",
        FlagValue::Bool(false),
        FlagValue::Bool(true),
    )));
    world.bus.publish("default", 2, &newer).await;
    for stream in [&mut fresh, &mut heard] {
        let event = stream.until("\n\n").await;
        let event = if event.contains("refetch") {
            event
        } else {
            stream.until("\n\n").await
        };
        assert!(
            event.contains("id: 2\n") && event.contains(r#""etag":"\"2\"""#),
            "{event}"
        );
    }
    let stopping = tokio::spawn(open.running.stop());
    fresh.until("good bye").await;
    heard.until("good bye").await;
    stopping.await.unwrap();
}

#[tokio::test]
async fn before_anything_is_loaded_the_provider_is_not_ready() {
    let world = World::new().await;
    world.bus.cut(true);
    let open = Open::start(&world, Settings::default()).await;
    for path in [one("gate"), ALL.to_owned()] {
        let told = post(&open.ofrep, &path, &[], &context("u1")).await;
        assert_eq!(
            (told.status, &told.json()["errorCode"]),
            (503, &json!("PROVIDER_NOT_READY"))
        );
        assert_eq!(told.header("retry-after"), Some("1"));
    }
    open.running.stop().await;
}

#[tokio::test]
async fn a_browser_may_ask_and_with_keys_no_stream_is_offered() {
    let world = World::new().await;
    world.bus.publish("default", 1, &flags()).await;
    let key = |name: &str, role| Key {
        hash: hash_key(name),
        principal: Principal {
            name: name.into(),
            roles: [role].into(),
            scope: Scope::All,
        },
        expires_at_micros: None,
    };
    let keys = [key("good", Role::Assigner), key("viewer", Role::Viewer)];
    let access = Access::keys(keys, world.clock.shared());
    access.replace([]);
    let settings = Settings {
        access,
        ..Settings::default()
    };
    let open = Open::start(&world, settings).await;
    let origin = "origin: https://shop.example";
    let preflight = Exchange::begin(&open.ofrep, &format!("OPTIONS {ALL}"), &[origin], b"")
        .await
        .end()
        .await;
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-origin")),
        (204, Some("*"))
    );
    let refused = post(&open.ofrep, ALL, &[origin], &context("u1")).await;
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (401, Some("*"))
    );
    let viewer = post(
        &open.ofrep,
        ALL,
        &["authorization: Bearer viewer"],
        &context("u1"),
    )
    .await;
    assert_eq!(viewer.status, 403);
    let told = eventually(async || {
        let told = post(
            &open.ofrep,
            ALL,
            &[origin, "authorization: Bearer good"],
            &context("u1"),
        )
        .await;
        if told.status == 200 {
            Ok(told)
        } else {
            Err(format!("{told:?}"))
        }
    })
    .await;
    assert_eq!(
        told.header("access-control-expose-headers"),
        Some("etag, retry-after")
    );
    assert_eq!(told.json().get("eventStreams"), None);
    let tracked = post(
        &open.ofrep,
        "/ofrep/v1/track",
        &["authorization: Bearer good"],
        &json!({}),
    )
    .await;
    assert_eq!(tracked.status, 403, "who assigns may not record by that alone");
    open.running.stop().await;
}
