//! Row 16: config dies in the middle of a history of commands whose callers ask again. Every change is made once, published as it was
//! committed, and told in the audit trail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use assay_client::Client;
use assay_config::Ports;
use assay_core::{key::Namespace, time::Timestamp};
use assay_platform::SystemClock;
use assay_proto::{config::v1 as pb, convert::timestamp};
use assay_storage::{
    access_store::SqlAccessStore,
    config_bus::{ConfigBus, EmbeddedConfigBus, EtcdConfigBus, EtcdOptions},
    config_store::{ConfigStore, SqlConfigStore},
    sql::Database,
};
use assay_tests::{
    eventually,
    processes::{Processes, SERVICES, StoreUrls},
    watcher::Watcher,
};
use prost_types::{Value, value::Kind};
use tokio::sync::Mutex;
use tonic::{Code, Request, Status};

use super::at_each_point;
use crate::cluster::stores;

const DEADLINE: Duration = Duration::from_secs(60);
/// How soon a process is gone whose call has failed.
const DEATH: Duration = Duration::from_secs(10);
/// More than etcd takes in one transaction.
const MANY: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c1_c2_s7_config_is_killed_at_each_point_and_every_change_is_made_published_and_told_once()
-> Result<()> {
    at_each_point("config", 4, told).await
}

/// Tells the history with config armed to die; whether it did.
async fn told(armed: &str) -> Result<bool> {
    let urls = stores().await?;
    let mut cluster = Processes::prepare(urls.clone(), &SERVICES)?;
    cluster
        .begin_with("config", &[("ASSAY_FAILPOINT", armed)])
        .await?;
    cluster.begin("assignment").await?;
    let mut history = History {
        client: cluster.client()?,
        cluster: Mutex::new(cluster),
        told: Vec::new(),
        died: AtomicBool::new(false),
    };
    let watcher = Watcher::start(history.client.clone(), "gate");
    history.tell().await?;
    history.check().await?;
    watcher.stop().await?;
    let History { cluster, died, .. } = history;
    let mut cluster = cluster.into_inner();
    cluster.stop("config").await?;
    cluster.stop("assignment").await?;
    published_as_committed(&urls).await?;
    Ok(died.into_inner())
}

/// Commands to one namespace, and what the audit trail is to tell of them.
struct History {
    client: Client,
    cluster: Mutex<Processes>,
    told: Vec<String>,
    died: AtomicBool,
}

impl History {
    async fn tell(&mut self) -> Result<()> {
        self.step("flag.create flag/gate", async |client, key| {
            let request = pb::CreateFlagRequest {
                flag: Some(flag("gate")),
            };
            client.flags().create_flag(under(key, request)).await.map(drop)
        })
        .await?;
        self.step("metric.create metric/bought", async |client, key| {
            let request = pb::CreateMetricRequest {
                metric: Some(bought()),
            };
            client
                .metrics()
                .create_metric(under(key, request))
                .await
                .map(drop)
        })
        .await?;
        self.step("namespace.import namespace/default", async |client, key| {
            let contents = pb::NamespaceContents {
                flags: (0..MANY).map(|i| flag(&format!("many-{i}"))).collect(),
                ..Default::default()
            };
            let request = pb::ImportNamespaceRequest {
                contents: Some(contents),
                ..Default::default()
            };
            client
                .generations()
                .import_namespace(under(key, request))
                .await
                .map(drop)
        })
        .await?;
        self.create("pages", None).await?;
        let now = Timestamp::from_micros(SystemClock::shared().now_micros());
        let soon = now.plus(Duration::from_millis(1_500));
        self.create("later", Some(timestamp(soon))).await?;
        self.step("experiment.pause experiment/pages", async |client, key| {
            let request = pb::PauseExperimentRequest {
                key: "pages".to_owned(),
                version: 1,
                reason: "a look at the cause".to_owned(),
                mode: pb::PauseMode::ServeDefault.into(),
                ..Default::default()
            };
            client
                .experiments()
                .pause_experiment(under(key, request))
                .await
                .map(drop)
        })
        .await?;
        self.step("experiment.resume experiment/pages", async |client, key| {
            let request = pb::ResumeExperimentRequest {
                key: "pages".to_owned(),
                version: 2,
                reason: "found".to_owned(),
                ..Default::default()
            };
            client
                .experiments()
                .resume_experiment(under(key, request))
                .await
                .map(drop)
        })
        .await?;
        self.decide().await?;
        self.until_started("later").await
    }

    /// Creates an experiment and starts it, now or at `at`.
    async fn create(&mut self, name: &str, at: Option<prost_types::Timestamp>) -> Result<()> {
        let what = format!("experiment.create_and_start experiment/{name}");
        self.step(&what, async |client, key| {
            let request = pb::CreateExperimentRequest {
                experiment: Some(pb::Experiment {
                    start_time: at,
                    ..experiment(name)
                }),
                start: true,
                ..Default::default()
            };
            client
                .experiments()
                .create_experiment(under(key, request))
                .await
                .map(drop)
        })
        .await
    }

    async fn decide(&mut self) -> Result<()> {
        self.step(
            "experiment.declare_winner experiment/pages",
            async |client, key| {
                let request = pb::DeclareWinnerRequest {
                    key: "pages".to_owned(),
                    version: 3,
                    reason: "it is better".to_owned(),
                    variant_key: "b".to_owned(),
                    force: true,
                    ..Default::default()
                };
                client
                    .experiments()
                    .declare_winner(under(key, request))
                    .await
                    .map(drop)
            },
        )
        .await?;
        self.step("experiment.undo experiment/pages", async |client, key| {
            let request = pb::UndoExperimentRequest {
                key: "pages".to_owned(),
                version: 4,
                reason: "it was the other one".to_owned(),
                ..Default::default()
            };
            client
                .experiments()
                .undo_experiment(under(key, request))
                .await
                .map(drop)
        })
        .await
    }

    /// Gives a command, again under the same key for as long as config dies of it.
    async fn step(
        &mut self,
        what: &str,
        call: impl AsyncFn(&Client, &str) -> Result<(), Status>,
    ) -> Result<()> {
        self.told.push(what.to_owned());
        let key = format!("command-{}", self.told.len());
        loop {
            let Err(status) = call(&self.client, &key).await else {
                return Ok(());
            };
            // It was done in the life before, and its answer died with that.
            if status.code() == Code::Aborted && status.message().contains("was done before") {
                return Ok(());
            }
            self.revive()
                .await
                .with_context(|| format!("{what}: {status:?}"))?;
        }
    }

    /// Starts config again, which has died, or soon will.
    async fn revive(&self) -> Result<()> {
        let mut cluster = self.cluster.lock().await;
        let status = eventually(DEATH, async || cluster.ended("config")?.context("config lives")).await?;
        ensure!(status.code().is_none(), "config ended by itself: {status}");
        ensure!(!self.died.swap(true, Ordering::Relaxed), "config died twice");
        cluster.begin("config").await
    }

    /// The clock starts what is scheduled, also when config dies of that.
    async fn until_started(&mut self, name: &str) -> Result<()> {
        self.told.push(format!("experiment.start experiment/{name}"));
        eventually(DEADLINE, async || {
            let request = pb::GetExperimentRequest {
                key: name.to_owned(),
                ..Default::default()
            };
            match self.client.experiments().get_experiment(request).await {
                Ok(found) => {
                    let state = found.into_inner().experiment.unwrap_or_default().state();
                    ensure!(state == pb::ExperimentState::Running, "{state:?}");
                    Ok(())
                }
                Err(status) => {
                    self.revive().await?;
                    Err(status.into())
                }
            }
        })
        .await
    }

    /// Every change is there once: in the generations, in the audit trail, on the replica, and behind its fence.
    async fn check(&self) -> Result<()> {
        let newest = self.told.len() as u64;
        self.hot(newest).await?;
        let audit = self
            .client
            .audit()
            .list_audit(pb::ListAuditRequest::default())
            .await;
        let mut rows = audit?.into_inner().entries;
        rows.reverse();
        // The clock acts between the commands of people.
        let told = |rows: &[pb::AuditEntry], by_clock: bool| -> Vec<String> {
            rows.iter()
                .filter(|row| (row.actor == "scheduler") == by_clock)
                .map(|row| format!("{} {}", row.action, row.resource))
                .collect()
        };
        let (last, people) = self.told.split_last().context("a history")?;
        ensure!(told(&rows, false) == people, "{:#?}", told(&rows, false));
        ensure!(told(&rows, true) == [last.clone()], "{:#?}", told(&rows, true));
        let generations: Vec<_> = rows.iter().map(|row| row.generation).collect();
        ensure!(generations == (1..=newest).collect::<Vec<_>>(), "{generations:?}");
        let chain = self
            .client
            .audit()
            .verify_audit(pb::VerifyAuditRequest::default())
            .await?
            .into_inner();
        ensure!(chain.intact && chain.rows == newest, "{chain:?}");
        for generation in 1..=newest {
            let request = pb::GetGenerationRequest {
                generation,
                ..Default::default()
            };
            let kept = self
                .client
                .generations()
                .get_generation(request)
                .await?
                .into_inner();
            ensure!(
                kept.unreadable.is_empty(),
                "generation {generation}: {:?}",
                kept.unreadable
            );
        }
        Ok(())
    }

    /// The newest generation is served and its fence known, and both experiments count from theirs.
    async fn hot(&self, newest: u64) -> Result<()> {
        eventually(DEADLINE, async || {
            let request = pb::WaitForGenerationRequest {
                generation: newest,
                ..Default::default()
            };
            let waited = match self.client.activations().wait_for_generation(request).await {
                Ok(waited) => waited.into_inner().activation.unwrap_or_default(),
                Err(status) => {
                    self.revive().await?;
                    return Err(status.into());
                }
            };
            ensure!(waited.fence_time.is_some() && waited.replicas == 1, "{waited:?}");
            for name in ["pages", "later"] {
                let request = pb::GetExperimentRequest {
                    key: name.to_owned(),
                    ..Default::default()
                };
                let found = self
                    .client
                    .experiments()
                    .get_experiment(request)
                    .await?
                    .into_inner();
                let found = found.experiment.unwrap_or_default();
                ensure!(found.counting_from.is_some(), "{name} does not count");
                ensure!(
                    found.state() == pb::ExperimentState::Running,
                    "{name}: {:?}",
                    found.state()
                );
            }
            Ok(())
        })
        .await
    }
}

/// A4, C2: the bus holds what an empty one would get from the truth now, to the byte; nothing waits in the outbox.
async fn published_as_committed(urls: &StoreUrls) -> Result<()> {
    let database = Database::connect(&urls.postgres, 4).await?;
    let store = Arc::new(SqlConfigStore::new(database.clone()));
    let bus = Arc::new(EmbeddedConfigBus::new());
    let ports = Ports {
        store: store.clone(),
        bus: bus.clone(),
        access: Arc::new(SqlAccessStore::new(database)),
        key_bus: Arc::new(EmbeddedConfigBus::new()),
        analysis: None,
    };
    ensure!(store.unpublished().await?.is_empty(), "the outbox holds rows");
    assay_config::publish(&ports).await?;
    let anew = bus.read().await?.namespaces;
    let options = EtcdOptions {
        endpoints: vec![urls.etcd.clone()],
        prefix: format!("/{}", urls.prefix),
        user: None,
        tls: None,
    };
    let held = EtcdConfigBus::connect(&options).await?.read().await?.namespaces;
    let default = Namespace::default();
    ensure!(
        held.contains_key(&default) && held == anew,
        "the bus is not as it was committed"
    );
    Ok(())
}

fn under<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(key) = key.parse() {
        request.metadata_mut().insert("idempotency-key", key);
    }
    request
}

fn text(text: &str) -> Option<Value> {
    Some(Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    })
}

fn flag(key: &str) -> pb::Flag {
    let variation = |key: &str| pb::Variation {
        key: key.to_owned(),
        value: text(key),
        ..Default::default()
    };
    pb::Flag {
        key: key.to_owned(),
        variations: vec![variation("off"), variation("on")],
        ..Default::default()
    }
}

fn bought() -> pb::Metric {
    let kind = pb::ConversionMetric {
        event: "purchase".to_owned(),
        ..Default::default()
    };
    pb::Metric {
        key: "bought".to_owned(),
        kind: Some(pb::metric::Kind::Conversion(kind)),
        ..Default::default()
    }
}

fn experiment(key: &str) -> pb::Experiment {
    let variant = |key: &str| pb::Variant {
        key: key.to_owned(),
        value: text(key),
        ..Default::default()
    };
    let primary = pb::ExperimentMetric {
        metric_key: "bought".to_owned(),
        role: pb::MetricRole::Primary.into(),
        ..Default::default()
    };
    pb::Experiment {
        key: key.to_owned(),
        hypothesis: "b sells more".to_owned(),
        variants: vec![variant("a"), variant("b")],
        metrics: vec![primary],
        ..Default::default()
    }
}
