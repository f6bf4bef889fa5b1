//! The life of one experiment, told through the public doors: the same for a platform in one process and for a cluster.
//!
//! Between its chapters the teller may restart anything. Whatever was answered must be found in the result, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use assay_client::Client;
use assay_proto::{
    analysis::v1::{ExperimentResult, GetResultsRequest, MetricResult},
    assignment::v1::{AssignRequest, Assignment, Exposure, Reason},
    common::v1::Unit,
    config::v1 as config,
    ingest::v1::{Event, RecordEventsRequest, RecordStatus},
};
use prost_types::{Timestamp, Value, value::Kind};
use tonic::Code;

use crate::eventually;

/// The flag of the experiment.
pub const FLAG: &str = "checkout";
const DEADLINE: Duration = Duration::from_secs(60);
const UNITS: usize = 400;

/// The chapters, in order; a restart may come after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chapter {
    /// The experiment runs and is served.
    Started,
    /// Units were assigned and exposed.
    Exposed,
    /// Events were recorded, each twice.
    Recorded,
    /// Paused; nobody is exposed.
    Paused,
    /// Running again, everyone has their variant.
    Resumed,
    /// The winner is served to everyone.
    Decided,
}

/// Tells the story and checks it at every turn; `between` is called after each chapter.
///
/// # Errors
/// What did not come out as it must.
pub async fn tell(client: &Client, mut between: impl AsyncFnMut(Chapter) -> Result<()>) -> Result<()> {
    let generation = begin(client).await?;
    between(Chapter::Started).await?;
    let variants = expose(client, generation, 0..UNITS).await?;
    between(Chapter::Exposed).await?;
    let received_at = record(client, &variants).await?;
    between(Chapter::Recorded).await?;
    let counted = result_through(client, received_at).await?;
    check(&counted, &variants)?;

    let paused = pause(client).await?;
    assign_until(client, paused.generation, Reason::Paused).await?;
    let in_pause = buy(client, "in-pause", "u0", 1_000.0).await?;
    between(Chapter::Paused).await?;
    let resumed = resume(client).await?;
    assign_until(client, resumed.generation, Reason::Split).await?;
    let again = expose(client, resumed.generation, 0..UNITS).await?;
    ensure!(
        again == variants,
        "a unit did not come back to its variant after the pause"
    );
    between(Chapter::Resumed).await?;
    check(&result_through(client, in_pause).await?, &variants)?;

    declare_winner(client).await?;
    between(Chapter::Decided).await?;
    let after = buy(client, "after", "u0", 1_000.0).await?;
    check(&result_through(client, after).await?, &variants)
        .context("a completed experiment's result has changed")
}

/// Creates the experiment, starts it, and returns the generation that carries it.
///
/// # Errors
/// What was refused.
pub async fn begin(client: &Client) -> Result<u64> {
    create(client).await?;
    Ok(start(client).await?.generation)
}

async fn create(client: &Client) -> Result<()> {
    let variation = |key: &str, value: bool| config::Variation {
        key: key.into(),
        value: boolean(value),
        ..Default::default()
    };
    let flag = config::Flag {
        key: FLAG.into(),
        variations: vec![variation("old", false), variation("new", true)],
        ..Default::default()
    };
    client
        .flags()
        .create_flag(config::CreateFlagRequest { flag: Some(flag) })
        .await?;
    let bought = config::metric::Kind::Conversion(config::ConversionMetric {
        event: "purchase".into(),
        window: None,
        ..Default::default()
    });
    let revenue = config::metric::Kind::Scalar(config::ScalarMetric {
        event: "purchase".into(),
        ..Default::default()
    });
    for (key, kind) in [("bought", bought), ("revenue", revenue)] {
        let metric = config::Metric {
            key: key.into(),
            kind: Some(kind),
            ..Default::default()
        };
        client
            .metrics()
            .create_metric(config::CreateMetricRequest { metric: Some(metric) })
            .await?;
    }
    let metric = |key: &str, role: config::MetricRole| config::ExperimentMetric {
        metric_key: key.into(),
        role: role.into(),
        ..Default::default()
    };
    let experiment = config::Experiment {
        key: "checkout-test".into(),
        name: "New checkout".into(),
        hypothesis: "The new checkout sells more.".into(),
        flag_key: FLAG.into(),
        metrics: vec![
            metric("bought", config::MetricRole::Primary),
            metric("revenue", config::MetricRole::Secondary),
        ],
        ..Default::default()
    };
    let request = config::CreateExperimentRequest {
        experiment: Some(experiment),
        ..Default::default()
    };
    client.experiments().create_experiment(request).await?;
    Ok(())
}

async fn experiment(client: &Client) -> Result<config::Experiment> {
    let request = config::GetExperimentRequest {
        namespace: String::new(),
        key: "checkout-test".into(),
    };
    let get = async || client.experiments().get_experiment(request.clone()).await;
    eventually(DEADLINE, get)
        .await?
        .into_inner()
        .experiment
        .context("no experiment in the answer")
}

async fn start(client: &Client) -> Result<config::Experiment> {
    let draft = experiment(client).await?;
    let request = config::StartExperimentRequest {
        key: draft.key,
        version: draft.version,
        confirm: true,
        ..Default::default()
    };
    let response = client
        .experiments()
        .start_experiment(request.clone())
        .await?
        .into_inner();
    let stale = client
        .experiments()
        .start_experiment(request)
        .await
        .err()
        .context("a stale start was accepted")?;
    ensure!(
        stale.code() == Code::Aborted,
        "a stale start was answered {stale}"
    );
    let started = response.experiment.context("no experiment in the answer")?;
    ensure!(
        started.state() == config::ExperimentState::Running,
        "started into {:?}",
        started.state()
    );
    Ok(started)
}

/// Pauses the experiment.
///
/// # Errors
/// What was refused.
pub async fn pause(client: &Client) -> Result<config::Experiment> {
    let running = experiment(client).await?;
    let request = config::PauseExperimentRequest {
        key: running.key,
        version: running.version,
        ..Default::default()
    };
    client
        .experiments()
        .pause_experiment(request)
        .await?
        .into_inner()
        .experiment
        .context("no experiment in the answer")
}

/// Lets the experiment go on.
///
/// # Errors
/// What was refused.
pub async fn resume(client: &Client) -> Result<config::Experiment> {
    let paused = experiment(client).await?;
    let request = config::ResumeExperimentRequest {
        key: paused.key,
        version: paused.version,
        ..Default::default()
    };
    client
        .experiments()
        .resume_experiment(request)
        .await?
        .into_inner()
        .experiment
        .context("no experiment in the answer")
}

async fn declare_winner(client: &Client) -> Result<()> {
    let running = experiment(client).await?;
    let request = config::DeclareWinnerRequest {
        key: running.key,
        version: running.version,
        variant_key: "new".into(),
        reason: "it sells more".into(),
        force: true,
        ..Default::default()
    };
    let response = client.experiments().declare_winner(request).await?.into_inner();
    let (decided, flag) = response
        .experiment
        .zip(response.flag)
        .context("no experiment or flag in the answer")?;
    ensure!(
        decided.outcome() == config::Outcome::Winner && decided.winner == "new",
        "decided {decided:?}"
    );
    ensure!(
        flag.default_value == boolean(true),
        "the winner did not become the flag's default: {flag:?}"
    );
    for id in ["u0", "u1", "never-seen"] {
        eventually(DEADLINE, async || {
            let answer = assign(client, id).await?;
            ensure!(
                answer.reason() == Reason::Winner && answer.value == boolean(true),
                "still {answer:?}"
            );
            anyhow::Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn assign(client: &Client, id: &str) -> Result<Assignment> {
    let request = AssignRequest {
        unit: unit(id),
        flag_keys: vec![FLAG.into()],
        exposure: Exposure::Record.into(),
        ..Default::default()
    };
    let response = client.assignments().assign(request).await?.into_inner();
    response
        .assignments
        .into_iter()
        .next()
        .context("no assignment in the answer")
}

/// What assignment answers now, for a look.
///
/// # Errors
/// When it does not answer.
pub async fn peek(client: &Client) -> Result<Assignment> {
    let request = AssignRequest {
        unit: unit("peek"),
        flag_keys: vec![FLAG.into()],
        exposure: Exposure::Peek.into(),
        ..Default::default()
    };
    let response = client.assignments().assign(request).await?.into_inner();
    response
        .assignments
        .into_iter()
        .next()
        .context("no assignment in the answer")
}

/// Peeks until the replica answers from `generation` or later, with `reason`.
async fn assign_until(client: &Client, generation: u64, reason: Reason) -> Result<()> {
    eventually(DEADLINE, async || {
        let answer = peek(client).await?;
        ensure!(
            answer.generation >= generation,
            "still at generation {} of {generation}",
            answer.generation
        );
        ensure!(
            answer.reason() == reason,
            "generation {} answers {:?}",
            answer.generation,
            answer.reason()
        );
        anyhow::Ok(())
    })
    .await
}

/// Assigns the units `u0`, `u1`, … of `units` and returns the variant of each; no call may fail.
///
/// # Errors
/// The first call that fails, or answer that is not of the split.
pub async fn expose(
    client: &Client,
    generation: u64,
    units: Range<usize>,
) -> Result<BTreeMap<String, String>> {
    assign_until(client, generation, Reason::Split).await?;
    let mut variants = BTreeMap::new();
    for i in units {
        let id = format!("u{i}");
        let answer = assign(client, &id).await?;
        ensure!(
            answer.reason() == Reason::Split,
            "unit {id} was answered {answer:?}"
        );
        variants.insert(id, answer.variant_key);
    }
    let used: BTreeSet<_> = variants.values().cloned().collect();
    ensure!(used.len() == 2, "all units got {used:?}");
    Ok(variants)
}

/// Changes the text of the flag, and nothing of what anybody gets: another generation.
///
/// # Errors
/// What was refused.
pub async fn touch(client: &Client) -> Result<()> {
    let request = config::GetFlagRequest {
        key: FLAG.into(),
        ..Default::default()
    };
    let found = client.flags().get_flag(request).await?.into_inner();
    let mut flag = found.flag.context("no flag")?;
    flag.description = format!("seen at version {}", flag.version);
    let request = config::UpdateFlagRequest {
        flag: Some(flag),
        update_mask: None,
    };
    client.flags().update_flag(request).await?;
    Ok(())
}

/// Whether a unit buys, and for how much: any fixed rule will do.
fn purchase(index: usize) -> Option<f64> {
    index.is_multiple_of(3).then_some(1.25 * (index % 7 + 1) as f64)
}

/// Every third unit of `u0` to `u<n>` buys once, where n is the number of `variants`; each event is sent twice, and one comes with a record that is refused.
///
/// # Errors
/// An answer that is not as it must be.
pub async fn record(client: &Client, variants: &BTreeMap<String, String>) -> Result<Timestamp> {
    let mut events = Vec::new();
    for i in 0..variants.len() {
        if let Some(value) = purchase(i) {
            events.push(event(&format!("buy-{i}"), &format!("u{i}"), value));
        }
    }
    let mut received_at = None;
    for _ in 0..2 {
        let mut sent = events.clone();
        sent.push(Event {
            name: String::new(),
            ..event("bad", "u0", 1.0)
        });
        let request = RecordEventsRequest {
            events: sent,
            ..Default::default()
        };
        let response = eventually(DEADLINE, async || {
            client.ingest().record_events(request.clone()).await
        })
        .await?
        .into_inner();
        let (bad, good) = response
            .results
            .split_last()
            .context("no results in the answer")?;
        ensure!(
            good.iter().all(|r| r.status() == RecordStatus::Accepted),
            "not all accepted: {good:?}"
        );
        ensure!(
            bad.status() == RecordStatus::Refused && bad.field == "name",
            "the bad one was answered {bad:?}"
        );
        received_at = response.received_at;
    }
    received_at.context("no time of receipt in the answer")
}

async fn buy(client: &Client, event_id: &str, id: &str, value: f64) -> Result<Timestamp> {
    let request = RecordEventsRequest {
        events: vec![event(event_id, id, value)],
        ..Default::default()
    };
    let response = eventually(DEADLINE, async || {
        client.ingest().record_events(request.clone()).await
    })
    .await?
    .into_inner();
    ensure!(
        response.results[0].status() == RecordStatus::Accepted,
        "not accepted: {:?}",
        response.results
    );
    response.received_at.context("no time of receipt in the answer")
}

/// The result once records are complete up to `received_at`.
///
/// # Errors
/// When that takes more than a minute.
pub async fn result_through(client: &Client, received_at: Timestamp) -> Result<ExperimentResult> {
    let nanos = |t: &Timestamp| i128::from(t.seconds) * 1_000_000_000 + i128::from(t.nanos);
    eventually(DEADLINE, async || {
        let request = GetResultsRequest {
            namespace: String::new(),
            experiment_key: "checkout-test".into(),
        };
        let result = client
            .analysis()
            .get_results(request)
            .await?
            .into_inner()
            .result
            .context("no result")?;
        let through = result.data_through.context("nothing was read yet")?;
        ensure!(
            nanos(&through) > nanos(&received_at),
            "data through {through}, wanted after {received_at}"
        );
        anyhow::Ok(result)
    })
    .await
}

/// Every unit counts once, in its variant, with exactly what it bought.
///
/// # Errors
/// The first figure that is not as it must be.
pub fn check(result: &ExperimentResult, variants: &BTreeMap<String, String>) -> Result<()> {
    for count in &result.variants {
        let expected = variants.values().filter(|v| **v == count.variant_key).count();
        ensure!(
            count.units == i64::try_from(expected)?,
            "{} units of {expected} in {}",
            count.units,
            count.variant_key
        );
        ensure!(
            count.set_aside_units == 0,
            "units were set aside in {}",
            count.variant_key
        );
    }
    let srm = result.srm.as_ref().context("no SRM")?;
    ensure!(!srm.suspected, "SRM p = {:?}", srm.p_value);
    for metric in &result.metrics {
        check_metric(metric, variants)?;
    }
    ensure!(result.metrics.len() == 2, "{} metrics", result.metrics.len());
    Ok(())
}

fn check_metric(metric: &MetricResult, variants: &BTreeMap<String, String>) -> Result<()> {
    for estimate in &metric.variants {
        let bought: Vec<f64> = (0..variants.len())
            .filter(|i| variants[&format!("u{i}")] == estimate.variant_key)
            .filter_map(purchase)
            .collect();
        let n = estimate.units as f64;
        ensure!(
            estimate.nonzero_units == i64::try_from(bought.len())?,
            "{}: {} of {} bought, expected {}",
            metric.metric_key,
            estimate.nonzero_units,
            estimate.variant_key,
            bought.len()
        );
        let total = if metric.metric_key == "bought" {
            bought.len() as f64
        } else {
            bought.iter().sum()
        };
        let mean = estimate.mean.context("no mean")?;
        ensure!(
            (mean - total / n).abs() < 1e-9,
            "{}: mean {mean} of {}, expected {}",
            metric.metric_key,
            estimate.variant_key,
            total / n
        );
    }
    Ok(())
}

fn unit(id: &str) -> Option<Unit> {
    Some(Unit {
        kind: String::new(),
        id: id.into(),
    })
}

fn event(event_id: &str, id: &str, value: f64) -> Event {
    Event {
        event_id: event_id.into(),
        unit: unit(id),
        name: "purchase".into(),
        value: Some(value),
        ..Default::default()
    }
}

fn boolean(value: bool) -> Option<Value> {
    Some(Value {
        kind: Some(Kind::BoolValue(value)),
    })
}
