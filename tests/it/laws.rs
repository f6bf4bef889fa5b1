//! The laws of every port, on the real stores. The embedded ones obey the same suites in `crates/storage/it`.

use std::sync::Arc;

use anyhow::Result;
use assay_storage::{
    access_store::{self, SqlAccessStore},
    analysis_store::{self, SqlAnalysisStore},
    config_bus::{self, EtcdConfigBus, EtcdOptions},
    config_store::{self, SqlConfigStore},
    event_log::{self, Durability, RedisLog},
    sql::Database,
    unit_store::{self, RedisUnitStore},
};
use assay_tests::servers::{fresh_database, fresh_prefix, shared};

async fn database() -> Result<Database> {
    let database = Database::connect(&fresh_database().await?, 8).await?;
    database.migrate().await?;
    Ok(database)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_a_config_store() -> Result<()> {
    config_store::laws::all(Arc::new(SqlConfigStore::new(database().await?))).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_an_access_store() -> Result<()> {
    access_store::laws::all(Arc::new(SqlAccessStore::new(database().await?))).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_an_analysis_store() -> Result<()> {
    analysis_store::laws::all(Arc::new(SqlAnalysisStore::new(database().await?))).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_is_a_config_bus() -> Result<()> {
    let etcd = &shared().await?.etcd;
    let options = EtcdOptions {
        endpoints: vec![etcd.endpoint()],
        prefix: format!("/{}", fresh_prefix().trim_end_matches('/')),
        user: None,
        tls: None,
    };
    let bus = Arc::new(EtcdConfigBus::connect(&options).await?);
    config_bus::laws::keys(&*bus).await;
    let compact = async || {
        let read = etcd
            .call("kv/range", r#"{"key":"AA=="}"#)
            .await
            .expect("etcd answers a range");
        let (_, rest) = read
            .split_once(r#""revision":""#)
            .expect("a range names its revision");
        let revision = rest.split('"').next().expect("a quoted number ends");
        let compaction = format!(r#"{{"revision":"{revision}","physical":true}}"#);
        etcd.call("kv/compaction", &compaction)
            .await
            .expect("etcd compacts");
    };
    config_bus::laws::all(bus, compact).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_an_event_log() -> Result<()> {
    let redis = &shared().await?.redis;
    let log = RedisLog::connect(&redis.url(), &fresh_prefix(), 4, Durability::Memory).await?;
    event_log::laws::all(Arc::new(log)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_a_unit_store() -> Result<()> {
    let redis = &shared().await?.redis;
    let store = RedisUnitStore::connect(&redis.url(), &fresh_prefix())?;
    unit_store::laws::all(Arc::new(store)).await;
    Ok(())
}

/// The same law as `make test` proves on SQLite: any number of processes may migrate at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_migrations_agree() -> Result<()> {
    let url = fresh_database().await?;
    let migrate = || async {
        let database = Database::connect(&url, 1).await?;
        database.migrate().await
    };
    let (a, b, c) = tokio::join!(migrate(), migrate(), migrate());
    a?;
    b?;
    c?;
    Ok(())
}
