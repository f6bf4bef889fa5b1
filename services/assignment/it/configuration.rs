//! Where configuration comes from, and what holds while it does not.

use std::{sync::atomic::Ordering, time::Duration};

use assay_assignment::Settings;
use assay_core::lifecycle::{PauseMode, State};
use assay_proto::{
    assignment::v1::{self as pb, Reason},
    bus::Published,
};
use tonic::Code;

use crate::{
    fixtures::{experiment, flag, gate},
    support::{World, eventually, request},
};

fn paused() -> Vec<Published> {
    vec![
        Published::Flag(flag("gate")),
        Published::Experiment(experiment("gate", State::Paused(PauseMode::ServeDefault))),
    ]
}

#[tokio::test]
async fn a8_before_any_configuration_no_answer_is_invented() {
    let world = World::new().await;
    let mut running = world.start().await;
    let status = eventually(async || match running.one("u1", "gate").await {
        Err(status) if status.message().contains("no configuration") => Ok(status),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(status.code(), Code::Unavailable);
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("NO_CONFIGURATION"), "{details}");
    world.bus.publish("default", 1, &gate()).await;
    running.until(1).await;
    running.stop().await;
}

#[tokio::test]
async fn a5_what_is_published_is_served() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    assert_eq!(running.one("u1", "gate").await.unwrap().reason(), Reason::Split);
    world.bus.publish("default", 2, &paused()).await;
    running.until(2).await;
    assert_eq!(running.one("u1", "gate").await.unwrap().reason(), Reason::Paused);
    world
        .bus
        .publish("default", 3, &[Published::Flag(flag("gate"))])
        .await;
    running.until(3).await;
    assert_eq!(
        running.one("u1", "gate").await.unwrap().reason(),
        Reason::NoExperiment
    );
    running.stop().await;
}

#[tokio::test]
async fn a6_without_the_bus_it_serves_on_and_catches_up_afterwards() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let before = running.one("u1", "gate").await.unwrap();
    world.bus.cut(true);
    world.bus.publish("default", 2, &paused()).await;
    for _ in 0..50 {
        assert_eq!(running.one("u1", "gate").await.unwrap(), before);
    }
    world.bus.cut(false);
    running.until(2).await;
    running.stop().await;
}

async fn answers(running: &mut crate::support::Running) -> Vec<pb::Assignment> {
    let mut answers = Vec::new();
    for n in 0..100 {
        answers.extend(
            running
                .assign(request(&format!("u{n}"), &["gate", "other"]))
                .await
                .unwrap(),
        );
    }
    answers
}

#[tokio::test]
async fn a6_a_restart_without_the_bus_gives_the_same_answers() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let before = answers(&mut running).await;
    running.stop().await;
    world.bus.cut(true);
    let mut running = world.serving(1).await;
    assert_eq!(answers(&mut running).await, before);
    running.stop().await;
}

#[tokio::test]
async fn a4_a_restart_never_goes_back_behind_the_snapshot_file() {
    let world = World::new().await;
    world.bus.publish("default", 5, &gate()).await;
    world.serving(5).await.stop().await;
    let restored = World {
        directory: world.directory,
        ..World::new().await
    };
    restored.bus.publish("default", 4, &paused()).await;
    let mut running = restored.serving(5).await;
    restored.bus.publish("default", 6, &paused()).await;
    running.until(6).await;
    running.stop().await;
}

#[tokio::test]
async fn a_damaged_snapshot_file_is_passed_over() {
    let world = World::with_gate().await;
    std::fs::write(
        world.directory.path().join("snapshot"),
        b"ASSAYSNP and then noise that is long enough",
    )
    .unwrap();
    let running = world.serving(1).await;
    running.stop().await;
    world.bus.cut(true);
    world.serving(1).await.stop().await;
}

#[tokio::test]
async fn what_a_watch_has_missed_is_found_and_replaced() {
    let world = World::with_gate().await;
    let settings = Settings {
        compare_interval: Duration::from_secs(1),
        ..Settings::default()
    };
    let mut running = world.start_with(settings).await;
    running.until(1).await;
    world.bus.deaf.store(true, Ordering::SeqCst);
    world.bus.publish("default", 2, &paused()).await;
    running.until(2).await;
    running.stop().await;
}
