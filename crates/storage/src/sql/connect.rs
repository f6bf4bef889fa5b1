//! How connections are opened: the pools and their limits.

use std::{str::FromStr, time::Duration};

use sea_orm::{
    DatabaseConnection, SqlxPostgresConnector, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions, Connection,
        postgres::{PgConnectOptions, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};

use super::classify::classify_driver;
use crate::Error;

const ACQUIRE_LIMIT: Duration = Duration::from_secs(2);
const LIFETIME: Duration = Duration::from_secs(5 * 60);
const IDLE: Duration = Duration::from_secs(60);
/// Longer than a busy embedded writer ever holds the file.
const SQLITE_WAIT: Duration = Duration::from_secs(10);

/// The connections for writing and for reading, the same ones but for a SQLite file; and what keeps a database in memory alive.
pub(super) struct Connections {
    pub(super) write: DatabaseConnection,
    pub(super) read: DatabaseConnection,
    pub(super) anchor: Option<DatabaseConnection>,
}

/// Opens `url`.
pub(super) async fn open(url: &str, max_connections: u32) -> Result<Connections, Error> {
    if is_postgres(url) {
        let both = postgres(url, max_connections).await?;
        return Ok(Connections {
            write: both.clone(),
            read: both,
            anchor: None,
        });
    }
    if !url.starts_with("sqlite:") {
        let source = "the url of a database begins with `postgres://` or `sqlite:`".into();
        return Err(Error::Refused {
            store: "database",
            source,
        });
    }
    let options = sqlite_options(url)?;
    if url.contains(":memory:") {
        // A call that is given up in the middle closes its connection, and a database in memory ends with its last one: this one is
        // never used, so never closed.
        let anchor = sqlite(options.clone(), 1).await?;
        let both = sqlite(options, 1).await?;
        return Ok(Connections {
            write: both.clone(),
            read: both,
            anchor: Some(anchor),
        });
    }
    let write = sqlite(options.clone(), 1).await?;
    let read = sqlite(options, max_connections).await?;
    Ok(Connections {
        write,
        read,
        anchor: None,
    })
}

/// Refuses what is no url of a Postgres database.
pub(super) fn check_postgres_url(url: &str) -> Result<(), Error> {
    if !is_postgres(url) {
        return Err(Error::Refused {
            store: "postgres",
            source: "the url begins with neither `postgres://` nor `postgresql://`".into(),
        });
    }
    postgres_options(url).map(|_| ())
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn postgres_options(url: &str) -> Result<PgConnectOptions, Error> {
    PgConnectOptions::from_str(url).map_err(|error| classify_driver(&error.into()))
}

async fn postgres(url: &str, max_connections: u32) -> Result<DatabaseConnection, Error> {
    let options = postgres_options(url)?
        .application_name("assay")
        .options([
            ("statement_timeout", "10s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "30s"),
            // A plan for any values does not know that a word is in every experiment, or in none: it took ten times as long as planning.
            ("plan_cache_mode", "force_custom_plan"),
        ])
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_LIMIT)
        .max_lifetime(LIFETIME)
        .idle_timeout(IDLE)
        // A pool keeps its connections to a primary that was demoted meanwhile, where every write fails: ask instead of pinging.
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                let standby: bool = sqlx::query_scalar("select pg_is_in_recovery()")
                    .fetch_one(connection)
                    .await?;
                Ok(!standby)
            })
        })
        // The pool pings what comes back, without a limit: a silent peer would keep its place in the pool for many minutes.
        .after_release(|connection, _| {
            Box::pin(async move {
                let ping = tokio::time::timeout(ACQUIRE_LIMIT, connection.ping());
                ping.await.map_err(|_| sqlx::Error::PoolTimedOut)??;
                Ok(true)
            })
        })
        .connect_with(options)
        .await
        .map_err(|error| classify_driver(&error.into()))?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

fn sqlite_options(url: &str) -> Result<SqliteConnectOptions, Error> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| classify_driver(&error.into()))?;
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(SQLITE_WAIT)
        .foreign_keys(true)
        .disable_statement_logging())
}

async fn sqlite(options: SqliteConnectOptions, max_connections: u32) -> Result<DatabaseConnection, Error> {
    let pool = SqlitePoolOptions::new()
        .max_connections(max_connections)
        .min_connections(1)
        .acquire_timeout(SQLITE_WAIT)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_with(options)
        .await
        .map_err(|error| classify_driver(&error.into()))?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}
