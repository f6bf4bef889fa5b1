//! The platform in one process.

use anyhow::Result;
use assay_platform::SystemClock;
use assay_tests::{cluster::Cluster, story};

#[tokio::test]
async fn an_experiment_lives_from_draft_to_winner() -> Result<()> {
    let cluster = Cluster::start(SystemClock::shared()).await?;
    story::tell(&cluster.client()?, async |_| Ok(())).await?;
    cluster.stop().await
}
