//! The platform in one process.

use std::time::Duration;

use anyhow::{Result, ensure};
use assay_platform::SystemClock;
use assay_tests::{cluster::Cluster, embedded::Embedded, eventually, story};

#[tokio::test]
async fn an_experiment_lives_from_draft_to_winner() -> Result<()> {
    let cluster = Cluster::start(SystemClock::shared()).await?;
    story::tell(&cluster.client()?, async |_| Ok(())).await?;
    cluster.stop().await
}

/// A4: whatever was answered before a crash is what the next life serves from its first answer on, though its snapshot file is older
/// and its bus begins empty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a4_generation_never_goes_back_over_a_crash() -> Result<()> {
    let mut assay = Embedded::start().await?;
    let client = assay.client()?;
    let mut generation = story::begin(&client).await?;
    for round in 0..6 {
        // The snapshot file is written 100 ms after a change: most of these lives end before.
        assay.kill()?;
        assay.begin().await?;
        let answer = eventually(Duration::from_secs(20), async || story::peek(&client).await).await?;
        ensure!(
            answer.generation >= generation,
            "round {round}: generation {} was accepted, {} is served",
            generation,
            answer.generation
        );
        generation = match round % 2 {
            0 => story::pause(&client).await?.generation,
            _ => story::resume(&client).await?.generation,
        };
    }
    Ok(())
}
