//! Start: what it needs, and who may.

use assay_platform::Code;
use assay_proto::config::v1 as pb;
use prost_types::Timestamp;

use crate::support::{NOW, Service, assert_violations, invalid, make, refused};

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp {
        seconds: NOW / 1_000_000 + seconds,
        nanos: 0,
    })
}

#[tokio::test]
async fn start_tells_all_that_is_missing() {
    let mut service = Service::start().await;
    let draft = service.experiment(make::draft("a")).await;
    let failure = refused(
        service.try_start(&draft).await,
        Code::FailedPrecondition,
        "VALIDATION_FAILED",
    );
    assert_violations(
        &failure,
        &[
            ("hypothesis", "HYPOTHESIS_REQUIRED"),
            ("metrics", "PRIMARY_METRIC_REQUIRED"),
        ],
    );

    let request = pb::StartExperimentRequest {
        key: "a".to_owned(),
        ..Default::default()
    };
    let wrong = [("confirm", "CONFIRM_REQUIRED"), ("version", "REQUIRED")];
    invalid(service.experiments.start_experiment(request).await, &wrong);

    service.metric(make::retention("retention_7")).await;
    let later = service
        .experiment(pb::Experiment {
            start_time: at(60),
            ..make::ready("later")
        })
        .await;
    let failure = refused(
        service.try_start(&later).await,
        Code::FailedPrecondition,
        "VALIDATION_FAILED",
    );
    assert_violations(&failure, &[("start_time", "START_TIME_IN_FUTURE")]);
}

#[tokio::test]
async fn a_flag_has_one_live_experiment() {
    let mut service = Service::start().await;
    service.running("a").await;
    let draft = service.experiment(make::ready_on("b", "a")).await;
    let failure = refused(
        service.try_start(&draft).await,
        Code::FailedPrecondition,
        "VALIDATION_FAILED",
    );
    assert_violations(&failure, &[("flag_key", "FLAG_BOUND")]);
}

#[tokio::test]
async fn of_concurrent_starts_on_one_flag_exactly_one_wins() {
    let mut service = Service::start().await;
    service.flag(make::flag("gate")).await;
    service.metric(make::retention("retention_7")).await;
    let mut drafts = Vec::new();
    for key in ["a", "b", "c", "d"] {
        drafts.push(service.experiment(make::ready_on(key, "gate")).await);
    }
    let starts = drafts.iter().map(|draft| {
        let mut client = service.experiments.clone();
        let request = pb::StartExperimentRequest {
            key: draft.key.clone(),
            version: draft.version,
            confirm: true,
            ..Default::default()
        };
        async move { client.start_experiment(request).await }
    });
    let answers = futures::future::join_all(starts).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 3));
    for lost in lost {
        let failure = assay_platform::Failure::from_status(&lost.unwrap_err());
        assert_eq!(failure.code, Code::FailedPrecondition);
        assert!(
            ["FLAG_BOUND", "VALIDATION_FAILED"].contains(&&*failure.reason),
            "{failure:?}"
        );
    }
}
