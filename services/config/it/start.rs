//! Start: what it needs, and who may.

use assay_platform::Code;
use assay_proto::config::v1 as pb;

use crate::support::{Service, assert_violations, at, invalid, make, refused};

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
    let held = service
        .experiment(pb::Experiment {
            end_time: at(0),
            ..make::ready("past")
        })
        .await;
    let failure = refused(
        service.try_start(&held).await,
        Code::FailedPrecondition,
        "VALIDATION_FAILED",
    );
    assert_violations(&failure, &[("end_time", "END_TIME_IN_PAST")]);
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

#[tokio::test]
async fn created_and_started_in_one_change() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    let create = async |service: &mut Service, experiment: pb::Experiment| {
        let request = pb::CreateExperimentRequest {
            experiment: Some(experiment),
            start: true,
            ..Default::default()
        };
        let answer = service.experiments.create_experiment(request).await?;
        Ok::<_, tonic::Status>(answer.into_inner().experiment.unwrap())
    };
    let running = create(&mut service, make::ready("a")).await.unwrap();
    assert_eq!(
        (running.state(), running.version),
        (pb::ExperimentState::Running, 1)
    );
    assert_eq!(running.cohorts[0].generation, running.generation);
    assert_eq!((running.start_time, running.end_time), (at(0), at(14 * 86_400)));

    let later = pb::Experiment {
        start_time: at(60),
        ..make::ready("later")
    };
    let scheduled = create(&mut service, later).await.unwrap();
    assert_eq!(
        (scheduled.state(), scheduled.cohorts[0].generation),
        (pb::ExperimentState::Scheduled, 0)
    );

    let refusal = create(&mut service, make::draft("b")).await;
    let failure = refused(refusal, Code::FailedPrecondition, "VALIDATION_FAILED");
    assert_violations(
        &failure,
        &[
            ("hypothesis", "HYPOTHESIS_REQUIRED"),
            ("metrics", "PRIMARY_METRIC_REQUIRED"),
        ],
    );
    let request = pb::GetFlagRequest {
        key: "b".to_owned(),
        ..Default::default()
    };
    refused(service.flags.get_flag(request).await, Code::NotFound, "NOT_FOUND");
    let busy = create(&mut service, make::ready_on("c", "a")).await;
    let failure = refused(busy, Code::FailedPrecondition, "VALIDATION_FAILED");
    assert_violations(&failure, &[("flag_key", "FLAG_BOUND")]);
}
