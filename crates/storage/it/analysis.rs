//! The laws of the state of analysis on SQLite.

use std::sync::Arc;

use assay_storage::{
    analysis_store::{AnalysisStore, SqlAnalysisStore, laws},
    sql::Database,
};

async fn store(url: &str) -> Arc<dyn AnalysisStore> {
    let database = Database::connect(url, 4).await.expect("connect");
    database.migrate().await.expect("migrate");
    Arc::new(SqlAnalysisStore::new(database))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_obeys_the_laws_of_the_analysis_store() {
    laws::all(store("sqlite::memory:").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_obeys_the_laws_of_the_analysis_store() {
    let directory = tempfile::tempdir().expect("directory");
    laws::all(
        store(&format!(
            "sqlite://{}",
            directory.path().join("assay.db").display()
        ))
        .await,
    )
    .await;
}

#[tokio::test]
async fn a_reopened_store_holds_all_that_was_committed() {
    let directory = tempfile::tempdir().expect("directory");
    let url = format!("sqlite://{}", directory.path().join("assay.db").display());
    let model = laws::random_changes(&*store(&url).await, 42).await;
    let reopened = store(&url).await;
    model.assert_holds(&*reopened).await;
    assert_eq!(reopened.progress(21).await.expect("progress").len(), 21);
}
