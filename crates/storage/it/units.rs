//! The laws of the unit store on its embedded implementation.

use std::sync::Arc;

use assay_core::{
    key::{ExperimentKey, Namespace, Unit, VariantKey},
    memory::Remembered,
};
use assay_storage::unit_store::{EmbeddedUnitStore, Place, UnitStore, laws};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_obeys_the_laws_of_the_unit_store() {
    let store = EmbeddedUnitStore::connect("sqlite::memory:")
        .await
        .expect("connect");
    laws::all(Arc::new(store)).await;
}

#[tokio::test]
async fn a_reopened_file_remembers() {
    let directory = tempfile::tempdir().expect("directory");
    let url = format!("sqlite://{}", directory.path().join("units.db").display());
    let place = Place {
        namespace: Namespace::default(),
        unit: Unit::user("1").expect("unit"),
        experiment: ExperimentKey::new("a").expect("key"),
    };
    let first = Remembered {
        variant: VariantKey::new("on").expect("key"),
        cohort: 1,
    };
    let store = EmbeddedUnitStore::connect(&url).await.expect("connect");
    store
        .put_if_absent(&[(place.clone(), first.clone())])
        .await
        .expect("put");
    drop(store);
    let store = EmbeddedUnitStore::connect(&url).await.expect("connect");
    assert_eq!(store.get(&[place]).await.expect("get"), [Some(first)]);
}
