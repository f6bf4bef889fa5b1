//! Row 4 of the fault matrix: an etcd of three, and a member that is cut off from the others. A member whose peers stand still is as alone
//! as one behind a broken network, and needs no privileges.

use anyhow::{Context, Result, ensure};
use assay_tests::{
    eventually,
    processes::StoreUrls,
    servers::{Etcd, fresh_database, fresh_prefix, shared},
    watcher::Watcher,
};

use super::shop::{DEADLINE, Shop, answers, served, until};

/// A cluster on all of `members`.
async fn open(members: &[Etcd; 3]) -> Result<Shop> {
    let shared = shared().await?;
    let all = members.each_ref().map(Etcd::endpoint);
    let mut shop = Shop::prepare(StoreUrls {
        postgres: fresh_database().await?,
        etcd: all[0].clone(),
        redis: shared.redis.url(),
        prefix: fresh_prefix().trim_end_matches('/').to_owned(),
    })?;
    let all = format!("{all:?}");
    let env = [("ASSAY__STORES__ETCD_ENDPOINTS", all.as_str())];
    shop.cluster.begin_with("config", &env).await?;
    shop.cluster.begin_with("assignment", &env).await?;
    shop.stock().await?;
    Ok(shop)
}

/// Starts a replica that knows `member` alone.
async fn alone(shop: &mut Shop, replica: &str, member: &Etcd) -> Result<()> {
    let only = format!("[{:?}]", member.endpoint());
    let env = [("ASSAY__STORES__ETCD_ENDPOINTS", only.as_str())];
    shop.cluster.begin_with(replica, &env).await
}

/// A member that lags, and then is alone: whoever restarts on it answers from what it has seen before, not from what the member has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_a_stale_member_takes_nobody_back() -> Result<()> {
    let mut members = Etcd::cluster().await?;
    let mut shop = open(&members).await?;
    let follower = follower(&members).await?;
    strike(&mut shop, &mut members, follower).await
}

/// The same with the member that led: the others go on without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_an_isolated_leader_takes_nobody_back() -> Result<()> {
    let mut members = Etcd::cluster().await?;
    let mut shop = open(&members).await?;
    let leader = leader(&members).await?;
    strike(&mut shop, &mut members, leader).await
}

/// Cuts member `lone` off, lets the others go on, and then leaves nobody but it.
async fn strike(shop: &mut Shop, members: &mut [Etcd; 3], lone: usize) -> Result<()> {
    let others = [0, 1, 2].into_iter().filter(|i| *i != lone);
    let others: Vec<usize> = others.collect();
    let old = served(&shop.client).await?;
    let watcher = Watcher::start(shop.client.clone(), "gate");
    members[lone].pause()?;
    let newest = shop.change().await?;
    until(&shop.client, newest).await?;
    let before = answers(&shop.client).await?;
    watcher.stop().await?;

    for other in &others {
        members[*other].pause()?;
    }
    members[lone].resume()?;
    // The member is there, and has what it had.
    let mut by_hand = etcd_client::Client::connect([members[lone].endpoint()], None).await?;
    let stale = etcd_client::GetOptions::new()
        .with_serializable()
        .with_prefix()
        .with_count_only();
    eventually(DEADLINE, async || {
        let found = by_hand.get("/", Some(stale.clone())).await?;
        ensure!(found.count() > 0, "it has nothing");
        Ok(())
    })
    .await?;
    shop.cluster.stop("assignment").await?;
    alone(shop, "assignment", &members[lone]).await?;
    let watcher = Watcher::start(shop.client.clone(), "gate");
    until(&shop.client, newest)
        .await
        .with_context(|| format!("generation {old} is older"))?;
    for _ in 0..20 {
        ensure!(answers(&shop.client).await? == before, "it went back");
    }
    for other in &others {
        members[*other].resume()?;
    }
    until(&shop.client, shop.change().await?).await?;
    watcher.stop().await?;
    shop.check_history().await
}

async fn leader(members: &[Etcd; 3]) -> Result<usize> {
    eventually(DEADLINE, async || {
        for (i, member) in members.iter().enumerate() {
            if member.leads().await? {
                return Ok(i);
            }
        }
        anyhow::bail!("nobody leads")
    })
    .await
}

async fn follower(members: &[Etcd; 3]) -> Result<usize> {
    Ok((leader(members).await? + 1) % members.len())
}
