//! The control plane at size: 10,000 experiments, 1,000 flags and 2,000 segments in one namespace, on private servers.
//!
//! Postgres waits for the disk as it does by default. etcd does not: nothing then hides what ours takes beyond a bare write.

mod commands;
mod etcd;
mod fill;
mod hot;
mod lists;
mod timed;
mod wipe;

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use assay_client::{Client, Endpoints};
use assay_core::{key::Namespace, snapshot::Configuration};
use assay_platform::{Shutdown, SystemClock, server::bind};
use assay_proto::config::v1 as pb;
use assay_storage::{
    access_store::SqlAccessStore,
    config_bus::{EtcdConfigBus, EtcdOptions},
    config_store::{ConfigStore, Resource, SqlConfigStore},
    event_log::EmbeddedLog,
    sql::Database,
    unit_store::EmbeddedUnitStore,
};
use assay_tests::{
    eventually,
    servers::{Etcd, Postgres},
};

use crate::report;

/// What all keys of the bus begin with.
const PREFIX: &str = "/assay";
/// Of a config process, unless it is told otherwise.
const CONNECTIONS: u32 = 10;
const FIRST_GENERATION: Duration = Duration::from_secs(120);

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<()> {
    let durable = ["-c", "fsync=on", "-c", "full_page_writes=on"];
    let (postgres, etcd) = tokio::try_join!(Postgres::start_with(&durable), Etcd::start())?;
    let database = Database::connect(&postgres.url(), CONNECTIONS).await?;
    database.migrate().await?;
    let store = Arc::new(SqlConfigStore::new(database.clone()));
    fill::fill(&*store).await?;
    check(&*store).await?;
    postgres.query("postgres", "analyze").await?;

    let options = EtcdOptions {
        endpoints: vec![etcd.endpoint()],
        prefix: PREFIX.into(),
        user: None,
        tls: None,
    };
    let bus = Arc::new(EtcdConfigBus::connect(&options).await?);
    let timed = Arc::new(timed::Timed::new(EtcdConfigBus::connect(&options).await?));
    let ports = assay_config::Ports {
        store,
        bus: timed.clone(),
        access: Arc::new(SqlAccessStore::new(database)),
        key_bus: bus.clone(),
        analysis: None,
    };
    let bare = etcd::Bare::connect(&etcd.endpoint()).await?;
    wipe::publish(&ports, &bus, &bare).await?;

    let shutdown = Shutdown::new();
    let settings = assay_config::Settings::default();
    let reconcile = Duration::from_secs(settings.reconcile_interval_seconds);
    let (listener, client) = door().await?;
    let config = tokio::spawn(assay_config::serve(
        listener,
        ports,
        settings,
        SystemClock::shared(),
        shutdown.clone(),
    ));
    let data_dir = tempfile::tempdir()?;
    let assignment = tokio::spawn(assay_assignment::serve(
        bind("127.0.0.1:0").await?,
        assay_assignment::Ports {
            bus: bus.clone(),
            log: Arc::new(EmbeddedLog::connect("sqlite::memory:", 4).await?),
            units: Arc::new(EmbeddedUnitStore::connect("sqlite::memory:").await?),
            data_dir: data_dir.path().into(),
        },
        assay_assignment::Settings {
            workers: 0,
            ..Default::default()
        },
        SystemClock::shared(),
        shutdown.clone(),
    ));
    served(&client).await?;

    lists::measure(&client, &postgres.url()).await?;
    commands::measure(&client, &postgres.url()).await?;
    hot::measure(&client, &timed, &bare).await?;
    wipe::measure(&bus, &bare, reconcile).await?;

    shutdown.trigger();
    config.await??;
    assignment.await??;
    Ok(())
}

/// That there is all that was wanted, and nothing that assignment would not serve.
async fn check(store: &dyn ConfigStore) -> Result<()> {
    let published = store.published(&Namespace::default()).await?;
    ensure!(published.unreadable.is_empty(), "{:?}", published.unreadable);
    let mut configuration = Configuration::default();
    for resource in published.resources {
        match resource {
            Resource::Flag(flag) => configuration.flags.push(flag),
            Resource::Segment(segment) => configuration.segments.push(segment),
            Resource::Experiment(experiment) => configuration.experiments.push(experiment),
            Resource::Holdout(_) | Resource::Metric(_) | Resource::Layer(_) => {}
        }
    }
    let (_, rejected) = assay_core::snapshot::Snapshot::compile(&configuration);
    ensure!(rejected.is_empty(), "{rejected:?}");
    report(&format!(
        "control: {} experiments, {} flags and {} segments on Postgres; {} of the experiments are no drafts and so published",
        fill::EXPERIMENTS,
        configuration.flags.len(),
        configuration.segments.len(),
        configuration.experiments.len()
    ));
    Ok(())
}

async fn door() -> Result<(tokio::net::TcpListener, Client)> {
    let listener = bind("127.0.0.1:0").await?;
    let endpoints = Endpoints {
        config: format!("http://{}", listener.local_addr()?),
        ..Endpoints::default()
    };
    Ok((listener, Client::connect(&endpoints)?))
}

/// Waits until the replica serves everything.
async fn served(client: &Client) -> Result<()> {
    eventually(FIRST_GENERATION, async || {
        let request = pb::ListReplicasRequest::default();
        let replicas = client.activations().list_replicas(request).await?.into_inner();
        let replica = replicas.replicas.first().context("no replica yet")?;
        ensure!(replica.generation == replicas.generation, "{replica:?}");
        anyhow::Ok(())
    })
    .await
}

/// Median and 99th percentile, in milliseconds.
fn quantiles(mut of: Vec<Duration>) -> (f64, f64) {
    of.sort_unstable();
    let at = |q: f64| {
        let index = (of.len() as f64 * q) as usize;
        of.get(index).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    };
    (at(0.5), at(0.99))
}
