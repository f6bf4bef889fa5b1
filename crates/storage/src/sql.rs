//! The SQL database under the SQL adapters: one connection type for Postgres and SQLite, one list of migrations, one place that says
//! what a driver's error means.
//!
//! An adapter reads with `Database::reader` or, when several reads must agree, `Database::begin_read`; it writes only in a
//! `Database::begin` transaction, and bounds each call of its port by `within`.

mod classify;
mod connect;
mod migrations;

use std::{future::Future, ops::Deref, time::Duration};

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

use crate::Error;

pub(crate) use classify::{classify, unique_violation};

/// The key of the advisory lock under which a Postgres database is migrated: `assay` in ASCII.
const MIGRATION_LOCK: i64 = 0x61_7373_6179;

/// The longest that a call of a port may take: beyond the server's own limits, for a server that has gone silent.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// A database: Postgres, or SQLite in a file or in memory.
///
/// Cheap to clone; clones share their connections. SQLite has one connection for writing, so writers queue here and never find the
/// file locked by their own process, and several for reading. In memory all is one connection: a caller that holds a transaction must
/// not use the database beside it.
#[derive(Debug, Clone)]
pub struct Database {
    write: DatabaseConnection,
    read: DatabaseConnection,
    /// Held, not used.
    _anchor: Option<DatabaseConnection>,
}

impl Database {
    /// Opens `url`: `postgres://…`, `sqlite://path` (created if missing) or `sqlite::memory:`; with at most `max_connections` ≥ 1
    /// connections to Postgres, or to a SQLite file for reading.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the server does not answer within two seconds, [`Error::Refused`] if the url or the credentials are wrong.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self, Error> {
        let connect::Connections { write, read, anchor } = connect::open(url, max_connections.max(1)).await?;
        Ok(Self {
            write,
            read,
            _anchor: anchor,
        })
    }

    /// Whether `url` is one of a Postgres database, without asking the server.
    ///
    /// # Errors
    /// [`Error::Refused`]; does not repeat the url.
    pub fn check_postgres_url(url: &str) -> Result<(), Error> {
        connect::check_postgres_url(url)
    }

    /// Brings the tables up to date, all or nothing. Any number of processes may do this at once: one does it, the others wait.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Refused`] if a newer release has migrated the database.
    pub async fn migrate(&self) -> Result<(), Error> {
        let transaction = self.begin().await?;
        if self.backend() == DbBackend::Postgres {
            let lock = format!(
                "set local statement_timeout = 0; set local lock_timeout = '60s'; select pg_advisory_xact_lock({MIGRATION_LOCK})"
            );
            transaction.execute_unprepared(&lock).await.map_err(classify)?;
        }
        migrations::Migrator::up(&*transaction, None)
            .await
            .map_err(classify)?;
        transaction.commit().await
    }

    /// Begins a transaction that may write. SQLite: IMMEDIATE, so that it never fails in the middle for another writer. Postgres: READ
    /// COMMITTED; lock the rows that a decision is made from.
    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        let options = TransactionOptions {
            isolation_level: (self.backend() == DbBackend::Postgres).then_some(IsolationLevel::ReadCommitted),
            access_mode: None,
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        };
        self.write
            .begin_with_options(options)
            .await
            .map(Transaction)
            .map_err(classify)
    }

    /// Begins a transaction whose reads all see the same instant.
    pub(crate) async fn begin_read(&self) -> Result<Transaction, Error> {
        let postgres = self.backend() == DbBackend::Postgres;
        let options = TransactionOptions {
            isolation_level: postgres.then_some(IsolationLevel::RepeatableRead),
            access_mode: postgres.then_some(AccessMode::ReadOnly),
            sqlite_transaction_mode: None,
        };
        self.read
            .begin_with_options(options)
            .await
            .map(Transaction)
            .map_err(classify)
    }

    /// For reads of one statement; sees everything committed.
    pub(crate) fn reader(&self) -> &DatabaseConnection {
        &self.read
    }

    /// Postgres or SQLite.
    pub(crate) fn backend(&self) -> DbBackend {
        self.write.get_database_backend()
    }
}

/// A transaction: rolled back unless committed.
#[derive(Debug)]
pub(crate) struct Transaction(DatabaseTransaction);

impl Transaction {
    /// Makes it so. After [`Error::Unavailable`] it may or may not have happened.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        self.0.commit().await.map_err(classify)
    }
}

impl Deref for Transaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.0
    }
}

/// Runs `call`, at most as long as a call of a port may take: a peer that fell silent must not hold a caller for ever.
pub(crate) async fn within<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(result) => result,
        Err(elapsed) => Err(Error::Unavailable {
            store: "database",
            source: elapsed.into(),
        }),
    }
}

/// How many rows of `binds_per_row` ≥ 1 values fit into one statement: at least 1. Use with `slice::chunks`.
pub(crate) fn rows_per_statement(backend: DbBackend, binds_per_row: usize) -> usize {
    let binds = match backend {
        DbBackend::Sqlite => 32_766,
        _ => 65_535,
    };
    (binds / binds_per_row.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_stay_within_bind_limits() {
        assert_eq!(rows_per_statement(DbBackend::Sqlite, 10), 3276);
        assert_eq!(rows_per_statement(DbBackend::Postgres, 10), 6553);
        assert_eq!(rows_per_statement(DbBackend::Sqlite, 100_000), 1);
    }

    #[tokio::test]
    async fn migrating_twice_changes_nothing() {
        let database = Database::connect("sqlite::memory:", 1).await.expect("memory");
        database.migrate().await.expect("first");
        database.migrate().await.expect("second");
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_neither_loses_a_memory_nor_blocks_it() {
        let database = Database::connect("sqlite::memory:", 1).await.expect("memory");
        database.migrate().await.expect("migrate");
        for round in 0..40 {
            let call = async {
                let transaction = database.begin().await?;
                transaction
                    .execute_unprepared("insert into namespaces values ('given-up', 1)")
                    .await
                    .map_err(classify)?;
                tokio::time::sleep(Duration::from_secs(1)).await;
                transaction.commit().await
            };
            tokio::time::timeout(Duration::from_micros(25 * round), call)
                .await
                .expect_err("given up");
            let transaction = database.begin().await.expect("begin");
            transaction
                .execute_unprepared("update namespaces set generation = 2")
                .await
                .expect("the tables are there");
            transaction.commit().await.expect("commit");
        }
    }

    #[tokio::test]
    async fn a_file_is_created_and_many_may_migrate_it_at_once() {
        let directory = tempfile::tempdir().expect("directory");
        let url = format!("sqlite://{}", directory.path().join("assay.db").display());
        let one = Database::connect(&url, 4).await.expect("one");
        let two = Database::connect(&url, 4).await.expect("two");
        let (first, second) = tokio::join!(one.migrate(), two.migrate());
        first.expect("first");
        second.expect("second");
    }

    #[tokio::test]
    async fn a_wrong_url_is_refused_without_repeating_it() {
        let refused = Database::connect("mysql://root:secret@localhost/x", 1)
            .await
            .expect_err("no driver");
        assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
        assert!(!format!("{refused:?}").contains("secret"));
    }
}
