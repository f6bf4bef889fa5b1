//! What the clock does: starts and ends in time, once, whatever restarts and however many replicas there are.

use std::time::Duration;

use assay_core::key::Namespace;
use assay_platform::Code;
use assay_proto::config::v1::{self as pb, ExperimentState as State};

use crate::support::{
    Service, assert_violations, at, fact, invalid,
    make::{self, mask},
    refused, until,
};

const HOUR: i64 = 3_600;

/// `key`, to run from one hour to three hours after now; scheduled.
async fn scheduled(service: &mut Service, key: &str) -> pb::Experiment {
    let dated = pb::Experiment {
        start_time: at(HOUR),
        end_time: at(3 * HOUR),
        ..make::ready(key)
    };
    let draft = service.experiment(dated).await;
    service.try_start(&draft).await.unwrap().experiment.unwrap()
}

async fn with_metric() -> Service {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    service
}

async fn deeds(service: &Service, key: &str) -> Vec<(String, String)> {
    let subject = format!("experiment/{key}");
    let trail = service
        .store
        .audit(&Namespace::default(), Some(&subject), None, 100)
        .await;
    trail
        .unwrap()
        .into_iter()
        .map(|row| (row.audit.action, row.audit.actor))
        .collect()
}

async fn update(
    service: &mut Service,
    experiment: pb::Experiment,
    paths: &[&str],
) -> Result<pb::Experiment, tonic::Status> {
    let request = pb::UpdateExperimentRequest {
        experiment: Some(experiment),
        update_mask: mask(paths),
    };
    let answer = service.experiments.update_experiment(request).await?;
    Ok(answer.into_inner().experiment.unwrap())
}

async fn unschedule(
    service: &mut Service,
    experiment: &pb::Experiment,
) -> Result<pb::Experiment, tonic::Status> {
    let request = pb::UnscheduleExperimentRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        ..Default::default()
    };
    let answer = service.experiments.unschedule_experiment(request).await?;
    Ok(answer.into_inner().experiment.unwrap())
}

#[tokio::test]
async fn a_start_in_the_future_reserves_the_flag_and_happens_in_time_on_one_of_many_replicas() {
    let mut service = with_metric().await;
    let _others = [service.replica().await, service.replica().await];
    let waiting = scheduled(&mut service, "a").await;
    assert_eq!((waiting.state(), waiting.version), (State::Scheduled, 2));
    assert_eq!(
        waiting.allowed_actions().collect::<Vec<_>>(),
        [pb::LifecycleAction::Unschedule, pb::LifecycleAction::Duplicate]
    );
    let rival = service.experiment(make::ready_on("rival", "a")).await;
    let failure = refused(
        service.try_start(&rival).await,
        Code::FailedPrecondition,
        "VALIDATION_FAILED",
    );
    assert_violations(&failure, &[("flag_key", "FLAG_BOUND")]);
    let failure = refused(
        service.try_start(&waiting).await,
        Code::FailedPrecondition,
        "INVALID_TRANSITION",
    );
    assert_eq!(fact(&failure, "allowed_actions"), "UNSCHEDULE,DUPLICATE");
    assert!(failure.message.contains("to start now, Unschedule"), "{failure}");

    service.clock.advance(Duration::from_secs(3_599));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(service.get("a").await, waiting, "not a second early");
    service.clock.advance(Duration::from_secs(1));
    let running = until(&service, "a", |e| e.state() == State::Running).await;
    assert_eq!((running.start_time, running.end_time), (at(HOUR), at(3 * HOUR)));
    assert_eq!(
        (running.version, running.cohorts[0].generation),
        (3, running.generation)
    );
    assert_eq!(
        deeds(&service, "a").await[..2],
        [
            ("experiment.start".into(), "scheduler".into()),
            ("experiment.schedule".into(), "local".into())
        ]
    );
}

#[tokio::test]
async fn a_schedule_survives_a_restart() {
    let mut service = with_metric().await;
    scheduled(&mut service, "a").await;
    let (store, bus, clock) = (service.store.clone(), service.bus.clone(), service.clock.clone());
    service.stop().await;
    clock.advance(Duration::from_secs(2 * 3_600));
    let after = Service::start_on(store, bus).await;
    after.clock.set(assay_platform::Clock::now_micros(&clock));
    until(&after, "a", |e| e.state() == State::Running).await;
}

#[tokio::test]
async fn a_start_that_is_refused_says_why_once_and_is_made_good() {
    let mut service = with_metric().await;
    let waiting = scheduled(&mut service, "a").await;
    service.clock.advance(Duration::from_secs(4 * 3_600));
    let refused = until(&service, "a", |e| !e.schedule_error.is_empty()).await;
    assert_eq!(
        (refused.state(), refused.version),
        (State::Scheduled, waiting.version + 1)
    );
    assert!(
        refused.schedule_error.contains("END_TIME_IN_PAST"),
        "{}",
        refused.schedule_error
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(service.get("a").await, refused, "it is said once");

    let later = pb::Experiment {
        end_time: at(5 * HOUR),
        ..refused
    };
    update(&mut service, later, &["end_time"]).await.unwrap();
    let running = until(&service, "a", |e| e.state() == State::Running).await;
    assert_eq!(running.schedule_error, "");
    let actions: Vec<_> = deeds(&service, "a")
        .await
        .into_iter()
        .map(|(action, _)| action)
        .collect();
    assert_eq!(
        actions[..3],
        [
            "experiment.start",
            "experiment.update",
            "experiment.start_refused"
        ]
    );
}

#[tokio::test]
async fn those_that_cannot_start_hold_up_no_other() {
    let mut service = with_metric().await;
    for i in 0..120 {
        scheduled(&mut service, &format!("stuck-{i}")).await;
    }
    service.clock.advance(Duration::from_secs(4 * 3_600));
    let soon = pb::Experiment {
        start_time: at(5 * HOUR),
        ..make::ready("good")
    };
    let soon = service.experiment(soon).await;
    service.try_start(&soon).await.unwrap();
    service.clock.advance(Duration::from_secs(3_600));
    until(&service, "good", |e| e.state() == State::Running).await;
    until(&service, "stuck-119", |e| !e.schedule_error.is_empty()).await;
}

#[tokio::test]
async fn while_scheduled_texts_dates_and_qa_overrides_can_change() {
    let mut service = with_metric().await;
    let waiting = scheduled(&mut service, "a").await;
    let frozen = pb::Experiment {
        hypothesis: "other".to_owned(),
        coverage: Some(1),
        ..waiting.clone()
    };
    let failure = refused(
        update(&mut service, frozen, &[]).await,
        Code::FailedPrecondition,
        "CONFIG_LOCKED",
    );
    assert_eq!(fact(&failure, "field"), "hypothesis,coverage");
    let cleared = pb::Experiment {
        start_time: None,
        ..waiting.clone()
    };
    invalid(
        update(&mut service, cleared, &["start_time"]).await,
        &[("start_time", "DATE_REQUIRED")],
    );
    let past = pb::Experiment {
        start_time: at(-2),
        end_time: at(-1),
        ..waiting.clone()
    };
    let wrong = [("end_time", "END_TIME_IN_PAST")];
    invalid(
        update(&mut service, past, &["start_time", "end_time"]).await,
        &wrong,
    );
    let now = pb::Experiment {
        name: "A".to_owned(),
        start_time: at(0),
        ..waiting
    };
    update(&mut service, now, &["name", "start_time"]).await.unwrap();
    until(&service, "a", |e| e.state() == State::Running && e.name == "A").await;
}

#[tokio::test]
async fn unschedule_makes_a_draft_again_and_frees_the_flag() {
    let mut service = with_metric().await;
    let waiting = scheduled(&mut service, "a").await;
    let draft = unschedule(&mut service, &waiting).await.unwrap();
    assert_eq!((draft.state(), draft.start_time), (State::Draft, at(HOUR)));
    let failure = refused(
        unschedule(&mut service, &draft).await,
        Code::FailedPrecondition,
        "INVALID_TRANSITION",
    );
    assert_eq!(fact(&failure, "allowed_actions"), "START,DELETE,DUPLICATE");
    let rival = service.experiment(make::ready_on("rival", "a")).await;
    service.try_start(&rival).await.unwrap();
    service.clock.advance(Duration::from_secs(2 * 3_600));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(service.get("a").await, draft);
}

#[tokio::test]
async fn at_the_end_what_runs_or_is_paused_completes_and_awaits_a_decision() {
    let mut service = with_metric().await;
    let running = service.running("running").await;
    let paused = service.running("paused").await;
    let request = pb::PauseExperimentRequest {
        key: "paused".to_owned(),
        version: paused.version,
        ..Default::default()
    };
    service.experiments.pause_experiment(request).await.unwrap();
    service.clock.advance(Duration::from_secs(14 * 86_400));
    for key in ["running", "paused"] {
        let done = until(&service, key, |e| e.state() == State::Completed).await;
        assert_eq!(
            (done.outcome(), done.completed_at),
            (pb::Outcome::Pending, at(14 * 86_400))
        );
        assert!(done.undo_until.is_none() && done.pauses.iter().all(|pause| pause.to.is_some()));
    }
    assert_eq!(
        deeds(&service, "running").await[0],
        ("experiment.reach_end".into(), "scheduler".into())
    );
    let stop = pb::StopExperimentRequest {
        key: "running".to_owned(),
        version: running.version + 1,
        confirm: true,
        ..Default::default()
    };
    let decided = service
        .experiments
        .stop_experiment(stop)
        .await
        .unwrap()
        .into_inner()
        .experiment
        .unwrap();
    assert_eq!(
        (decided.outcome(), decided.completed_at),
        (pb::Outcome::NoWinner, at(14 * 86_400))
    );
}

#[tokio::test]
async fn notify_only_goes_on_and_tells_once_for_each_end() {
    let mut service = with_metric().await;
    let mut asked = make::ready("a");
    asked.set_end_action(pb::EndAction::NotifyOnly);
    asked.end_time = at(HOUR);
    let draft = service.experiment(asked).await;
    let running = service.try_start(&draft).await.unwrap().experiment.unwrap();
    service.clock.advance(Duration::from_secs(3_600));
    let told = until(&service, "a", |e| e.end_reached_at.is_some()).await;
    assert_eq!(
        (told.state(), told.end_reached_at, told.version),
        (State::Running, at(HOUR), running.version + 1)
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(service.get("a").await, told, "it is told once");

    let later = pb::Experiment {
        end_time: at(2 * HOUR),
        ..told
    };
    let moved = update(&mut service, later, &["end_time"]).await.unwrap();
    assert_eq!(moved.end_reached_at, None);
    service.clock.advance(Duration::from_secs(3_600));
    until(&service, "a", |e| e.end_reached_at == at(2 * HOUR)).await;
}

#[tokio::test]
async fn holding_enrollment_at_the_end_needs_stored_assignments() {
    let mut service = with_metric().await;
    let mut asked = make::ready("a");
    asked.set_end_action(pb::EndAction::HoldEnrollment);
    invalid(
        service.try_experiment(asked).await,
        &[("end_action", "NEEDS_STORED")],
    );
}

fn remembering() -> pb::Experiment {
    pb::Experiment {
        sticky: pb::Sticky::Stored.into(),
        ..make::ready("a")
    }
}

#[tokio::test]
async fn holding_enrollment_at_the_end_keeps_who_is_in_and_lets_nobody_new_in() {
    let mut service = with_metric().await;
    let mut asked = remembering();
    asked.set_end_action(pb::EndAction::HoldEnrollment);
    asked.end_time = at(HOUR);
    let draft = service.experiment(asked).await;
    service.try_start(&draft).await.unwrap();
    service.clock.advance(Duration::from_secs(3_600));
    let held = until(&service, "a", |e| e.end_reached_at.is_some()).await;
    assert_eq!(
        (held.state(), held.pause_mode(), held.end_reached_at),
        (State::Paused, pb::PauseMode::HoldEnrollment, at(HOUR))
    );
    assert_eq!(
        deeds(&service, "a").await[0],
        ("experiment.reach_end".into(), "scheduler".into())
    );
}

#[tokio::test]
async fn the_mode_of_a_pause_can_change_while_it_lasts() {
    let mut service = with_metric().await;
    let draft = service.experiment(remembering()).await;
    let mut current = service.try_start(&draft).await.unwrap().experiment.unwrap();
    for mode in [
        pb::PauseMode::ServeDefault,
        pb::PauseMode::HoldEnrollment,
        pb::PauseMode::ServeDefault,
    ] {
        service.clock.advance(Duration::from_secs(60));
        let request = pb::PauseExperimentRequest {
            key: "a".to_owned(),
            version: current.version,
            mode: mode.into(),
            ..Default::default()
        };
        let paused = service.experiments.pause_experiment(request).await.unwrap();
        current = paused.into_inner().experiment.unwrap();
        assert_eq!((current.state(), current.pause_mode()), (State::Paused, mode));
    }
    // Each stretch is told by itself: who counts in it depends on its mode.
    let stretches: Vec<_> = current
        .pauses
        .iter()
        .map(|pause| (pause.mode(), pause.to.is_some()))
        .collect();
    assert_eq!(
        stretches,
        [
            (pb::PauseMode::ServeDefault, true),
            (pb::PauseMode::HoldEnrollment, true),
            (pb::PauseMode::ServeDefault, false)
        ]
    );
}
