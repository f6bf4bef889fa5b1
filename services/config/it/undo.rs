//! Undo: within a minute of Stop or `DeclareWinner` everything is as it was; later, or when something has taken its place, nothing is.

use std::time::Duration;

use assay_platform::Code;
use assay_proto::config::v1::{self as pb, ExperimentState as State, LifecycleAction as Action};
use tonic::Status;

use crate::support::{
    Service, at, fact,
    make::{self, boolean, mask},
    refused,
};

async fn stop(service: &mut Service, experiment: &pb::Experiment) -> pb::Experiment {
    let request = pb::StopExperimentRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        confirm: true,
        reason: "enough".to_owned(),
        ..Default::default()
    };
    let answer = service.experiments.stop_experiment(request).await.unwrap();
    answer.into_inner().experiment.unwrap()
}

async fn declare(
    service: &mut Service,
    experiment: &pb::Experiment,
    variant: &str,
) -> pb::DeclareWinnerResponse {
    let request = pb::DeclareWinnerRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        reason: "it won".to_owned(),
        variant_key: variant.to_owned(),
        force: true,
        ..Default::default()
    };
    service
        .experiments
        .declare_winner(request)
        .await
        .unwrap()
        .into_inner()
}

async fn undo(
    service: &mut Service,
    experiment: &pb::Experiment,
) -> Result<pb::UndoExperimentResponse, Status> {
    let request = pb::UndoExperimentRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        ..Default::default()
    };
    service
        .experiments
        .undo_experiment(request)
        .await
        .map(tonic::Response::into_inner)
}

async fn flag(service: &mut Service, key: &str) -> pb::Flag {
    let request = pb::GetFlagRequest {
        key: key.to_owned(),
        ..Default::default()
    };
    service
        .flags
        .get_flag(request)
        .await
        .unwrap()
        .into_inner()
        .flag
        .unwrap()
}

async fn update_flag(service: &mut Service, flag: pb::Flag, path: &str) {
    let request = pb::UpdateFlagRequest {
        flag: Some(flag),
        update_mask: mask(&[path]),
    };
    service.flags.update_flag(request).await.unwrap();
}

/// The same but for what every write changes.
fn content(mut experiment: pb::Experiment) -> pb::Experiment {
    (experiment.version, experiment.generation, experiment.updated_at) = (0, 0, None);
    // The fence of its start becomes known in between.
    (experiment.counting_from, experiment.counting_awaited) = (None, false);
    experiment
}

fn flag_content(mut flag: pb::Flag) -> pb::Flag {
    (flag.version, flag.generation, flag.updated_at) = (0, 0, None);
    flag
}

#[tokio::test]
async fn a_stopped_experiment_runs_again_and_the_interval_is_a_pause() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    service.clock.advance(Duration::from_secs(10));
    let stopped = stop(&mut service, &running).await;
    assert_eq!(stopped.undo_until, at(70));
    assert_eq!(
        stopped.allowed_actions().collect::<Vec<_>>(),
        [Action::Undo, Action::End, Action::Archive, Action::Duplicate]
    );
    service.clock.advance(Duration::from_secs(60));
    assert!(
        service
            .get("a")
            .await
            .allowed_actions()
            .any(|action| action == Action::Undo)
    );
    let back = undo(&mut service, &stopped).await.unwrap().experiment.unwrap();
    let pause = pb::Pause {
        from: at(10),
        to: at(70),
        mode: pb::PauseMode::ServeDefault.into(),
    };
    let expected = pb::Experiment {
        pauses: vec![pause],
        ..running
    };
    assert_eq!(content(back.clone()), content(expected));
    let again = undo(&mut service, &back).await;
    let failure = refused(again, Code::FailedPrecondition, "INVALID_TRANSITION");
    assert_eq!(
        fact(&failure, "allowed_actions"),
        "PAUSE,STOP,DECLARE_WINNER,DUPLICATE"
    );
}

#[tokio::test]
async fn after_a_minute_it_is_final() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let stopped = stop(&mut service, &running).await;
    service.clock.advance(Duration::from_secs(61));
    let failure = refused(
        undo(&mut service, &stopped).await,
        Code::FailedPrecondition,
        "UNDO_EXPIRED",
    );
    assert!(failure.message.contains("within 60 s"), "{failure}");
    assert_eq!(fact(&failure, "allowed_actions"), "END,ARCHIVE,DUPLICATE");
    let found = service.get("a").await;
    assert_eq!(found.undo_until, None);
    assert!(found.allowed_actions().all(|action| action != Action::Undo));
}

#[tokio::test]
async fn a_declared_winner_gives_the_flag_back_exactly() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let before = flag(&mut service, "a").await;
    let won = declare(&mut service, &running, "on").await;
    assert_eq!(won.flag.unwrap().default_value, boolean(true));
    let renamed = pb::Flag {
        name: "Gate".to_owned(),
        ..flag(&mut service, "a").await
    };
    update_flag(&mut service, renamed, "name").await;
    let answer = undo(&mut service, &won.experiment.unwrap()).await.unwrap();
    let back = answer.experiment.unwrap();
    assert_eq!(
        (back.state(), back.winner.as_str(), back.reason.as_str()),
        (State::Running, "", "")
    );
    let expected = pb::Flag {
        name: "Gate".to_owned(),
        ..before
    };
    assert_eq!(flag_content(answer.flag.unwrap()), flag_content(expected.clone()));
    assert_eq!(
        flag_content(flag(&mut service, "a").await),
        flag_content(expected)
    );

    // The control wins: the flag does not change, and neither does Undo change it.
    let won = declare(&mut service, &back, "off").await;
    let version = won.flag.unwrap().version;
    let answer = undo(&mut service, &won.experiment.unwrap()).await.unwrap();
    assert_eq!(answer.flag.unwrap().version, version);
}

#[tokio::test]
async fn what_has_taken_its_place_is_not_pushed_aside() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let stopped = stop(&mut service, &running).await;
    let next = service.experiment(make::ready_on("next", "a")).await;
    service.try_start(&next).await.unwrap();
    let failure = refused(
        undo(&mut service, &stopped).await,
        Code::FailedPrecondition,
        "FLAG_BOUND",
    );
    assert_eq!(fact(&failure, "by"), "experiment/next");

    let running = service.running("b").await;
    let won = declare(&mut service, &running, "on").await;
    let changed = pb::Flag {
        default_value: boolean(false),
        ..won.flag.unwrap()
    };
    update_flag(&mut service, changed, "default_value").await;
    refused(
        undo(&mut service, &won.experiment.unwrap()).await,
        Code::FailedPrecondition,
        "FLAG_CHANGED",
    );
}

#[tokio::test]
async fn an_override_that_would_hide_the_variants_is_in_the_way() {
    let mut service = Service::start().await;
    service.segment(make::segment("ios", "ios")).await;
    service.metric(make::retention("retention_7")).await;
    let asked = pb::Experiment {
        segment_key: "ios".to_owned(),
        ..make::ready("a")
    };
    let draft = service.experiment(asked).await;
    let running = service.try_start(&draft).await.unwrap().experiment.unwrap();
    let stopped = stop(&mut service, &running).await;
    let over = pb::SegmentOverride {
        segment_key: "ios".to_owned(),
        value: boolean(true),
    };
    let changed = pb::Flag {
        segment_overrides: vec![over],
        ..flag(&mut service, "a").await
    };
    update_flag(&mut service, changed, "segment_overrides").await;
    refused(
        undo(&mut service, &stopped).await,
        Code::FailedPrecondition,
        "OVERRIDE_CONFLICT",
    );
}

#[tokio::test]
async fn a_paused_experiment_is_paused_again() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let request = pb::PauseExperimentRequest {
        key: "a".to_owned(),
        version: running.version,
        ..Default::default()
    };
    let paused = service.experiments.pause_experiment(request).await.unwrap();
    let paused = paused.into_inner().experiment.unwrap();
    let stopped = stop(&mut service, &paused).await;
    service.clock.advance(Duration::from_secs(5));
    let back = undo(&mut service, &stopped).await.unwrap().experiment.unwrap();
    assert_eq!(
        (back.state(), back.pause_mode()),
        (State::Paused, pb::PauseMode::ServeDefault)
    );
    assert_eq!((back.pauses.len(), back.pauses[2].to), (3, None));
}
