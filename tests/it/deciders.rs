//! One API, two ways: decisions that are asked of assignment, and decisions that are made in this process.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use assay_client::{Decider, DeciderOptions};
use assay_core::{
    key::{Namespace, Unit},
    value::{Attributes, Value},
};
use assay_platform::SystemClock;
use assay_proto::{
    assignment::v1::{Assignment, Exposure, Reason},
    config::v1 as config,
};
use assay_tests::{cluster::Cluster, embedded::Embedded, eventually, story};

const FLAG: &str = "checkout";
const DEADLINE: Duration = Duration::from_secs(30);

fn options() -> DeciderOptions {
    DeciderOptions {
        deadline: Duration::from_secs(5),
        ..DeciderOptions::default()
    }
}

async fn ask(decider: &Decider, id: &str, exposure: Exposure) -> Result<Assignment> {
    let unit = Unit::user(id)?;
    let flags = [FLAG.to_owned()];
    let answers = decider
        .assign(Some(&unit), &Attributes::new(), &flags, exposure)
        .await?;
    answers.into_iter().next().context("no answer")
}

/// Waits until the decider decides from `generation` or later.
async fn until(decider: &Decider, generation: u64) -> Result<()> {
    eventually(DEADLINE, async || {
        let decides = decider.generation();
        ensure!(
            decides.is_some_and(|decides| decides >= generation),
            "decides from {decides:?}"
        );
        anyhow::Ok(())
    })
    .await
}

/// The exposures of both ways are counted together, as if all had been asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_in_process_are_those_of_assign_and_count_alike() -> Result<()> {
    let cluster = Cluster::start(SystemClock::shared()).await?;
    let client = cluster.client()?;
    let generation = story::begin(&client).await?;
    let asked = client.decider(Namespace::default(), &options());
    let made = client.in_process_decider(Namespace::default(), &options());
    ensure!(made.ready(DEADLINE).await, "no configuration has come");
    until(&made, generation).await?;
    eventually(DEADLINE, async || {
        let answer = story::peek(&client).await?;
        ensure!(answer.generation >= generation, "{answer:?}");
        anyhow::Ok(())
    })
    .await?;

    let mut variants = BTreeMap::new();
    for i in 0..400 {
        let id = format!("u{i}");
        let (there, here) = (
            ask(&asked, &id, Exposure::Peek).await?,
            ask(&made, &id, Exposure::Peek).await?,
        );
        ensure!(there == here, "asked {there:?}, made {here:?}");
        let counted = if i % 2 == 0 { &made } else { &asked };
        let given = ask(counted, &id, Exposure::Unspecified).await?;
        ensure!(given.reason() == Reason::Split, "{given:?}");
        variants.insert(id, given.variant_key);
    }
    let all = made
        .assign(
            Some(&Unit::user("u1")?),
            &Attributes::new(),
            &[],
            Exposure::Unspecified,
        )
        .await?;
    ensure!(
        all.len() == 1 && all.iter().all(|answer| answer.flag_key == FLAG),
        "{all:?}"
    );
    let unknown = Value::String("mine".into());
    let value = made
        .value(&Unit::user("u1")?, &Attributes::new(), "nothing", unknown.clone())
        .await;
    ensure!(value == unknown, "{value:?}");

    let counts = made.close().await;
    ensure!(
        (counts.offered, counts.recorded, counts.pending) == (200, 200, 0),
        "{counts:?}"
    );
    let received_at = story::record(&client, &variants).await?;
    let result = story::result_through(&client, received_at).await?;
    story::check(&result, &variants)?;
    cluster.stop().await
}

/// What came last decides on, exposures wait, and what is stored is owned up to; afterwards everything catches up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decider_outlives_its_server_and_never_goes_back() -> Result<()> {
    let mut assay = Embedded::start().await?;
    let client = assay.client()?;
    let generation = story::begin(&client).await?;
    let sticky = stored(&client).await?;
    let made = client.in_process_decider(Namespace::default(), &options());
    until(&made, generation.max(sticky)).await?;
    let before = ask(&made, "u1", Exposure::Peek).await?;

    assay.kill()?;
    let during = ask(&made, "u1", Exposure::Record).await?;
    ensure!(before == during, "{before:?}, then {during:?}");
    let flags = [FLAG.to_owned(), "remembered".to_owned()];
    let unit = Unit::user("u2")?;
    let both = made
        .assign(Some(&unit), &Attributes::new(), &flags, Exposure::Record)
        .await?;
    let reasons: Vec<_> = both.iter().map(Assignment::reason).collect();
    ensure!(reasons == [Reason::Split, Reason::Degraded], "{both:?}");
    ensure!(
        both.iter().all(|answer| answer.generation == before.generation),
        "{both:?}"
    );
    let counts = made.counts();
    ensure!((counts.offered, counts.pending) == (2, 2), "{counts:?}");

    assay.begin().await?;
    let both = eventually(DEADLINE, async || {
        let both = made
            .assign(Some(&unit), &Attributes::new(), &flags, Exposure::Peek)
            .await?;
        ensure!(
            both.iter().all(|answer| answer.reason() == Reason::Split),
            "{both:?}"
        );
        anyhow::Ok(both)
    });
    both.await?;
    let paused = story::pause(&client).await?.generation;
    until(&made, paused).await?;
    let after = ask(&made, "u1", Exposure::Peek).await?;
    ensure!(after.reason() == Reason::Paused, "{after:?}");
    let counts = eventually(DEADLINE, async || {
        let counts = made.counts();
        ensure!(counts.pending == 0, "{counts:?}");
        anyhow::Ok(counts)
    });
    ensure!(counts.await?.recorded == 2, "{:?}", made.counts());
    made.close().await;
    Ok(())
}

/// Starts the experiment `remembered`, whose assignments are stored; its generation.
async fn stored(client: &assay_client::Client) -> Result<u64> {
    let variant = |key: &str, on| config::Variant {
        key: key.into(),
        value: Some(prost_types::Value {
            kind: Some(prost_types::value::Kind::BoolValue(on)),
        }),
        ..Default::default()
    };
    let experiment = config::Experiment {
        key: "remembered".into(),
        hypothesis: "it stays".into(),
        variants: vec![variant("off", false), variant("on", true)],
        metrics: vec![config::ExperimentMetric {
            metric_key: "bought".into(),
            role: config::MetricRole::Primary.into(),
            ..Default::default()
        }],
        sticky: config::Sticky::Stored.into(),
        ..Default::default()
    };
    let started = client.create_experiment(experiment, true).await?;
    Ok(started.experiment.generation)
}

/// What `assay explain` says is what `assay assign` says, now and at a generation of the past.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_explains_now_and_then() -> Result<()> {
    let assay = Embedded::start().await?;
    let client = assay.client()?;
    let begun = story::begin(&client).await?;
    let paused = story::pause(&client).await?.generation;
    eventually(DEADLINE, async || {
        let answer = story::peek(&client).await?;
        ensure!(answer.generation >= paused, "{answer:?}");
        anyhow::Ok(())
    })
    .await?;
    let cli = assay_tests::cli::Cli::on(&assay.endpoints());
    let now = cli.json("explain checkout --unit u1").await?;
    ensure!(now["assignment"]["reason"] == "PAUSED", "{now}");
    let then = cli
        .json(&format!("explain checkout --unit u1 --generation {begun}"))
        .await?;
    ensure!(then["assignment"]["reason"] == "SPLIT", "{then}");
    let gates = then["gates"].as_array().context("no gates")?;
    let decider = gates
        .iter()
        .find(|gate| gate["verdict"] == "DECIDED")
        .context("no decider")?;
    ensure!(
        decider["kind"] == "SPLIT" && decider["bucket"].is_u64(),
        "{decider}"
    );
    let said = cli.ok("explain checkout --unit u1").await?;
    ensure!(
        said.contains("because PAUSED") && said.contains("NOT_REACHED"),
        "{said}"
    );
    Ok(())
}
