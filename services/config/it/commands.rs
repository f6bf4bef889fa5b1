//! The lifecycle, command by command.

use std::time::Duration;

use assay_platform::Code;
use assay_proto::config::v1 as pb;
use assay_storage::config_store::Kind;
use tonic::{Request, Status};

use crate::support::{
    Service, at, fact, invalid,
    make::{self, boolean},
    refused,
};

type Answer = Result<pb::Experiment, Status>;

async fn pause(service: &mut Service, experiment: &pb::Experiment, mode: pb::PauseMode) -> Answer {
    let request = pb::PauseExperimentRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        mode: mode.into(),
        ..Default::default()
    };
    service
        .experiments
        .pause_experiment(request)
        .await
        .map(|response| response.into_inner().experiment.unwrap())
}

async fn resume(service: &mut Service, experiment: &pb::Experiment) -> Answer {
    let (key, version) = (experiment.key.clone(), experiment.version);
    let request = pb::ResumeExperimentRequest {
        key,
        version,
        ..Default::default()
    };
    service
        .experiments
        .resume_experiment(request)
        .await
        .map(|response| response.into_inner().experiment.unwrap())
}

async fn stop(service: &mut Service, experiment: &pb::Experiment, confirm: bool) -> Answer {
    let (key, version) = (experiment.key.clone(), experiment.version);
    let request = pb::StopExperimentRequest {
        key,
        version,
        confirm,
        reason: "enough".to_owned(),
        ..Default::default()
    };
    service
        .experiments
        .stop_experiment(request)
        .await
        .map(|response| response.into_inner().experiment.unwrap())
}

async fn end(service: &mut Service, experiment: &pb::Experiment) -> Answer {
    let (key, version) = (experiment.key.clone(), experiment.version);
    let request = pb::EndExperimentRequest {
        key,
        version,
        ..Default::default()
    };
    service
        .experiments
        .end_experiment(request)
        .await
        .map(|response| response.into_inner().experiment.unwrap())
}

async fn archive(service: &mut Service, experiment: &pb::Experiment) -> Answer {
    let (key, version) = (experiment.key.clone(), experiment.version);
    let request = pb::ArchiveExperimentRequest {
        key,
        version,
        ..Default::default()
    };
    service
        .experiments
        .archive_experiment(request)
        .await
        .map(|response| response.into_inner().experiment.unwrap())
}

async fn delete(service: &mut Service, experiment: &pb::Experiment) -> Result<(), Status> {
    let (key, version) = (experiment.key.clone(), experiment.version);
    let request = pb::DeleteExperimentRequest {
        key,
        version,
        ..Default::default()
    };
    service.experiments.delete_experiment(request).await.map(drop)
}

/// A request that declares `on` the winner.
fn winner(experiment: &pb::Experiment) -> pb::DeclareWinnerRequest {
    pb::DeclareWinnerRequest {
        namespace: String::new(),
        key: experiment.key.clone(),
        version: experiment.version,
        reason: "retention is up".to_owned(),
        variant_key: "on".to_owned(),
        force: true,
        ..Default::default()
    }
}

async fn declare(
    service: &mut Service,
    request: pb::DeclareWinnerRequest,
) -> Result<pb::DeclareWinnerResponse, Status> {
    service
        .experiments
        .declare_winner(request)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn from_draft_to_archive() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    assert_eq!(
        (running.state(), running.version),
        (pb::ExperimentState::Running, 2)
    );
    assert_eq!((running.start_time, running.end_time), (at(0), at(14 * 86_400)));
    assert_eq!(
        (running.cohorts[0].number, running.cohorts[0].generation),
        (1, running.generation)
    );

    service.clock.advance(Duration::from_secs(60));
    let paused = pause(&mut service, &running, pb::PauseMode::Unspecified)
        .await
        .unwrap();
    assert_eq!(
        (paused.state(), paused.pause_mode()),
        (pb::ExperimentState::Paused, pb::PauseMode::ServeDefault)
    );
    service.clock.advance(Duration::from_secs(60));
    let resumed = resume(&mut service, &paused).await.unwrap();
    assert_eq!((resumed.pauses[0].from, resumed.pauses[0].to), (at(60), at(120)));

    let answer = declare(&mut service, winner(&resumed)).await.unwrap();
    let (won, flag) = (answer.experiment.unwrap(), answer.flag.unwrap());
    assert_eq!(
        (won.state(), won.outcome(), won.winner.as_str()),
        (pb::ExperimentState::Completed, pb::Outcome::Winner, "on")
    );
    assert_eq!(
        (won.reason.as_str(), won.completed_at),
        ("retention is up", at(120))
    );
    assert_eq!(
        (flag.default_value, flag.generation, flag.version),
        (boolean(true), won.generation, 2)
    );

    let ended = end(&mut service, &won).await.unwrap();
    let archived = archive(&mut service, &ended).await.unwrap();
    assert_eq!(
        (archived.state(), archived.winner.as_str()),
        (pb::ExperimentState::Archived, "on")
    );
    let listed = service
        .experiments
        .list_experiments(pb::ListExperimentsRequest::default())
        .await
        .unwrap();
    assert!(listed.into_inner().experiments.is_empty());
}

#[tokio::test]
async fn stop_completes_without_winner_and_frees_the_flag() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let failure = invalid(
        stop(&mut service, &running, false).await,
        &[("confirm", "CONFIRM_REQUIRED")],
    );
    assert!(failure.message.contains("Pause"), "{failure}");
    let stopped = stop(&mut service, &running, true).await.unwrap();
    assert_eq!(
        (stopped.outcome(), stopped.reason.as_str()),
        (pb::Outcome::NoWinner, "enough")
    );
    let next = service.experiment(make::ready_on("b", "a")).await;
    service.try_start(&next).await.unwrap();
    archive(&mut service, &stopped).await.unwrap();
}

#[tokio::test]
async fn a_command_that_does_not_fit_says_what_does() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let failure = refused(
        resume(&mut service, &running).await,
        Code::FailedPrecondition,
        "INVALID_TRANSITION",
    );
    assert_eq!(
        (fact(&failure, "state"), fact(&failure, "action")),
        ("RUNNING", "RESUME")
    );
    assert_eq!(
        fact(&failure, "allowed_actions"),
        "PAUSE,STOP,DECLARE_WINNER,DUPLICATE"
    );
    refused(
        delete(&mut service, &running).await,
        Code::FailedPrecondition,
        "INVALID_TRANSITION",
    );
    refused(
        end(&mut service, &running).await,
        Code::FailedPrecondition,
        "INVALID_TRANSITION",
    );
    refused(
        archive(&mut service, &running).await,
        Code::FailedPrecondition,
        "INVALID_TRANSITION",
    );
    refused(
        service.try_start(&running).await,
        Code::FailedPrecondition,
        "INVALID_TRANSITION",
    );
}

#[tokio::test]
async fn holding_enrollment_needs_stored_assignments() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let held = pause(&mut service, &running, pb::PauseMode::HoldEnrollment).await;
    let failure = refused(held, Code::FailedPrecondition, "NEEDS_STORED");
    assert!(failure.message.contains("SERVE_DEFAULT"), "{failure}");
}

#[tokio::test]
async fn a_winner_needs_a_reason_a_variant_and_without_analysis_force() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let asked = pb::DeclareWinnerRequest {
        reason: " ".to_owned(),
        ..winner(&running)
    };
    invalid(declare(&mut service, asked).await, &[("reason", "REQUIRED")]);
    let asked = pb::DeclareWinnerRequest {
        variant_key: "nope".to_owned(),
        ..winner(&running)
    };
    let failure = invalid(
        declare(&mut service, asked).await,
        &[("variant_key", "UNKNOWN_VARIANT")],
    );
    assert!(failure.message.contains("off, on"), "{failure}");
    let asked = pb::DeclareWinnerRequest {
        force: false,
        ..winner(&running)
    };
    let failure = refused(
        declare(&mut service, asked).await,
        Code::FailedPrecondition,
        "NO_WINNER_SIGNAL",
    );
    assert!(failure.message.contains("`force`"), "{failure}");
    assert_eq!(fact(&failure, "cause"), "ANALYSIS_UNAVAILABLE");
    let asked = pb::DeclareWinnerRequest {
        reason: "x".repeat(4_097),
        ..winner(&running)
    };
    invalid(declare(&mut service, asked).await, &[("reason", "TEXT_TOO_LONG")]);
    let asked = pb::DeclareWinnerRequest {
        variant_key: "off".to_owned(),
        ..winner(&running)
    };
    let answer = declare(&mut service, asked).await.unwrap();
    assert_eq!(
        (
            answer.experiment.unwrap().winner.as_str(),
            answer.flag.unwrap().version
        ),
        ("off", 1)
    );
}

#[tokio::test]
async fn of_two_writers_the_stale_one_is_told_what_is_stored() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    pause(&mut service, &running, pb::PauseMode::Unspecified)
        .await
        .unwrap();
    let failure = refused(
        stop(&mut service, &running, true).await,
        Code::Aborted,
        "VERSION_MISMATCH",
    );
    assert_eq!(fact(&failure, "stored_version"), "3");
}

#[tokio::test]
async fn only_a_draft_can_be_deleted_and_its_flag_stays() {
    let mut service = Service::start().await;
    let draft = service.experiment(make::draft("a")).await;
    delete(&mut service, &draft).await.unwrap();
    refused(delete(&mut service, &draft).await, Code::NotFound, "NOT_FOUND");
    let flag = service
        .store
        .get(&assay_core::key::Namespace::default(), Kind::Flag, "a")
        .await
        .unwrap();
    assert!(flag.is_some());
}

#[tokio::test]
async fn every_change_is_audited() {
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let mut request = Request::new(pb::StopExperimentRequest {
        key: "a".to_owned(),
        version: running.version,
        reason: "enough".to_owned(),
        confirm: true,
        ..Default::default()
    });
    request
        .metadata_mut()
        .insert("x-assay-caller", "ann".parse().unwrap());
    request
        .metadata_mut()
        .insert("traceparent", TRACE.parse().unwrap());
    service.experiments.stop_experiment(request).await.unwrap();
    let namespace = assay_core::key::Namespace::default();
    let trail = service
        .store
        .audit(&namespace, Some("experiment/a"), None, 10)
        .await
        .unwrap();
    let deeds: Vec<_> = trail
        .iter()
        .map(|row| (row.audit.action.as_str(), row.audit.actor.as_str()))
        .collect();
    let expected = [
        ("experiment.stop", "local"),
        ("experiment.start", "local"),
        ("experiment.create", "local"),
    ];
    assert_eq!(deeds, expected);
    assert_eq!(
        (
            trail[0].audit.reason.as_str(),
            trail[0].audit.traceparent.as_str()
        ),
        ("enough", TRACE)
    );
}
