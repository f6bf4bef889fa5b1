//! Another cohort on four processes over real stores: who was seen stays, whoever is killed meanwhile.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use anyhow::{Context, Result, ensure};
use assay_client::{
    Client,
    command::Command,
    resource::{Resource, Target},
};
use assay_core::key::Namespace;
use assay_proto::{
    assignment::v1::{AssignBatchItem, AssignBatchRequest, Exposure, Reason},
    common::v1::Unit,
    config::v1 as pb,
    convert::duration,
};
use assay_tests::{eventually, processes::Processes};
use prost_types::{Value, value::Kind};

use crate::cluster::stores;

const SEEN: Range<usize> = 0..10_000;
const NEW: Range<usize> = 10_000..20_000;
const DEADLINE: Duration = Duration::from_secs(30);

/// What a unit got: variant and cohort.
type Given = BTreeMap<usize, (String, u32)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cohort_moves_no_unit_that_was_seen() -> Result<()> {
    let mut cluster = Processes::start(stores().await?).await?;
    let client = cluster.client()?;
    let running = begin(&client).await?;
    let seen = eventually(DEADLINE, async || assign(&client, SEEN, running.generation).await).await?;

    let shifted = add(&client, vec![1_000, 9_000, 0], "").await?;
    ensure!(
        shifted.cohorts.len() == 2 && shifted.cohort_opening.is_none(),
        "{shifted:?}"
    );
    let again = eventually(DEADLINE, async || assign(&client, SEEN, shifted.generation).await).await?;
    ensure!(
        moved(&seen, &again) == 0,
        "{} of 10,000 moved",
        moved(&seen, &again)
    );

    cluster.kill("assignment")?;
    cluster.kill("config")?;
    cluster.begin("config").await?;
    cluster.begin("assignment").await?;
    let new = eventually(DEADLINE, async || assign(&client, NEW, shifted.generation).await).await?;
    let share = |variant: &str| {
        let n = new.values().filter(|(given, _)| given == variant).count();
        n as f64 / new.len() as f64
    };
    // 4 σ of 10,000 units at 10 % is 0.012.
    ensure!(
        (share("a") - 0.1).abs() < 0.012,
        "a new unit gets the control in {}",
        share("a")
    );
    ensure!(share("c") == 0.0, "a closed variant gets no new unit");
    ensure!(new.values().all(|(_, cohort)| *cohort == 2));

    let closed = add(&client, Vec::new(), "b").await?;
    ensure!(closed.cohorts.len() == 3, "{closed:?}");
    for (units, before) in [(SEEN, &seen), (NEW, &new)] {
        let after = eventually(DEADLINE, async || {
            assign(&client, units.clone(), closed.generation).await
        })
        .await?;
        ensure!(
            moved(before, &after) == 0,
            "{} of 10,000 moved",
            moved(before, &after)
        );
    }
    counted(&client).await?;
    cluster.stop_all().await
}

/// Everybody is counted once, in the cohort of their first exposure: against each cohort's own weights the counts are nothing special.
async fn counted(client: &Client) -> Result<()> {
    eventually(DEADLINE, async || {
        let result = client.results(&Namespace::default(), "pages").await?;
        let units: i64 = result.variants.iter().map(|variant| variant.units).sum();
        ensure!(units == 20_000, "{units} units are counted");
        let srm = result.srm.context("a test of the counts")?;
        ensure!(srm.p_value.is_some_and(|p| p > 1e-6), "{srm:?}");
        Ok(())
    })
    .await
}

fn moved(before: &Given, after: &Given) -> usize {
    before
        .iter()
        .filter(|(unit, given)| after.get(unit) != Some(given))
        .count()
}

/// A running experiment of three even variants that remembers its units.
async fn begin(client: &Client) -> Result<pb::Experiment> {
    let metric = pb::Metric {
        key: "bought".to_owned(),
        kind: Some(pb::metric::Kind::Conversion(pb::ConversionMetric {
            event: "purchase".to_owned(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let request = pb::CreateMetricRequest { metric: Some(metric) };
    client.metrics().create_metric(request).await?;
    let variant = |key: &str| pb::Variant {
        key: key.to_owned(),
        value: Some(Value {
            kind: Some(Kind::StringValue(key.to_owned())),
        }),
        ..Default::default()
    };
    let experiment = pb::Experiment {
        key: "pages".to_owned(),
        hypothesis: "one of them sells more".to_owned(),
        variants: vec![variant("a"), variant("b"), variant("c")],
        metrics: vec![pb::ExperimentMetric {
            metric_key: "bought".to_owned(),
            role: pb::MetricRole::Primary.into(),
            ..Default::default()
        }],
        sticky: pb::Sticky::Stored.into(),
        ..Default::default()
    };
    Ok(client.create_experiment(experiment, true).await?.experiment)
}

/// Adds a cohort and waits until it is open.
async fn add(client: &Client, weights: Vec<u32>, closed: &str) -> Result<pb::Experiment> {
    let experiment = pb::Experiment::get(client, "default", "pages").await?;
    let target = Target {
        namespace: "default".to_owned(),
        key: experiment.key,
        version: experiment.version,
    };
    let command = Command::AddCohort {
        weights,
        closed: closed.to_owned(),
        reason: "the first days look good".to_owned(),
        wait: Some(duration(DEADLINE)),
    };
    Ok(client.command(&target, command).await?.experiment)
}

/// What `units` get, all of it from `generation` or a later one.
async fn assign(client: &Client, units: Range<usize>, generation: u64) -> Result<Given> {
    let ids: Vec<_> = units.collect();
    let mut given = Given::new();
    for batch in ids.chunks(1_000) {
        let item = |id: &usize| AssignBatchItem {
            unit: Some(Unit {
                kind: String::new(),
                id: format!("u{id}"),
            }),
            ..Default::default()
        };
        let request = AssignBatchRequest {
            items: batch.iter().map(item).collect(),
            flag_keys: vec!["pages".to_owned()],
            exposure: Exposure::Record.into(),
            ..Default::default()
        };
        let answers = client.assignments().assign_batch(request).await?.into_inner();
        for (id, answer) in batch.iter().zip(answers.results) {
            let answer = answer.assignments.into_iter().next().context("an answer")?;
            ensure!(answer.reason() == Reason::Split, "unit {id}: {answer:?}");
            ensure!(
                answer.generation >= generation,
                "unit {id}: generation {}",
                answer.generation
            );
            given.insert(*id, (answer.variant_key, answer.cohort));
        }
    }
    Ok(given)
}
