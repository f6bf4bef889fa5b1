//! `flagd.evaluation` over gRPC.

use std::time::Duration;

use assay_assignment::Settings;
use assay_core::value::Value;
use assay_platform::{
    Access, Channel, ChannelOptions, Failure, Principal, Role,
    access::{Key, Scope, hash_key},
    connect_lazy,
};
use assay_proto::{
    bus::Published,
    flagd::evaluation::{
        v1::{self, any_flag::Value as Any, service_client::ServiceClient as First},
        v2::{self, service_client::ServiceClient as Second},
    },
};
use prost_types::{Struct, value::Kind};
use tonic::{Code, Request, Status, Streaming};

use super::{Open, flags, zero};
use crate::support::{World, attributes, eventually, text};

fn channel(address: &str) -> Channel {
    connect_lazy(&format!("http://{address}"), &ChannelOptions::default()).unwrap()
}

fn context(unit: &str) -> Option<Struct> {
    attributes(&[("targetingKey", text(unit)), ("country", text("NL"))])
}

fn boolean(key: &str, context: Option<Struct>) -> v2::ResolveBooleanRequest {
    v2::ResolveBooleanRequest {
        flag_key: key.into(),
        context,
    }
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), Failure::from_status(status).reason.to_string())
}

fn number(metadata: &Option<Struct>, name: &str) -> Option<f64> {
    match metadata.as_ref()?.fields.get(name)?.kind.as_ref()? {
        Kind::NumberValue(number) => Some(*number),
        _ => None,
    }
}

#[tokio::test]
async fn one_flag_is_answered_with_reason_variant_and_metadata_and_is_an_exposure() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let mut second = Second::new(channel(&open.flagd));
    let told = second
        .resolve_boolean(boolean("gate", context("u1")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.reason, "SPLIT");
    let variant = told.variant.unwrap();
    assert_eq!(told.value, Some(variant == "on"));
    assert_eq!(number(&told.metadata, "generation"), Some(1.0));
    let experiment = &told.metadata.unwrap().fields["experiment"];
    assert_eq!(experiment, &text("gate-test"));
    // As `Assign` has it.
    let mut running = open.running;
    let assigned = running.one("u1", "gate").await.unwrap();
    assert_eq!(assigned.variant_key, variant);
    running.stop().await;
    assert_eq!(world.exposed_units(2).await, ["u1", "u1"]);
}

#[tokio::test]
async fn zero_values_are_values_in_both_versions() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let (mut first, mut second) = (
        First::new(channel(&open.flagd)),
        Second::new(channel(&open.flagd)),
    );
    let told = second
        .resolve_boolean(boolean("bool", None))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (told.value, told.variant.as_deref(), &*told.reason),
        (Some(false), Some("zero"), "DEFAULT")
    );
    let request = v2::ResolveStringRequest {
        flag_key: "text".into(),
        context: None,
    };
    let told = second.resolve_string(request).await.unwrap().into_inner();
    assert_eq!(
        (told.value.as_deref(), told.variant.as_deref()),
        (Some(""), Some("zero"))
    );
    let request = v2::ResolveIntRequest {
        flag_key: "number".into(),
        context: None,
    };
    assert_eq!(
        second.resolve_int(request).await.unwrap().into_inner().value,
        Some(0)
    );
    let request = v2::ResolveFloatRequest {
        flag_key: "number".into(),
        context: None,
    };
    assert_eq!(
        second.resolve_float(request).await.unwrap().into_inner().value,
        Some(0.0)
    );
    let request = v2::ResolveObjectRequest {
        flag_key: "object".into(),
        context: None,
    };
    let object = second
        .resolve_object(request)
        .await
        .unwrap()
        .into_inner()
        .value
        .unwrap();
    assert_eq!(object.fields["n"].kind, Some(Kind::NumberValue(0.0)));
    assert_eq!(object.fields["b"].kind, Some(Kind::BoolValue(false)));
    let request = v1::ResolveFloatRequest {
        flag_key: "half".into(),
        context: None,
    };
    let told = first.resolve_float(request).await.unwrap().into_inner();
    assert_eq!((told.value, &*told.variant), (0.5, "zero"));
    open.running.stop().await;
}

#[tokio::test]
async fn everything_is_no_exposure_and_leaves_out_what_has_no_place() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let mut first = First::new(channel(&open.flagd));
    let request = v1::ResolveAllRequest {
        context: context("u1"),
    };
    let all = first.resolve_all(request).await.unwrap().into_inner();
    let mut keys: Vec<_> = all.flags.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["bool", "done", "gate", "half", "number", "object", "text"]);
    assert_eq!(all.flags["bool"].value, Some(Any::BoolValue(false)));
    assert_eq!(all.flags["gate"].reason, "SPLIT");
    let nobody = first
        .resolve_all(v1::ResolveAllRequest { context: None })
        .await
        .unwrap()
        .into_inner();
    let gate = &nobody.flags["gate"];
    assert_eq!(
        (&*gate.reason, &gate.value),
        ("DEFAULT", &Some(Any::BoolValue(false)))
    );
    let fields = &gate.metadata.as_ref().unwrap().fields;
    assert_eq!(fields["errorCode"], text("TARGETING_KEY_MISSING"));
    open.running.stop().await;
    assert_eq!(world.exposures().await, []);
}

#[tokio::test]
async fn what_cannot_be_answered_has_the_code_that_providers_understand() {
    let world = World::new().await;
    world.bus.publish("default", 1, &flags()).await;
    let open = Open::serving(&world).await;
    let mut second = Second::new(channel(&open.flagd));
    let mut ask = async |key: &str, context, selector: Option<&str>| {
        let mut request = Request::new(boolean(key, context));
        if let Some(selector) = selector {
            request
                .metadata_mut()
                .insert("flagd-selector", selector.parse().unwrap());
        }
        reason(&second.resolve_boolean(request).await.unwrap_err())
    };
    let of = |code, reason: &str| (code, reason.to_owned());
    assert_eq!(
        ask("nowhere", context("u1"), None).await,
        of(Code::NotFound, "FLAG_NOT_FOUND")
    );
    let elsewhere = ask("gate", context("u1"), Some("flagSetId=elsewhere")).await;
    assert_eq!(elsewhere, of(Code::NotFound, "FLAG_NOT_FOUND"));
    assert_eq!(
        ask("text", context("u1"), None).await,
        of(Code::InvalidArgument, "TYPE_MISMATCH")
    );
    assert_eq!(
        ask("gate", None, None).await,
        of(Code::FailedPrecondition, "TARGETING_KEY_MISSING")
    );
    let number = prost_types::Value {
        kind: Some(Kind::NumberValue(7.0)),
    };
    let wrong = attributes(&[("targetingKey", number)]);
    assert_eq!(
        ask("gate", wrong, None).await,
        of(Code::FailedPrecondition, "INVALID_CONTEXT")
    );
    let selector = ask("gate", context("u1"), Some("source=gate")).await;
    assert_eq!(selector, of(Code::FailedPrecondition, "INVALID_SELECTOR"));
    for key in ["half", "text"] {
        let request = v2::ResolveIntRequest {
            flag_key: key.into(),
            context: None,
        };
        let refused = reason(&second.resolve_int(request).await.unwrap_err());
        assert_eq!(refused, of(Code::InvalidArgument, "TYPE_MISMATCH"), "{key}");
    }
    let request = v2::ResolveObjectRequest {
        flag_key: "list".into(),
        context: None,
    };
    let refused = reason(&second.resolve_object(request).await.unwrap_err());
    assert_eq!(refused, of(Code::InvalidArgument, "TYPE_MISMATCH"));
    open.running.stop().await;
    assert_eq!(world.exposures().await, [], "what was not given was not seen");
}

#[tokio::test]
async fn before_anything_is_loaded_the_provider_is_not_ready() {
    let world = World::new().await;
    world.bus.cut(true);
    let open = Open::start(&world, Settings::default()).await;
    let mut second = Second::new(channel(&open.flagd));
    let refused = second.resolve_boolean(boolean("gate", None)).await.unwrap_err();
    assert_eq!(
        reason(&refused),
        (Code::Unavailable, "PROVIDER_NOT_READY".to_owned())
    );
    let refused = second.event_stream(v2::EventStreamRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    open.running.stop().await;
}

#[tokio::test]
async fn a_winner_may_be_kept_ten_seconds_after_its_generation_has_come() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let mut second = Second::new(channel(&open.flagd));
    let mut ask = async || {
        let told = second
            .resolve_boolean(boolean("done", context("u1")))
            .await
            .unwrap()
            .into_inner();
        (told.value, told.variant.unwrap(), told.reason)
    };
    let is = |reason: &str| (Some(true), "on".to_owned(), reason.to_owned());
    assert_eq!(ask().await, is("TARGETING_MATCH"));
    world.clock.advance(Duration::from_millis(9_999));
    assert_eq!(ask().await, is("TARGETING_MATCH"));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(ask().await, is("STATIC"));
    open.running.stop().await;
}

#[tokio::test]
async fn stale_configuration_says_how_old_it_is_and_gives_the_true_reason() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let mut second = Second::new(channel(&open.flagd));
    world.bus.cut(true);
    world.clock.advance(Duration::from_secs(90));
    eventually(async || {
        let told = second
            .resolve_boolean(boolean("gate", context("u1")))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(told.reason, "SPLIT");
        let is_stale = told
            .metadata
            .as_ref()
            .is_some_and(|m| m.fields.contains_key("stale"));
        match number(&told.metadata, "configAgeSeconds") {
            Some(age) if is_stale && age >= 90.0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    world.bus.cut(false);
    eventually(async || {
        let told = second
            .resolve_boolean(boolean("gate", context("u1")))
            .await
            .unwrap()
            .into_inner();
        match told.metadata.unwrap().fields.contains_key("stale") {
            true => Err("stale"),
            false => Ok(()),
        }
    })
    .await;
    open.running.stop().await;
}

/// The next event but signs of life.
async fn next(stream: &mut Streaming<v2::EventStreamResponse>) -> (String, Option<Struct>) {
    loop {
        let event = stream.message().await.unwrap().unwrap();
        if event.r#type != "keep_alive" {
            return (event.r#type, event.data);
        }
    }
}

/// The flags of a change, with how they have changed.
fn changed(data: Option<Struct>) -> Vec<(String, prost_types::Value)> {
    let Some(Kind::StructValue(flags)) = data.and_then(|mut data| data.fields.remove("flags")?.kind) else {
        panic!("no flags")
    };
    let change = |(key, of): (String, prost_types::Value)| match of.kind {
        Some(Kind::StructValue(mut of)) => (key, of.fields.remove("type").unwrap()),
        other => panic!("{other:?}"),
    };
    flags.fields.into_iter().map(change).collect()
}

#[tokio::test]
async fn a_stream_is_ready_at_once_tells_what_changes_and_says_good_bye() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let mut second = Second::new(channel(&open.flagd));
    let mut stream = second
        .event_stream(v2::EventStreamRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(next(&mut stream).await, ("provider_ready".into(), None));
    let mut newer = flags();
    newer.remove(0);
    let Some(Published::Flag(text_flag)) = newer.first_mut() else {
        panic!("a flag")
    };
    text_flag.meta.version += 1;
    newer.push(Published::Flag(zero(
        "new",
        Value::Bool(false),
        Value::Bool(true),
    )));
    world.bus.publish("default", 2, &newer).await;
    let (name, data) = next(&mut stream).await;
    assert_eq!(name, "configuration_change");
    let expected = [("bool", "delete"), ("new", "write"), ("text", "update")];
    assert_eq!(
        changed(data),
        expected.map(|(key, change)| (key.to_owned(), text(change)))
    );
    // What was told is served: the question after it is answered by the newer generation.
    let told = second
        .resolve_boolean(boolean("new", None))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(number(&told.metadata, "generation"), Some(2.0));
    // Published again unchanged, it is no news; a change of another namespace is, for who has named none.
    world.bus.publish("default", 3, &newer).await;
    world
        .bus
        .publish("elsewhere", 1, &[Published::Flag(in_elsewhere())])
        .await;
    let (name, data) = next(&mut stream).await;
    assert_eq!(name, "configuration_change");
    assert_eq!(changed(data), [("lever".to_owned(), text("write"))]);
    let stopping = tokio::spawn(open.running.stop());
    assert_eq!(next(&mut stream).await.0, "provider_shutdown");
    // An end in order would be no reason to come back for some providers.
    let end = stream.message().await.unwrap_err();
    assert_eq!(reason(&end), (Code::Unavailable, "SHUTTING_DOWN".to_owned()));
    stopping.await.unwrap();
}

fn in_elsewhere() -> assay_core::flag::Flag {
    let flag = zero("lever", Value::Bool(false), Value::Bool(true));
    assay_core::flag::Flag {
        namespace: assay_core::key::Namespace::new("elsewhere").unwrap(),
        ..flag
    }
}

#[tokio::test]
async fn a_stream_with_a_selector_hears_of_its_namespace_only() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let mut second = Second::new(channel(&open.flagd));
    let mut request = Request::new(v2::EventStreamRequest {});
    request
        .metadata_mut()
        .insert("flagd-selector", "flagSetId=elsewhere".parse().unwrap());
    let mut stream = second.event_stream(request).await.unwrap().into_inner();
    assert_eq!(next(&mut stream).await.0, "provider_ready");
    let mut newer = flags();
    newer.remove(0);
    world.bus.publish("default", 2, &newer).await;
    world
        .bus
        .publish("elsewhere", 1, &[Published::Flag(in_elsewhere())])
        .await;
    assert_eq!(
        changed(next(&mut stream).await.1),
        [("lever".to_owned(), text("write"))]
    );
    drop(stream);
    open.running.stop().await;
}

#[tokio::test]
async fn with_keys_a_caller_needs_one_that_assigns_in_the_namespace() {
    let world = World::new().await;
    world.bus.publish("default", 1, &flags()).await;
    let key = |name: &str, role, scope| Key {
        hash: hash_key(name),
        principal: Principal {
            name: name.into(),
            roles: [role].into(),
            scope,
        },
        expires_at_micros: None,
    };
    let shop = Scope::Only(["shop".to_owned()].into());
    let keys = [
        key("good", Role::Assigner, Scope::All),
        key("viewer", Role::Viewer, Scope::All),
        key("shop", Role::Assigner, shop),
    ];
    let access = Access::keys(keys, world.clock.shared());
    access.replace([]);
    let settings = Settings {
        access,
        ..Settings::default()
    };
    let open = Open::start(&world, settings).await;
    let mut second = Second::new(channel(&open.flagd));
    let mut ask = async |key: Option<&str>| {
        let mut request = Request::new(boolean("bool", None));
        if let Some(key) = key {
            let value = format!("Bearer {key}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        second
            .resolve_boolean(request)
            .await
            .map(|told| told.into_inner().reason)
    };
    let told = eventually(async || ask(Some("good")).await).await;
    assert_eq!(told, "DEFAULT");
    assert_eq!(ask(None).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(ask(Some("bad")).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(
        ask(Some("viewer")).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    assert_eq!(
        ask(Some("shop")).await.unwrap_err().code(),
        Code::NotFound,
        "a foreign namespace"
    );
    open.running.stop().await;
}
