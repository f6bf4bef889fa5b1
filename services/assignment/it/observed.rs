//! What a replica tells of itself, and that it says when it may be out of date.

use std::{sync::atomic::Ordering, time::Duration};

use assay_assignment::Settings;
use assay_platform::Observed;
use tonic::metadata::MetadataMap;

use crate::support::{Running, World, eventually, request};

/// The value of a metric without labels, or with `labels` such as `{reason="buffer_full"}`.
fn value(metrics: &str, name: &str) -> u64 {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}"))
        .parse()
        .unwrap()
}

async fn headers(running: &mut Running) -> MetadataMap {
    let answer = running.client.assign(request("u1", &["gate"])).await.unwrap();
    answer.metadata().clone()
}

#[tokio::test]
async fn e1_every_exposure_is_counted_somewhere() {
    let world = World::with_gate().await;
    let observed = Observed::new();
    let settings = Settings {
        observed: observed.clone(),
        ..Settings::default()
    };
    let mut running = world.start_with(settings).await;
    running.until(1).await;
    world.log.away.store(true, Ordering::SeqCst);
    for n in 0..50 {
        running.one(&format!("u{n}"), "gate").await.unwrap();
        let metrics = observed.metrics();
        let of = |name: &str| value(&metrics, &format!("assay_exposures_{name}"));
        let dropped: u64 = ["buffer_full", "spool_full", "spool_failed"]
            .map(|reason| of(&format!("dropped_total{{reason=\"{reason}\"}}")))
            .iter()
            .sum();
        assert_eq!(
            of("offered_total"),
            of("stored_total") + dropped + of("pending"),
            "{metrics}"
        );
        assert_eq!((of("offered_total"), of("stored_total")), (n + 1, 0));
    }
    assert_eq!(
        value(
            &observed.metrics(),
            "assay_config_generation{namespace=\"default\"}"
        ),
        1
    );
    world.log.away.store(false, Ordering::SeqCst);
    eventually(async || {
        let metrics = observed.metrics();
        let (stored, pending) = (
            value(&metrics, "assay_exposures_stored_total"),
            value(&metrics, "assay_exposures_pending"),
        );
        if (stored, pending) == (50, 0) {
            Ok(())
        } else {
            Err(metrics)
        }
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a6_what_may_be_out_of_date_is_said_to_be() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    assert!(headers(&mut running).await.get("x-assay-stale").is_none());
    world.bus.cut(true);
    world.clock.advance(Duration::from_secs(75));
    // The bus may have been heard of once more before it was cut off.
    let told = eventually(async || {
        let told = headers(&mut running).await;
        told.get("x-assay-stale").map(|_| ()).ok_or("it is fresh")?;
        Ok::<_, &str>(told)
    })
    .await;
    assert_eq!(told.get("x-assay-stale").unwrap(), "true");
    assert_eq!(told.get("x-assay-config-age-seconds").unwrap(), "75");
    running.stop().await;

    // From the file: nobody knows how old that is.
    let mut running = world.serving(1).await;
    let told = headers(&mut running).await;
    assert_eq!(told.get("x-assay-stale").unwrap(), "true");
    assert!(told.get("x-assay-config-age-seconds").is_none());
    world.bus.cut(false);
    eventually(async || match headers(&mut running).await.get("x-assay-stale") {
        None => Ok(()),
        Some(_) => Err("it is stale"),
    })
    .await;
    running.stop().await;
}
