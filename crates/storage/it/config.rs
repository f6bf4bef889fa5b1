//! The laws of configuration on the embedded stores.

use std::sync::Arc;

use assay_core::key::Namespace;
use assay_storage::{
    config_bus::{self, ConfigBus, EmbeddedConfigBus, Manifest, Publication},
    config_store::{self, ConfigStore, SqlConfigStore},
    sql::Database,
};

async fn store(url: &str) -> Arc<dyn ConfigStore> {
    let database = Database::connect(url, 4).await.expect("connect");
    database.migrate().await.expect("migrate");
    Arc::new(SqlConfigStore::new(database))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_obeys_the_laws_of_the_config_store() {
    config_store::laws::all(store("sqlite::memory:").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_obeys_the_laws_of_the_config_store() {
    let directory = tempfile::tempdir().expect("directory");
    config_store::laws::all(
        store(&format!(
            "sqlite://{}",
            directory.path().join("assay.db").display()
        ))
        .await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_obeys_the_laws_of_the_config_bus() {
    let bus: Arc<dyn ConfigBus> = Arc::new(EmbeddedConfigBus::with_history(2_000));
    let crowd = Arc::clone(&bus);
    let forget = || async move {
        let namespace = Namespace::new("crowd").expect("key");
        for generation in 0..2_000 {
            let manifest = Manifest {
                generation,
                count: 0,
                digest: [0; 32],
            };
            let from = generation.checked_sub(1);
            let publication = Publication {
                namespace: namespace.clone(),
                from,
                puts: Default::default(),
                deletes: vec![],
                manifest,
            };
            crowd.publish(publication).await.expect("publish");
        }
    };
    config_bus::laws::all(bus, forget).await;
}
