//! The laws of the log on its embedded implementation.

use std::sync::Arc;

use assay_storage::{
    Error,
    event_log::{Append, EmbeddedLog, EventLog, Position, Topic, laws},
};

async fn log(url: &str) -> Arc<dyn EventLog> {
    Arc::new(EmbeddedLog::connect(url, 4).await.expect("connect"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_obeys_the_laws_of_the_log() {
    laws::all(log("sqlite::memory:").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_obeys_the_laws_of_the_log() {
    let directory = tempfile::tempdir().expect("directory");
    laws::all(log(&format!("sqlite://{}", directory.path().join("log.db").display())).await).await;
}

#[tokio::test]
async fn a_reopened_log_has_its_entries_and_goes_on_after_them() {
    let directory = tempfile::tempdir().expect("directory");
    let url = format!("sqlite://{}", directory.path().join("log.db").display());
    let entry = || Append {
        partition: 1,
        topic: Topic::Events,
        payload: "a".into(),
    };
    let first = log(&url)
        .await
        .append(vec![entry(), entry()])
        .await
        .pop()
        .expect("result")
        .expect("appended");
    let reopened = log(&url).await;
    assert_eq!(reopened.tail(1, Topic::Events).await.expect("tail"), first);
    assert_eq!(
        reopened
            .read(1, Topic::Events, Position::START, 9)
            .await
            .expect("read")
            .len(),
        2
    );
    reopened.trim(1, Topic::Events, first).await.expect("trim");
    let reopened = log(&url).await;
    let next = reopened
        .append(vec![entry()])
        .await
        .pop()
        .expect("result")
        .expect("appended");
    assert!(next > first, "an id is never given twice");
}

#[tokio::test]
async fn the_number_of_partitions_cannot_change() {
    let directory = tempfile::tempdir().expect("directory");
    let url = format!("sqlite://{}", directory.path().join("log.db").display());
    drop(log(&url).await);
    let refused = EmbeddedLog::connect(&url, 5).await.expect_err("four partitions");
    assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_append_whose_caller_went_away_does_not_hold_up_others() {
    let log = log("sqlite::memory:").await;
    let entry = |text: &'static str| Append {
        partition: 0,
        topic: Topic::Events,
        payload: text.into(),
    };
    for round in 0..20 {
        let limit = std::time::Duration::from_micros(50 * round);
        let _ = tokio::time::timeout(limit, log.append(vec![entry("gone")])).await;
        log.append(vec![entry("here")])
            .await
            .pop()
            .expect("result")
            .expect("appended");
    }
    let read = log
        .read(0, Topic::Events, Position::START, 100)
        .await
        .expect("read");
    assert_eq!(read.iter().filter(|entry| entry.payload == "here").count(), 20);
}
