//! What only somebody with the database in hand can do: change the trail.

use assay_core::key::Namespace;
use sea_orm::ConnectionTrait;

use super::*;
use crate::access_store::laws::{audit, key};

async fn database() -> Database {
    let database = Database::connect("sqlite::memory:", 1).await.expect("memory");
    database.migrate().await.expect("migrate");
    database
}

/// Five rows in `default`, without the triggers that keep them.
async fn trail(database: &Database) -> SqlAccessStore {
    let store = SqlAccessStore::new(database.clone());
    for n in 1..=5 {
        store
            .create_key(&key(&format!("k{n}"), n), &audit("ann"))
            .await
            .expect("create");
    }
    let drop = "drop trigger audit_log_keep_updated; drop trigger audit_log_keep_deleted;";
    database.reader().execute_unprepared(drop).await.expect("drop");
    store
}

#[tokio::test]
async fn whatever_is_changed_in_the_trail_is_found() {
    for edit in [
        "update audit_log set actor = 'bob' where id = 3",
        "update audit_log set after = '{}' where id = 3",
        "update audit_log set reason = 'x', hash = randomblob(32) where id = 3",
        "update audit_log set hash = null where id = 3",
    ] {
        let database = database().await;
        let store = trail(&database).await;
        let whole = store.verify(&Namespace::default()).await.expect("verify");
        assert_eq!((whole.n_rows, whole.first_broken), (5, None));
        database.reader().execute_unprepared(edit).await.expect("edit");
        let found = store.verify(&Namespace::default()).await.expect("verify");
        assert_eq!(found.first_broken, Some(3), "{edit}");
    }
}

#[tokio::test]
async fn a_row_that_is_gone_is_found_by_the_next_or_by_the_head() {
    let database = database().await;
    let store = trail(&database).await;
    let head = store.verify(&Namespace::default()).await.expect("verify").head;
    let cut = "delete from audit_log where id = 5";
    database.reader().execute_unprepared(cut).await.expect("cut");
    let found = store.verify(&Namespace::default()).await.expect("verify");
    assert_eq!((found.n_rows, found.first_broken), (4, None));
    assert_ne!(found.head, head);
    let hole = "delete from audit_log where id = 2";
    database.reader().execute_unprepared(hole).await.expect("hole");
    let found = store.verify(&Namespace::default()).await.expect("verify");
    assert_eq!(found.first_broken, Some(3));
}

#[tokio::test]
async fn the_trail_cannot_be_changed_by_a_statement() {
    let database = database().await;
    let store = SqlAccessStore::new(database.clone());
    store
        .create_key(&key("k1", 1), &audit("ann"))
        .await
        .expect("create");
    for edit in ["update audit_log set actor = 'bob'", "delete from audit_log"] {
        assert!(
            database.reader().execute_unprepared(edit).await.is_err(),
            "{edit}"
        );
    }
}
