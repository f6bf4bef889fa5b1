//! Exposures: exactly those that were offered reach the log, whatever happens in between.

use std::sync::atomic::Ordering;

use assay_assignment::{ExposureSettings, Settings};
use assay_core::{key::Unit, time::Timestamp};
use assay_proto::assignment::v1 as pb;

use crate::support::{NOW, Running, World, attributes, eventually, request, text, unit};

async fn assign_all(running: &mut Running, ids: impl IntoIterator<Item = usize>) -> Vec<String> {
    let mut names = Vec::new();
    for id in ids {
        let name = format!("u{id:04}");
        running.one(&name, "gate").await.unwrap();
        names.push(name);
    }
    names
}

#[tokio::test]
async fn an_exposure_says_what_was_answered() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let answer = running.one("u1", "gate").await.unwrap();
    world.exposed_units(1).await;
    let exposures = world.exposures().await;
    let [exposure] = &exposures[..] else {
        panic!("one exposure: {exposures:?}")
    };
    assert_eq!(exposure.experiment.as_str(), answer.experiment_key);
    assert_eq!(exposure.variant.as_str(), answer.variant_key);
    assert_eq!(
        (exposure.cohort, exposure.generation, exposure.imported),
        (1, 1, false)
    );
    assert_eq!(exposure.unit, Unit::user("u1").unwrap());
    assert_eq!(
        (exposure.time, exposure.received_at),
        (Timestamp::from_micros(NOW), Timestamp::from_micros(NOW))
    );
    running.stop().await;
}

#[tokio::test]
async fn only_what_is_to_be_recorded_is_recorded() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let with = |exposure: pb::Exposure, id: &str, keys: &[&str]| pb::AssignRequest {
        exposure: exposure.into(),
        ..request(id, keys)
    };
    running
        .assign(with(pb::Exposure::Peek, "peek", &["gate"]))
        .await
        .unwrap();
    running
        .assign(with(pb::Exposure::Unspecified, "several", &["gate", "x"]))
        .await
        .unwrap();
    running
        .assign(with(pb::Exposure::Record, "asked", &["gate", "x"]))
        .await
        .unwrap();
    running
        .assign(with(pb::Exposure::Unspecified, "one", &["gate"]))
        .await
        .unwrap();
    let irrelevant = attributes(&[("country", text("NL"))]);
    running
        .assign(pb::AssignRequest {
            attributes: irrelevant,
            ..request("with", &["gate"])
        })
        .await
        .unwrap();
    running.stop().await;
    assert_eq!(world.exposed_units(3).await, ["asked", "one", "with"]);
    assert!(
        world
            .exposures()
            .await
            .iter()
            .all(|exposure| exposure.attributes.is_empty()),
        "no segment looks at them"
    );
}

#[tokio::test]
async fn e1_exactly_the_offered_exposures_arrive() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let mut names = assign_all(&mut running, 0..200).await;
    let items = (200..1_200)
        .map(|n| pb::AssignBatchItem {
            unit: unit(&format!("u{n:04}")),
            attributes: None,
        })
        .collect();
    let request = pb::AssignBatchRequest {
        items,
        flag_keys: vec!["gate".into()],
        ..Default::default()
    };
    running.client.assign_batch(request).await.unwrap();
    names.extend((200..1_200).map(|n| format!("u{n:04}")));
    running.stop().await;
    assert_eq!(world.exposed_units(1_200).await, names);
}

#[tokio::test]
async fn e2_without_the_log_no_call_fails_and_all_arrive_afterwards() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    world.log.away.store(true, Ordering::SeqCst);
    let names = assign_all(&mut running, 0..300).await;
    assert_eq!(world.exposures().await, []);
    world.log.away.store(false, Ordering::SeqCst);
    assert_eq!(world.exposed_units(300).await, names);
    running.stop().await;
}

#[tokio::test]
async fn e3_a_killed_process_loses_no_spooled_exposure() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    world.log.away.store(true, Ordering::SeqCst);
    let mut names = assign_all(&mut running, 0..100).await;
    running.kill().await;
    world.log.away.store(false, Ordering::SeqCst);
    // The thread that held the spool may need a moment to end; a killed process does not.
    let mut running = eventually(async || {
        let mut running = world.start().await;
        match tokio::time::timeout(std::time::Duration::from_secs(5), running.until(1)).await {
            Ok(()) => Ok(running),
            Err(late) => Err(late),
        }
    })
    .await;
    names.extend(assign_all(&mut running, 100..110).await);
    assert_eq!(world.exposed_units(110).await, names);
    running.stop().await;
    assert_eq!(world.exposures().await.len(), 110);
}

#[tokio::test]
async fn a_stop_without_the_log_leaves_exposures_to_the_next_start() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    world.log.away.store(true, Ordering::SeqCst);
    let names = assign_all(&mut running, 0..20).await;
    running.stop().await;
    world.log.away.store(false, Ordering::SeqCst);
    let running = world.serving(1).await;
    assert_eq!(world.exposed_units(20).await, names);
    running.stop().await;
}

#[tokio::test]
async fn without_a_spool_nothing_is_written_and_all_arrive() {
    let world = World::with_gate().await;
    let exposures = ExposureSettings {
        spool: false,
        ..ExposureSettings::default()
    };
    let mut running = world
        .start_with(Settings {
            exposures,
            ..Settings::default()
        })
        .await;
    running.until(1).await;
    let names = assign_all(&mut running, 0..50).await;
    running.stop().await;
    assert_eq!(world.exposed_units(50).await, names);
    assert!(!world.directory.path().join("exposures").exists());
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let world = World::with_gate().await;
    std::fs::write(
        world.directory.path().join("exposures"),
        b"a file, not a directory",
    )
    .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = assay_assignment::Ports {
        bus: world.bus.clone(),
        log: world.log.clone(),
        units: world.units.clone(),
        data_dir: world.directory.path().to_owned(),
    };
    let served = assay_assignment::serve(
        listener,
        ports,
        Settings::default(),
        world.clock.shared(),
        assay_platform::Shutdown::new(),
    );
    let error = served.await.unwrap_err();
    assert!(error.to_string().contains("exposures.spool = false"), "{error}");
}
