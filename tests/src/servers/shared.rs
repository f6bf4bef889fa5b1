//! One set of servers for all tests of a binary that do them no harm.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use tokio::sync::OnceCell;

use super::postgres::create_database;
use super::{Etcd, Postgres, Redis};

/// One server of each kind, started once per test process and ended with it.
#[derive(Debug)]
pub struct Shared {
    /// Use it under [`fresh_prefix`].
    pub etcd: Etcd,
    /// Use it under [`fresh_prefix`], or in a numbered database of its own.
    pub redis: Redis,
    /// Use it through [`fresh_database`].
    pub postgres: Postgres,
}

/// The servers that tests share, started by the first that asks.
///
/// # Errors
/// When one is not installed or does not start.
pub async fn shared() -> Result<&'static Shared> {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED
        .get_or_try_init(|| async {
            let (etcd, redis, postgres) = tokio::try_join!(Etcd::start(), Redis::start(), Postgres::start())?;
            Ok(Shared {
                etcd,
                redis,
                postgres,
            })
        })
        .await
}

/// The URL of a new, empty database in the shared PostgreSQL.
///
/// # Errors
/// When the server does not start or refuses.
pub async fn fresh_database() -> Result<String> {
    create_database(&shared().await?.postgres, &format!("test_{}", next())).await
}

/// A prefix for keys in the shared etcd and Redis that no other test of this process has.
#[must_use]
pub fn fresh_prefix() -> String {
    format!("test-{}/", next())
}

fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
