//! The audit trail by RPC: who, from where, what, why, and that it is whole.

use assay_platform::{Access, Code, MockClock};
use assay_proto::config::v1::{self as pb, audit_service_client::AuditServiceClient};

use crate::support::{NOW, Service, database, make, refused};

/// One whose trail stands in the database of its truth.
async fn service() -> Service {
    Service::start_guarded(Access::open(), database().await, MockClock::at(NOW)).await
}

async fn list(service: &Service, request: pb::ListAuditRequest) -> pb::ListAuditResponse {
    let mut audit = AuditServiceClient::new(service.channel.clone());
    audit.list_audit(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_change_is_told_field_by_field() {
    let mut service = service().await;
    let flag = service.flag(make::flag("gate")).await;
    let unit_overrides = vec![pb::UnitOverride {
        unit: Some(assay_proto::common::v1::Unit {
            kind: "user".to_owned(),
            id: "ann@example.com".to_owned(),
        }),
        value: make::boolean(true),
    }];
    let changed = pb::Flag {
        name: "Gate".to_owned(),
        unit_overrides,
        ..flag
    };
    let request = pb::UpdateFlagRequest {
        flag: Some(changed),
        update_mask: make::mask(&["name", "unit_overrides"]),
    };
    service.flags.update_flag(request).await.unwrap();
    let listed = list(&service, pb::ListAuditRequest::default()).await;
    let [update, create] = &listed.entries[..] else {
        panic!("{listed:?}")
    };
    assert_eq!(
        (update.action.as_str(), create.action.as_str()),
        ("flag.update", "flag.create")
    );
    assert_eq!(
        (update.actor.as_str(), update.peer.as_str()),
        ("local", "127.0.0.1")
    );
    assert_eq!((update.request_id.len(), update.generation), (32, 2));
    assert_ne!(update.request_id, create.request_id);
    let paths: Vec<_> = update.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["name", "unit_overrides[0]"]);
    assert_eq!(
        (
            update.changes[0].before.as_str(),
            update.changes[0].after.as_str()
        ),
        ("\"\"", "\"Gate\"")
    );
    let text = format!("{listed:?}");
    assert!(
        text.contains("hmac:") && !text.contains("ann@example.com"),
        "{text}"
    );
    assert!(create.changes[0].before.is_empty() && !create.changes[0].after.is_empty());
}

#[tokio::test]
async fn the_trail_is_found_by_resource_and_actor_and_pages_stably() {
    let mut service = service().await;
    for n in 0..5 {
        service.flag(make::flag(&format!("gate{n}"))).await;
    }
    let request = |token: String| pb::ListAuditRequest {
        page_size: 2,
        actor: "local".to_owned(),
        page_token: token,
        ..Default::default()
    };
    let first = list(&service, request(String::new())).await;
    service.flag(make::flag("later")).await;
    let second = list(&service, request(first.next_page_token.clone())).await;
    let third = list(&service, request(second.next_page_token.clone())).await;
    let pages = [&first, &second, &third];
    let resources = pages
        .iter()
        .flat_map(|page| page.entries.iter().map(|entry| entry.resource.clone()));
    let expected = [
        "flag/gate4",
        "flag/gate3",
        "flag/gate2",
        "flag/gate1",
        "flag/gate0",
    ];
    assert_eq!(resources.collect::<Vec<_>>(), expected);
    assert!(third.next_page_token.is_empty());

    let one = pb::ListAuditRequest {
        resource: "flag/gate3".to_owned(),
        ..Default::default()
    };
    assert_eq!(list(&service, one).await.entries.len(), 1);
    let nobody = pb::ListAuditRequest {
        actor: "bob".to_owned(),
        ..Default::default()
    };
    assert_eq!(list(&service, nobody).await.entries.len(), 0);
    let mut audit = AuditServiceClient::new(service.channel.clone());
    let other = pb::ListAuditRequest {
        page_token: first.next_page_token,
        ..Default::default()
    };
    refused(
        audit.list_audit(other).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
    let verified = audit
        .verify_audit(pb::VerifyAuditRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (verified.intact, verified.rows, verified.head.len()),
        (true, 6, 64)
    );
}
