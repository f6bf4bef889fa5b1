//! Row 12 of the fault matrix: what Postgres can do to us. Each time config recovers without being started again, nothing is done in half or
//! twice, and assignment notices nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use assay_tests::{
    eventually,
    processes::StoreUrls,
    proxy::Proxy,
    servers::{Postgres, Tmpfs, fresh_prefix, shared},
    watcher::Watcher,
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::shop::{DEADLINE, Shop, until};

/// Slower than a call may take.
const SLOW: Duration = Duration::from_secs(5);

async fn on(postgres: String) -> Result<StoreUrls> {
    let shared = shared().await?;
    Ok(StoreUrls {
        postgres,
        etcd: shared.etcd.endpoint(),
        redis: shared.redis.url(),
        prefix: fresh_prefix().trim_end_matches('/').to_owned(),
    })
}

/// Whether config says that it is alive, whatever its store does.
async fn healthy(shop: &Shop) -> Result<()> {
    let channel = tonic::transport::Endpoint::new(shop.cluster.endpoints().config)?
        .connect()
        .await?;
    let mut health = HealthClient::new(channel);
    let asked = health.check(HealthCheckRequest::default());
    tokio::time::timeout(Duration::from_secs(5), asked)
        .await
        .context("health does not answer")??;
    Ok(())
}

/// Sessions are ended and the server killed while changes are made: each is made once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_c1_postgres_is_killed_in_the_middle_of_transactions() -> Result<()> {
    const CHANGES: u64 = 40;
    let mut postgres = Postgres::start().await?;
    let mut shop = Shop::open(on(postgres.url()).await?).await?;
    let pid = shop.cluster.pid("config")?;
    let watcher = Watcher::start(shop.client.clone(), "gate");
    let mut flag = shop.stored().await?;
    let first = flag.generation;
    let others = shop.client.generations_of("default", 1_000).await?.len() as u64 - first;
    let changing = async {
        for i in 0..CHANGES {
            let asked = flag.clone();
            flag = eventually(DEADLINE, async || {
                match shop.changed(asked.clone(), "once").await {
                    Ok(changed) => Ok(changed),
                    // It was done in a transaction whose answer was lost.
                    Err(status) if status.message().contains("was done before") => shop.stored().await,
                    Err(status) => {
                        ensure!(status.code() == Code::Unavailable, "{status:?}");
                        Err(status.into())
                    }
                }
            })
            .await
            .with_context(|| format!("change {i}"))?;
        }
        anyhow::Ok(())
    };
    let striking = async {
        for i in 0..6 {
            if i % 3 == 2 {
                postgres.kill().await?;
                healthy(&shop).await?;
                postgres.restart().await?;
            }
            let all = "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
            postgres.query("postgres", all).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(changing, striking)?;
    let generations = shop.client.generations_of("default", 1_000).await?.len() as u64;
    ensure!(
        generations == first + others + CHANGES && flag.version == 1 + CHANGES,
        "{generations} generations, version {}",
        flag.version
    );
    until(&shop.client, flag.generation).await?;
    watcher.stop().await?;
    shop.check_history().await?;
    ensure!(shop.cluster.pid("config")? == pid && shop.cluster.ended("config")?.is_none());
    Ok(())
}

/// Away, as a standby, slow: refused or late, and well again by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_postgres_is_away_read_only_and_slow() -> Result<()> {
    let mut postgres = Postgres::start().await?;
    let proxy = Proxy::start(postgres.addr())?;
    let url = format!("postgres://postgres@{}/postgres", proxy.addr());
    let mut shop = Shop::open(on(url).await?).await?;
    let pid = shop.cluster.pid("config")?;
    let watcher = Watcher::start(shop.client.clone(), "gate");
    for way in ["away", "read only", "held", "slow"] {
        let flag = shop.stored().await.context(way)?;
        match way {
            "away" => postgres.stop().await?,
            "read only" => read_only(&postgres, "on").await?,
            "held" => proxy.hold().await?,
            _ => proxy.delay(SLOW).await?,
        }
        healthy(&shop).await.context(way)?;
        let refused = shop.refused(flag).await.context(way)?;
        // S11: nothing of where the store is, nor of what it was asked.
        let told = format!("{refused:?}");
        for secret in ["select", "insert", "127.0.0.1", "postgres://"] {
            ensure!(!told.contains(secret), "{way}: {told}");
        }
        match way {
            "away" => postgres.restart().await?,
            "read only" => read_only(&postgres, "off").await?,
            _ => proxy.restore().await?,
        }
        let changed = eventually(DEADLINE, async || shop.change().await)
            .await
            .context(way)?;
        until(&shop.client, changed).await.context(way)?;
    }
    watcher.stop().await?;
    shop.check_history().await?;
    ensure!(shop.cluster.pid("config")? == pid && shop.cluster.ended("config")?.is_none());
    Ok(())
}

async fn read_only(postgres: &Postgres, is: &str) -> Result<()> {
    let set = format!("alter system set default_transaction_read_only = {is}");
    postgres.query("postgres", &set).await?;
    postgres
        .query("postgres", "select pg_reload_conf()")
        .await
        .map(drop)
}

/// Without room a change is refused as a whole, and made when there is room again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_c1_postgres_is_full() -> Result<()> {
    let postgres = Postgres::start().await?;
    let Some(small) = Tmpfs::mount("40m", &postgres)? else {
        return Ok(());
    };
    let place = small.path().display();
    postgres
        .query("postgres", &format!("create tablespace small location '{place}'"))
        .await?;
    postgres
        .query("postgres", "create database shop tablespace small")
        .await?;
    let shop = Shop::open(on(postgres.url_of("shop")).await?).await?;
    let watcher = Watcher::start(shop.client.clone(), "gate");
    let flag = shop.stored().await?;
    postgres
        .query("shop", "create table filler (content text)")
        .await?;
    let mut rows = 1_000;
    while rows > 0 {
        let fill = format!("insert into filler select repeat('x', 900) from generate_series(1, {rows})");
        if postgres.query("shop", &fill).await.is_err() {
            rows /= 2;
        }
    }
    // A table has some room of its own before it asks for more.
    let mut refused = None;
    let mut stored = flag;
    for _ in 0..500 {
        match shop.changed(stored.clone(), "full").await {
            Ok(changed) => stored = changed,
            Err(status) => {
                refused = Some(status);
                break;
            }
        }
    }
    let refused = refused.context("there is room for ever")?;
    ensure!(
        matches!(refused.code(), Code::ResourceExhausted | Code::Unavailable),
        "{refused:?}"
    );
    healthy(&shop).await?;
    postgres.query("shop", "drop table filler").await?;
    let changed = eventually(DEADLINE, async || shop.change().await).await?;
    until(&shop.client, changed).await?;
    watcher.stop().await?;
    shop.check_history().await
}
