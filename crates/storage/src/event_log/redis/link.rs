//! One connection that is made when it is needed, checked when it is made, and replaced when it is spoilt.
//!
//! `redis::aio::ConnectionManager` keeps a connection whose server hangs or was demoted, because the socket is whole; this does not.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisError, RedisResult, ServerErrorKind,
    aio::MultiplexedConnection, io::tcp::TcpSettings,
};
use tokio::{sync::Mutex, time::Instant};

use super::failure::{Failure, spoils_connection};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A server that does not answer within this is taken to hang.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A new connection is made and checked within this.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// After a failed attempt, calls fail at once for this long instead of queueing for attempts of their own.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A connection to one server.
#[derive(Debug)]
pub(crate) struct Link {
    client: Client,
    /// Of a log: the key that remembers the number of partitions, and that number.
    partitions: Option<(String, u32)>,
    state: Mutex<State>,
    /// Set by [`Link::failed`], obeyed by the next [`Link::connection`].
    spoilt: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    failed: Option<(Instant, Failure)>,
}

impl Link {
    /// A link to `url`, not yet connected, to a log that has `partitions` partitions according to `partitions_key`.
    pub(super) fn new(url: &str, partitions_key: String, partitions: u32) -> Result<Self, Failure> {
        Self::to(url, Some((partitions_key, partitions)))
    }

    /// A link to `url`, not yet connected, for what is not divided into partitions.
    pub(crate) fn plain(url: &str) -> Result<Self, Failure> {
        Self::to(url, None)
    }

    fn to(url: &str, partitions: Option<(String, u32)>) -> Result<Self, Failure> {
        let info = url.into_connection_info()?;
        let client = Client::open(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))?;
        Ok(Self {
            client,
            partitions,
            state: Mutex::default(),
            spoilt: false.into(),
        })
    }

    /// The connection; a new one if there is none or it is spoilt.
    pub(crate) async fn connection(&self) -> Result<MultiplexedConnection, Failure> {
        let mut state = self.state.lock().await;
        if self.spoilt.swap(false, Ordering::AcqRel) {
            state.connection = None;
        }
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        if let Some((at, failure)) = &state.failed
            && at.elapsed() < RETRY_AFTER
        {
            return Err(failure.clone());
        }
        let opened = tokio::time::timeout(OPEN_TIMEOUT, self.open()).await;
        match opened.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())) {
            Ok(connection) => {
                *state = State {
                    connection: Some(connection.clone()),
                    failed: None,
                };
                Ok(connection)
            }
            Err(failure) => {
                state.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// Takes note of `error`, which came on this link's connection.
    pub(crate) fn failed(&self, error: RedisError) -> Failure {
        if spoils_connection(&error) {
            self.spoilt.store(true, Ordering::Release);
        }
        Failure::Redis(error)
    }

    async fn open(&self) -> Result<MultiplexedConnection, Failure> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        check_eviction(&mut connection).await?;
        if let Some((key, partitions)) = &self.partitions {
            check_partitions(key, *partitions, &mut connection).await?;
        }
        Ok(connection)
    }
}

/// The number of partitions decides which one a unit's records are in, so it is fixed when a log is first used.
async fn check_partitions(
    key: &str,
    partitions: u32,
    connection: &mut MultiplexedConnection,
) -> Result<(), Failure> {
    let mut stored: Option<u32> = redis::cmd("GET").arg(key).query_async(connection).await?;
    if stored.is_none() {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(partitions).arg("NX");
        // A server that takes no writes now must still be read and trimmed; a later connection remembers the number.
        if let Err(error) = set.exec_async(connection).await {
            tracing::warn!(%error, "the number of partitions could not be stored in redis");
        }
        stored = redis::cmd("GET").arg(key).query_async(connection).await?;
    }
    match stored {
        Some(found) if found != partitions => Err(Failure::Refused(format!(
            "the log was made with {found} partitions ({}), and {} are set; this number cannot be changed",
            key, partitions
        ))),
        _ => Ok(()),
    }
}

/// Refuses a server that makes room by deleting keys: it would delete whole streams.
async fn check_eviction(connection: &mut MultiplexedConnection) -> Result<(), Failure> {
    match eviction_policy(connection).await? {
        Some(policy) if policy.starts_with("allkeys-") => Err(Failure::Refused(format!(
            "its maxmemory-policy is {policy}, which deletes whole streams of records when memory is full; set maxmemory-policy to noeviction"
        ))),
        Some(_) => Ok(()),
        None => {
            tracing::warn!(
                "redis does not tell its maxmemory-policy; make sure that it is noeviction, or records may be deleted"
            );
            Ok(())
        }
    }
}

/// The policy by `CONFIG GET`, else by `INFO`; absent when the server forbids both.
async fn eviction_policy(connection: &mut MultiplexedConnection) -> Result<Option<String>, Failure> {
    let asked: RedisResult<Vec<String>> = redis::cmd("CONFIG")
        .arg("GET")
        .arg("maxmemory-policy")
        .query_async(connection)
        .await;
    match asked {
        Ok(pair) if pair.len() == 2 => return Ok(pair.into_iter().nth(1)),
        Err(error) if !is_forbidden(&error) => return Err(error.into()),
        _ => {}
    }
    let asked: RedisResult<String> = redis::cmd("INFO").arg("memory").query_async(connection).await;
    match asked {
        Ok(info) => Ok(info
            .lines()
            .find_map(|line| line.strip_prefix("maxmemory_policy:"))
            .map(|policy| policy.trim().to_owned())),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the server knows us and does not let us ask (managed servers hide `CONFIG`).
fn is_forbidden(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
    )
}
