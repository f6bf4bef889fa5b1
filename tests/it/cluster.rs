//! The platform as four processes over private etcd, Redis and Postgres.

use anyhow::Result;
use assay_tests::{
    processes::{Processes, SERVICES, StoreUrls},
    servers::{fresh_database, fresh_prefix, shared},
    story::{self, Chapter},
};

pub(crate) async fn stores() -> Result<StoreUrls> {
    let shared = shared().await?;
    Ok(StoreUrls {
        postgres: fresh_database().await?,
        etcd: shared.etcd.endpoint(),
        redis: shared.redis.url(),
        prefix: fresh_prefix().trim_end_matches('/').to_owned(),
    })
}

/// Each service is killed once and restarted once in order, in the middle of the story; nothing is lost or doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_experiment_survives_the_restart_of_every_service() -> Result<()> {
    let mut cluster = Processes::start(stores().await?).await?;
    let client = cluster.client()?;
    story::tell(&client, async |chapter| {
        match chapter {
            Chapter::Started => restart(&mut cluster, "config").await?,
            Chapter::Exposed => crash(&mut cluster, "assignment").await?,
            Chapter::Recorded => {
                crash(&mut cluster, "analysis").await?;
                crash(&mut cluster, "ingest").await?;
            }
            Chapter::Paused => {
                for service in SERVICES {
                    restart(&mut cluster, service).await?;
                }
            }
            Chapter::Resumed => crash(&mut cluster, "config").await?,
            Chapter::Decided => {
                crash(&mut cluster, "analysis").await?;
                restart(&mut cluster, "assignment").await?;
            }
        }
        Ok(())
    })
    .await?;
    cluster.stop_all().await
}

async fn crash(cluster: &mut Processes, service: &str) -> Result<()> {
    cluster.kill(service)?;
    cluster.begin(service).await
}

async fn restart(cluster: &mut Processes, service: &str) -> Result<()> {
    cluster.stop(service).await?;
    cluster.begin(service).await
}
