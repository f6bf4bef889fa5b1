//! What is refused, and how.

use assay_proto::assignment::v1 as pb;
use prost_types::{ListValue, value::Kind};
use tonic::Code;

use crate::support::{Running, World, attributes, request, text, unit};

fn list() -> prost_types::Value {
    prost_types::Value {
        kind: Some(Kind::ListValue(ListValue { values: vec![] })),
    }
}

async fn refused(running: &mut Running, request: pb::AssignRequest, field: &str) {
    let status = running.assign(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(
        status.message().starts_with(&format!("`{field}`")),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn a_refused_request_names_its_field() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let asked = || request("u1", &["gate"]);
    refused(
        &mut running,
        pb::AssignRequest {
            flag_keys: vec!["gate".into(); 1_001],
            ..asked()
        },
        "flag_keys",
    )
    .await;
    refused(&mut running, request("u1", &["gate", ""]), "flag_keys[1]").await;
    refused(&mut running, request("u1", &[&"k".repeat(257)]), "flag_keys[0]").await;
    refused(
        &mut running,
        pb::AssignRequest {
            namespace: "no/slash".into(),
            ..asked()
        },
        "namespace",
    )
    .await;
    refused(&mut running, request(&"u".repeat(257), &["gate"]), "unit.id").await;
    refused(
        &mut running,
        pb::AssignRequest {
            exposure: 9,
            ..asked()
        },
        "exposure",
    )
    .await;
    let with = |name: &str, value| pb::AssignRequest {
        attributes: attributes(&[(name, value)]),
        ..asked()
    };
    refused(&mut running, with("tags", list()), "attributes.tags").await;
    refused(
        &mut running,
        with("long", text(&"x".repeat(4_097))),
        "attributes.long",
    )
    .await;
    let many: Vec<_> = (0..65).map(|n| (format!("a{n}"), text("x"))).collect();
    let many: Vec<_> = many
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    refused(
        &mut running,
        pb::AssignRequest {
            attributes: attributes(&many),
            ..asked()
        },
        "attributes",
    )
    .await;
    // The limits themselves are allowed.
    let at_limit = pb::AssignRequest {
        flag_keys: vec!["gate".into(); 1_000],
        attributes: attributes(&many[1..]),
        ..asked()
    };
    assert_eq!(running.assign(at_limit).await.unwrap().len(), 1_000);
    running.stop().await;
}

#[tokio::test]
async fn a_refused_item_leaves_the_others_answered() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let item = |id: &str, attributes| pb::AssignBatchItem {
        unit: unit(id),
        attributes,
    };
    let bad = attributes(&[("tags", list())]);
    let items = vec![
        item("u1", None),
        item("u2", bad),
        item("a\nb", None),
        item("u4", None),
    ];
    let request = pb::AssignBatchRequest {
        items,
        flag_keys: vec!["gate".into()],
        ..Default::default()
    };
    let results = running
        .client
        .assign_batch(request)
        .await
        .unwrap()
        .into_inner()
        .results;
    let fields: Vec<_> = results.iter().map(|result| result.error_field.as_str()).collect();
    assert_eq!(fields, ["", "attributes.tags", "unit.id", ""]);
    assert!(results[1].assignments.is_empty() && !results[1].error_message.is_empty());
    assert_eq!(
        (results[0].assignments.len(), results[3].assignments.len()),
        (1, 1)
    );
    running.stop().await;
    assert_eq!(world.exposed_units(2).await, ["u1", "u4"]);
}

#[tokio::test]
async fn a_batch_has_limits() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    for (items, keys, ok) in [
        (0, 1, false),
        (1_001, 1, false),
        (1_000, 10, true),
        (1_000, 11, false),
        (10, 1_000, true),
    ] {
        let items = (0..items)
            .map(|n| pb::AssignBatchItem {
                unit: unit(&n.to_string()),
                attributes: None,
            })
            .collect();
        let request = pb::AssignBatchRequest {
            items,
            flag_keys: vec!["gate".into(); keys],
            ..Default::default()
        };
        let answered = running.client.assign_batch(request).await;
        assert_eq!(answered.is_ok(), ok, "{keys} keys: {:?}", answered.err());
    }
    running.stop().await;
}
