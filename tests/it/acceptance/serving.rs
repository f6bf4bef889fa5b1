//! What is served, state by state.

use std::time::Duration;

use anyhow::{Result, ensure};
use assay_core::time::Timestamp;
use assay_platform::SystemClock;
use assay_proto::{
    assignment::v1::{Exposure, Reason},
    config::v1 as pb,
    convert::{duration, timestamp},
};
use assay_tests::eventually;

use super::{DEADLINE, World, all, value, variants};

pub(super) async fn a_pause_serves_the_default_and_a_resume_the_variants(world: &World) -> Result<()> {
    let shop = world.shop("pausing").await?;
    shop.start("page", "").await?;
    let before = shop.assign("page", 0..10_000, Exposure::Record).await?;
    shop.ok("experiment pause page --wait").await?;
    all(&shop.peek("page", 0..10_000).await?, Reason::Paused, "A")?;
    shop.ok("experiment resume page --wait").await?;
    let after = shop.assign("page", 0..10_000, Exposure::Record).await?;
    ensure!(
        variants(&before) == variants(&after),
        "each unit has its variant again"
    );
    Ok(())
}

pub(super) async fn who_comes_in_a_pause_gets_a_variant_afterwards(world: &World) -> Result<()> {
    let shop = world.shop("coming").await?;
    shop.start("page", "").await?;
    shop.ok("experiment pause page --wait").await?;
    all(
        &shop.assign("page", 0..100, Exposure::Record).await?,
        Reason::Paused,
        "A",
    )?;
    shop.ok("experiment resume page --wait").await?;
    let after = shop.peek("page", 0..100).await?;
    ensure!(
        after
            .values()
            .all(|answer| answer.reason() == Reason::Split && !answer.variant_key.is_empty())
    );
    Ok(())
}

pub(super) async fn an_override_is_served_in_a_pause(world: &World) -> Result<()> {
    let shop = world.shop("overriding").await?;
    shop.start("page", "").await?;
    shop.apply("kind: flag\nkey: page\nunitOverrides: [{unit: u7, value: B}]\n")
        .await?;
    shop.ok("experiment pause page --wait").await?;
    all(&shop.peek("page", 7..8).await?, Reason::Override, "B")?;
    all(&shop.peek("page", 8..9).await?, Reason::Paused, "A")
}

pub(super) async fn a_start_in_the_future_comes_in_time(world: &World) -> Result<()> {
    let shop = world.shop("future").await?;
    let now = SystemClock::shared().now_micros();
    let soon = timestamp(Timestamp::from_micros(now).plus(Duration::from_secs(3)));
    shop.draft("page", &format!("--start-time {soon}")).await?;
    shop.ok("experiment start page --wait").await?;
    let scheduled = shop.json("experiment show page").await?;
    ensure!(scheduled["state"] == "SCHEDULED", "{scheduled}");
    all(&shop.peek("page", 0..100).await?, Reason::Scheduled, "A")?;
    eventually(DEADLINE, async || {
        let found = shop.json("experiment show page").await?;
        ensure!(found["state"] == "RUNNING", "{}", found["state"]);
        let given = shop.peek("page", 0..100).await?;
        ensure!(given.values().all(|answer| answer.reason() == Reason::Split));
        Ok(())
    })
    .await
}

pub(super) async fn created_and_started_it_serves_at_once(world: &World) -> Result<()> {
    let shop = world.shop("at-once").await?;
    let variant = |key: &str| pb::Variant {
        key: key.to_owned(),
        value: Some(prost_types::Value {
            kind: Some(prost_types::value::Kind::StringValue(key.to_owned())),
        }),
        ..Default::default()
    };
    let experiment = pb::Experiment {
        namespace: "at-once".to_owned(),
        key: "page".to_owned(),
        hypothesis: "it sells more".to_owned(),
        variants: vec![variant("a"), variant("b")],
        metrics: vec![pb::ExperimentMetric {
            metric_key: "bought".to_owned(),
            role: pb::MetricRole::Primary.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let request = pb::CreateExperimentRequest {
        experiment: Some(experiment),
        start: true,
        wait: Some(duration(DEADLINE)),
    };
    let answer = world.replicas[0]
        .experiments()
        .create_experiment(request)
        .await?
        .into_inner();
    let activation = answer.activation.unwrap_or_default();
    ensure!(
        activation.replicas == 3 && activation.unconfirmed.is_empty(),
        "{activation:?}"
    );
    // The first thousand is asked of one replica, the next of another.
    let given = shop.peek("page", 0..3_000).await?;
    ensure!(given.values().all(|answer| answer.reason() == Reason::Split));
    Ok(())
}

pub(super) async fn the_control_keeps_its_pinned_value(world: &World) -> Result<()> {
    let shop = world.shop("pinned").await?;
    shop.start("page", "").await?;
    let before = shop.peek("page", 0..100).await?;
    shop.apply(
        "kind: flag\nkey: page\ndefaultValue: B\nvariations: [{key: b, value: B}, {key: a, value: A}]\n",
    )
    .await?;
    let after = shop.peek("page", 0..100).await?;
    for (id, answer) in &before {
        ensure!(
            value(answer) == value(&after[id]),
            "unit {id}: {answer:?} became {:?}",
            after[id]
        );
    }
    let shown = shop.json("experiment show page").await?;
    ensure!(
        shown["variants"][0]["value"] == "A" && !shown["controlDrift"].is_null(),
        "{shown}"
    );
    Ok(())
}

pub(super) async fn an_ended_experiment_answers_an_old_client(world: &World) -> Result<()> {
    let shop = world.shop("old-client").await?;
    shop.start("page", "").await?;
    shop.ok("experiment stop page").await?;
    let ended = world
        .cli
        .ok("-n old-client experiment end page --force --wait")
        .await?;
    ensure!(ended.contains("ENDED"), "{ended}");
    all(&shop.peek("page", 0..100).await?, Reason::Ended, "A")
}
