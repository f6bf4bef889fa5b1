//! Everything published anew.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use assay_config::Ports;
use assay_core::key::Namespace;
use assay_storage::config_bus::{ConfigBus as _, EtcdConfigBus, NamespaceView, digest};
use assay_tests::eventually;

use super::etcd::Bare;
use crate::report;

const ROUNDS: usize = 5;
const WANTED_SECONDS: u64 = 10;
const DEADLINE: Duration = Duration::from_secs(120);

/// One publisher and an empty bus: what the publishing itself takes.
pub(crate) async fn publish(ports: &Ports, bus: &EtcdConfigBus, etcd: &Bare) -> Result<()> {
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        etcd.wipe().await?;
        let start = Instant::now();
        assay_config::publish(ports).await?;
        took.push(start.elapsed());
        whole(bus).await?;
    }
    let n = whole(bus).await?.resources.len();
    took.sort_unstable();
    report(&format!(
        "control: {n} resources published to an empty bus: {:.2} s to {:.2} s, truth read, encoded and written",
        took[0].as_secs_f64(),
        took[ROUNDS - 1].as_secs_f64()
    ));
    Ok(())
}

/// The running service and its replica, whose bus is taken away.
pub(crate) async fn measure(bus: &EtcdConfigBus, etcd: &Bare, reconcile: Duration) -> Result<()> {
    let before = whole(bus).await?;
    let generation = before.manifest.as_ref().context("no manifest")?.generation;
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let mut manifests = etcd.manifests().await?;
        let start = Instant::now();
        let wiped = etcd.wipe().await?;
        ensure!(wiped > 0, "there was nothing to wipe");
        tokio::time::timeout(DEADLINE, manifests.next())
            .await
            .context("the manifest has not come back")??;
        eventually(DEADLINE, async || {
            let replicas = bus.replicas().await?;
            let replica = replicas.first().context("no replica")?;
            let served = replica
                .served
                .get(&Namespace::default())
                .context("it serves nothing")?;
            ensure!(served.generation >= generation, "{replica:?}");
            anyhow::Ok(())
        })
        .await?;
        took.push(start.elapsed());
        ensure!(
            whole(bus).await? == before,
            "the bus has something else than before"
        );
    }
    took.sort_unstable();
    report(&format!(
        "control: bus wiped to bus whole and replica heard again: {:.2} s to {:.2} s in {ROUNDS} rounds, reconciled every {} s; wanted below {WANTED_SECONDS} s",
        took[0].as_secs_f64(),
        took[ROUNDS - 1].as_secs_f64(),
        reconcile.as_secs()
    ));
    Ok(())
}

/// What the bus holds, which its manifest confirms.
async fn whole(bus: &EtcdConfigBus) -> Result<NamespaceView> {
    let mut view = bus.read().await?;
    let held = view.namespaces.remove(&Namespace::default()).unwrap_or_default();
    let manifest = held.manifest.as_ref().context("no manifest")?;
    ensure!(manifest.count == held.resources.len() as u64, "{manifest:?}");
    ensure!(manifest.digest == digest(&held.resources), "{manifest:?}");
    Ok(held)
}
