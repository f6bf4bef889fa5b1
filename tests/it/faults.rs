//! The fault matrix for config and assignment: stores that go away, hang, fill up and forget. Row 16 is in `kills`.

mod etcd;
mod members;
mod postgres;
mod replica;
mod shop;

use std::time::Duration;

use anyhow::Result;
use assay_tests::{
    eventually,
    processes::{Processes, StoreUrls},
    servers::{Etcd, Postgres, Redis},
    story,
};

/// A1, A6, E2, N2: no store that is away fails an `Assign`, and everything arrives afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_go_away_one_after_the_other_and_nothing_is_lost() -> Result<()> {
    let (mut etcd, mut redis, mut postgres) =
        tokio::try_join!(Etcd::start(), Redis::start(), Postgres::start())?;
    let urls = StoreUrls::of(&postgres, &etcd, &redis, "faults");
    let mut cluster = Processes::start(urls).await?;
    let client = cluster.client()?;
    let generation = story::begin(&client).await?;
    let mut variants = story::expose(&client, generation, 0..100).await?;

    etcd.stop().await?;
    variants.extend(story::expose(&client, generation, 100..200).await?);
    cluster.kill("assignment")?;
    cluster.begin("assignment").await?;
    variants.extend(story::expose(&client, generation, 200..300).await?);
    etcd.restart().await?;

    redis.stop().await?;
    variants.extend(story::expose(&client, generation, 300..400).await?);
    redis.restart().await?;

    postgres.stop().await?;
    variants.extend(story::expose(&client, generation, 400..500).await?);
    let received_at = story::record(&client, &variants).await?;
    postgres.restart().await?;

    // What waited in the spool may come a moment after the events.
    eventually(Duration::from_secs(60), async || {
        story::check(&story::result_through(&client, received_at).await?, &variants)
    })
    .await?;
    cluster.stop_all().await
}
