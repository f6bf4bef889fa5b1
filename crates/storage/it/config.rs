//! The laws of configuration on the embedded stores.

use std::sync::Arc;

use assay_core::{key::Namespace, time::Timestamp};
use assay_storage::{
    Error,
    access_store::{self, SqlAccessStore},
    config_bus::{self, ConfigBus, EmbeddedConfigBus, Manifest, Publication},
    config_store::{
        self, Audit, Change, ConfigStore, Expect, Filter, Kind, Resource, SqlConfigStore, Write,
        laws::samples::flag,
    },
    sql::Database,
};
use sea_orm::ConnectionTrait;

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
async fn memory_and_a_file_obey_the_laws_of_the_access_store() {
    let directory = tempfile::tempdir().expect("directory");
    let file = format!("sqlite://{}", directory.path().join("assay.db").display());
    for url in ["sqlite::memory:", &file] {
        let database = Database::connect(url, 4).await.expect("connect");
        database.migrate().await.expect("migrate");
        access_store::laws::all(Arc::new(SqlAccessStore::new(database))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_obeys_the_laws_of_the_config_bus() {
    config_bus::laws::keys(&EmbeddedConfigBus::new()).await;
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

#[tokio::test]
async fn a7_a_document_that_cannot_be_read_is_told_of_alone() {
    let directory = tempfile::tempdir().expect("directory");
    let url = format!("sqlite://{}", directory.path().join("assay.db").display());
    let store = store(&url).await;
    let namespace = Namespace::default();
    let change = Change {
        namespace: namespace.clone(),
        writes: ["a", "b"].map(|key| create(flag(&namespace, key))).into(),
        audit: Audit {
            actor: "tester".into(),
            action: "flag.create".into(),
            subject: "flag/a".into(),
            reason: String::new(),
            traceparent: String::new(),
            peer: String::new(),
        },
        claim: None,
        now: Timestamp::from_micros(1_000),
    };
    store.commit(change).await.expect("the change fits");
    let raw = sea_orm::Database::connect(&url).await.expect("connect");
    raw.execute_unprepared("update resources set document = '{\"v\":1}' where key = 'a'")
        .await
        .expect("break it");

    let published = store.published(&namespace).await.expect("the others");
    let keys: Vec<_> = published.resources.iter().map(Resource::key).collect();
    assert_eq!(keys, ["b"]);
    let broken: Vec<_> = published
        .unreadable
        .iter()
        .map(|broken| (broken.kind, broken.key.as_str()))
        .collect();
    assert_eq!(broken, [(Kind::Flag, "a")]);

    let filter = Filter::default();
    let listed = store.list(&namespace, Kind::Flag, &filter, None, 10).await;
    let error = listed.expect_err("one row cannot be read");
    assert!(
        matches!(&error, Error::Corrupt { what, .. } if what == "flag/a of namespace default"),
        "{error:?}"
    );
}

fn create(resource: Resource) -> Write {
    Write::Put {
        resource,
        expect: Expect::Absent,
    }
}
