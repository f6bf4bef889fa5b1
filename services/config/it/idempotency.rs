//! What is asked again under one key is done once and answered alike.

use assay_platform::{Access, Code, MockClock};
use assay_proto::config::v1 as pb;
use tonic::Request;

use crate::support::{NOW, Service, database, make, refused};

async fn service() -> Service {
    Service::start_guarded(Access::open(), database().await, MockClock::at(NOW)).await
}

fn under<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("idempotency-key", key.parse().unwrap());
    request
}

fn create(key: &str) -> pb::CreateFlagRequest {
    pb::CreateFlagRequest {
        flag: Some(make::flag(key)),
    }
}

#[tokio::test]
async fn the_same_request_is_done_once_and_answered_alike() {
    let mut service = service().await;
    let first = service
        .flags
        .create_flag(under("k1", create("gate")))
        .await
        .unwrap()
        .into_inner();
    let again = service
        .flags
        .create_flag(under("k1", create("gate")))
        .await
        .unwrap();
    assert_eq!(again.metadata().get("idempotent-replay").unwrap(), "true");
    assert_eq!(again.into_inner(), first);
    let other = service.flags.create_flag(under("k1", create("other"))).await;
    refused(other, Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED");
    let new = service.flags.create_flag(under("k2", create("gate"))).await;
    refused(new, Code::AlreadyExists, "ALREADY_EXISTS");
    // What was refused has taken no key.
    service
        .flags
        .create_flag(under("k2", create("other")))
        .await
        .unwrap();
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    let service = service().await;
    let calls = (0..8).map(|_| {
        let mut flags = service.flags.clone();
        async move { flags.create_flag(under("k", create("gate"))).await }
    });
    let answers = futures::future::join_all(calls).await;
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(made >= 1);
    for answer in answers {
        if let Err(status) = answer {
            assert_eq!(status.code(), tonic::Code::Aborted, "{status:?}");
        }
    }
    let trail = service
        .store
        .audit(&assay_core::key::Namespace::default(), None, None, 10)
        .await
        .unwrap();
    assert_eq!(trail.len(), 1);
}

#[tokio::test]
async fn a_key_is_short_text_and_reads_need_none() {
    let mut service = service().await;
    let long = "x".repeat(129);
    let refusal = service.flags.create_flag(under(&long, create("gate"))).await;
    refused(refusal, Code::InvalidArgument, "IDEMPOTENCY_KEY");
    service
        .flags
        .create_flag(under(&long[1..], create("gate")))
        .await
        .unwrap();
    let get = |key: &str| pb::GetFlagRequest {
        namespace: String::new(),
        key: key.to_owned(),
    };
    service.flags.get_flag(under("read", get("gate"))).await.unwrap();
    let missing = service.flags.get_flag(under("read", get("nothing"))).await;
    refused(missing, Code::NotFound, "NOT_FOUND");
}
