//! A replica of assignment that stands still.

use anyhow::{Context, Result, ensure};
use assay_client::resource::Resource;
use assay_proto::config::v1 as pb;
use assay_tests::{cli::Cli, eventually};

use super::shop::{DEADLINE, Shop, answers, served, until};
use crate::cluster::stores;

/// A command waits for a replica that is stopped, names it, and goes on when its lease ends; then nobody waits for it, until it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_replica_is_named_and_leaves_the_fence_when_its_lease_ends() -> Result<()> {
    let mut shop = Shop::open(stores().await?).await?;
    let second = shop.cluster.add("assignment-1").await?;
    let of_second = shop.cluster.client_of("assignment-1")?;
    let generation = shop.change().await?;
    until(&of_second, generation).await?;
    let both = shop
        .client
        .wait_for_generation("default", generation, DEADLINE)
        .await?;
    ensure!(
        both.replicas == 2 && both.unconfirmed.is_empty(),
        "{both:?} with {second}"
    );

    shop.cluster.pause("assignment-1")?;
    let cli = Cli::on(&shop.cluster.endpoints());
    let short = cli
        .run("experiment pause pages --reason 'a look at the cause' --wait=1s")
        .await?;
    ensure!(
        short.code != 0 && short.err.contains("by 1 replica,") && short.err.contains("not confirmed by"),
        "{short:?}"
    );
    let paused = pb::Experiment::get(&shop.client, "default", "pages")
        .await?
        .generation;
    let fenced = shop
        .client
        .wait_for_generation("default", paused, DEADLINE)
        .await?;
    ensure!(
        fenced.fence_time.is_some() && fenced.replicas == 1 && fenced.unconfirmed.len() == 1,
        "{fenced:?}"
    );
    let stopped = &fenced.unconfirmed[0];
    ensure!(short.err.contains(stopped), "{stopped} in {}", short.err);
    eventually(DEADLINE, async || {
        let replicas = shop.client.replicas("default").await?.replicas;
        let silent = replicas.iter().find(|replica| &replica.id == stopped);
        let silent = silent.context("it is remembered")?;
        ensure!(
            silent.state() == pb::ReplicaState::Silent && silent.age.is_some(),
            "{silent:?}"
        );
        Ok(())
    })
    .await?;
    // It has left the fence: nobody waits for it any more.
    let next = cli
        .run("experiment resume pages --reason found --wait=30s")
        .await?;
    ensure!(
        next.code == 0 && next.err.contains("by 1 replica,") && !next.err.contains("not confirmed"),
        "{next:?}"
    );

    let newest = shop.change().await?;
    shop.cluster.resume("assignment-1")?;
    until(&of_second, newest).await?;
    ensure!(served(&shop.client).await? == newest);
    ensure!(
        answers(&of_second).await? == answers(&shop.client).await?,
        "the replicas do not agree"
    );
    let all = eventually(DEADLINE, async || {
        let replicas = shop.client.replicas("default").await?.replicas;
        let current = replicas
            .iter()
            .filter(|replica| replica.state() == pb::ReplicaState::Current);
        ensure!(current.count() == 2, "{replicas:?}");
        Ok(replicas.len())
    })
    .await?;
    ensure!(all == 2, "{all} replicas are remembered");
    shop.cluster.stop("assignment-1").await?;
    shop.cluster.stop("assignment").await?;
    shop.cluster.stop("config").await
}
