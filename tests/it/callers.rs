//! Who still asks for an experiment is known when it is to be ended: from the header of a call, over the log, to the refusal.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use assay_client::command::Command;
use assay_client::{Error, resource::Target};
use assay_platform::{MockClock, SystemClock};
use assay_proto::{assignment::v1 as pb, common::v1::Unit, config::v1 as config};
use assay_tests::{cluster::Cluster, eventually};
use prost_types::{Value, value::Kind};

const DEADLINE: Duration = Duration::from_secs(30);

fn target(experiment: &config::Experiment) -> Target {
    Target {
        namespace: String::new(),
        key: experiment.key.clone(),
        version: experiment.version,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_experiment_that_is_still_asked_for_is_ended_only_by_force() -> Result<()> {
    let clock = MockClock::at(assay_platform::Clock::now_micros(&SystemClock));
    let cluster = Cluster::start(clock.shared()).await?;
    let client = cluster.client()?;
    let kind = config::metric::Kind::Retention(config::RetentionMetric {
        day: 1,
        width_days: 1,
        ..Default::default()
    });
    let metric = config::Metric {
        key: "retention_1".into(),
        kind: Some(kind),
        ..Default::default()
    };
    let request = config::CreateMetricRequest { metric: Some(metric) };
    client.metrics().create_metric(request).await?;
    let variant = |key: &str, on| config::Variant {
        key: key.into(),
        value: Some(Value {
            kind: Some(Kind::BoolValue(on)),
        }),
        ..Default::default()
    };
    let experiment = config::Experiment {
        key: "gate".into(),
        hypothesis: "it helps".into(),
        variants: vec![variant("off", false), variant("on", true)],
        metrics: vec![config::ExperimentMetric {
            metric_key: "retention_1".into(),
            role: config::MetricRole::Primary.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let running = client.create_experiment(experiment, true).await?.experiment;
    let stop = Command::Stop {
        reason: String::new(),
    };
    let stopped = client.command(&target(&running), stop).await?.experiment;
    eventually(DEADLINE, async || {
        let mut request = tonic::Request::new(pb::AssignRequest {
            unit: Some(Unit {
                kind: String::new(),
                id: "42".into(),
            }),
            flag_keys: vec!["gate".into(), "made-up".into()],
            ..Default::default()
        });
        let caller = "checkout".parse().context("a header")?;
        request.metadata_mut().insert("x-assay-caller", caller);
        client.assignments().assign(request).await?;
        let end = Command::End {
            reason: String::new(),
            force: false,
        };
        // Only once: were nobody seen yet, this would end it.
        let seen = client.callers("", &["gate"]).await?;
        ensure!(!seen.is_empty(), "nobody is seen yet");
        match client.command(&target(&stopped), end).await {
            Err(Error::Call(failure)) if failure.reason == "CALLERS_SEEN" => {
                ensure!(failure.message.contains("`checkout` for `gate`"), "{failure}");
                Ok(())
            }
            other => bail!("{other:?}"),
        }
    })
    .await?;
    let made_up = client.callers("", &["made-up"]).await?;
    ensure!(made_up.is_empty(), "{made_up:?}");
    let end = Command::End {
        reason: String::new(),
        force: true,
    };
    let ended = client.command(&target(&stopped), end).await?.experiment;
    ensure!(ended.state() == config::ExperimentState::Ended, "{ended:?}");
    drop(client);
    cluster.stop().await
}
