//! The log in Redis Streams: one stream a partition and topic, one entry a batch.
//!
//! Keys are `<prefix>:{p}:exposures` and `<prefix>:{p}:events`; the braces put both streams of a partition into one slot. An entry
//! has one field. Nothing is ever trimmed by `XADD`, and a server that evicts keys is refused, because eviction deletes whole
//! streams. Redis may lose what it has acknowledged (a restart without persistence, a failover): ids may then begin below a reader's
//! position, which [`EventLog::tail`] shows.

pub(crate) mod failure;
pub(crate) mod link;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, ErrorKind, Pipeline, RedisResult, Value};

use self::{failure::Failure, link::Link};
use super::{Append, Entry, EventLog, Position, Topic};
use crate::Error;

const FIELD: &str = "b";
/// Bounds of one pipeline: small enough to be answered well within the response timeout.
const MAX_CHUNK_ENTRIES: usize = 256;
const MAX_CHUNK_BYTES: usize = 8 << 20;
/// How long `WAIT` may wait for a replica; below the response timeout.
const REPLICA_TIMEOUT: Duration = Duration::from_secs(1);

/// When an append counts as acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When the server has it: it survives what that server's own persistence survives.
    #[default]
    Memory,
    /// When at least one replica has it too (`WAIT 1`); without a replica nothing is acknowledged.
    Replica,
}

/// An [`EventLog`] in Redis 5 or later, or Valkey.
///
/// Appends and reads have a connection each, so that neither waits for the other. Calls are bounded: two seconds to connect, two for
/// an answer. A broken, silent or demoted connection is replaced by the next call.
#[derive(Debug)]
pub struct RedisLog {
    prefix: String,
    partitions: u32,
    durability: Durability,
    writes: Link,
    reads: Link,
}

impl RedisLog {
    /// Whether `url` is one that [`RedisLog::connect`] understands, without asking the server.
    ///
    /// # Errors
    /// [`Error::Refused`]; does not repeat the url.
    pub fn check_url(url: &str) -> Result<(), Error> {
        Ok(Link::new(url, String::new(), 1).map(|_| ())?)
    }

    /// A log of `partitions` partitions under `prefix` (by default `assay`) on the server at `url`, such as
    /// `redis://host:6379/0`, or `rediss://` for TLS.
    ///
    /// A server that cannot be reached now is no error: the log warns, answers [`Error::Unavailable`], and recovers when the server
    /// does. Each new connection checks the server: it must not evict keys, and the log under `prefix` must have been made with the
    /// same number of partitions; while that does not hold, every call answers [`Error::Refused`].
    ///
    /// # Errors
    /// [`Error::Refused`] when the URL cannot be understood, or the server is reached and fails these checks.
    pub async fn connect(
        url: &str,
        prefix: &str,
        partitions: u32,
        durability: Durability,
    ) -> Result<Self, Error> {
        let link = || Link::new(url, format!("{prefix}:partitions"), partitions);
        let log = Self {
            prefix: prefix.to_owned(),
            partitions,
            durability,
            writes: link()?,
            reads: link()?,
        };
        match log.writes.connection().await.map_err(Error::from) {
            Err(error) if error.is_transient() => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(
                    cause,
                    "redis cannot be reached yet; the log is unavailable until it can"
                );
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        Ok(log)
    }

    fn key(&self, partition: u32, topic: Topic) -> Result<String, Failure> {
        if partition >= self.partitions {
            return Err(Failure::no_partition(partition, self.partitions));
        }
        Ok(format!("{}:{{{partition}}}:{}", self.prefix, topic.name()))
    }

    /// Appends `chunk` in one round trip. An error means that no entry is acknowledged.
    async fn append_chunk(&self, chunk: &[Append]) -> Result<Vec<Result<Position, Failure>>, Failure> {
        let mut pipeline = Pipeline::with_capacity(chunk.len() + 1);
        pipeline.ignore_errors();
        for entry in chunk {
            let key = self.key(entry.partition, entry.topic)?;
            pipeline
                .cmd("XADD")
                .arg(key)
                .arg("*")
                .arg(FIELD)
                .arg(&entry.payload[..]);
        }
        if self.durability == Durability::Replica {
            pipeline
                .cmd("WAIT")
                .arg(1)
                .arg(REPLICA_TIMEOUT.as_millis() as u64);
        }
        let mut connection = self.writes.connection().await?;
        let replies: RedisResult<Vec<RedisResult<Value>>> = pipeline.query_async(&mut connection).await;
        let mut replies = replies.map_err(|error| self.writes.failed(error))?;
        if self.durability == Durability::Replica {
            confirm(replies.pop())?;
        }
        let result = |reply: RedisResult<Value>| match reply {
            Ok(id) => position(&id),
            Err(error) => Err(self.writes.failed(error)),
        };
        Ok(replies.into_iter().map(result).collect())
    }

    async fn query(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut connection = self.reads.connection().await?;
        command
            .query_async(&mut connection)
            .await
            .map_err(|error| self.reads.failed(error))
    }
}

#[async_trait]
impl EventLog for RedisLog {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    async fn append(&self, entries: Vec<Append>) -> Vec<Result<Position, Error>> {
        let mut results = Vec::with_capacity(entries.len());
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(chunk_len(rest));
            match self.append_chunk(chunk).await {
                Ok(done) => results.extend(done.into_iter().map(|result| result.map_err(Error::from))),
                // Without a connection the later chunks would each wait in vain as well.
                Err(failure) => {
                    results.extend(rest.iter().map(|_| Err(failure.clone().into())));
                    return results;
                }
            }
            rest = later;
        }
        results
    }

    async fn read(
        &self,
        partition: u32,
        topic: Topic,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let key = self.key(partition, topic)?;
        let mut command = redis::cmd("XREAD");
        command
            .arg("COUNT")
            .arg(limit.max(1))
            .arg("STREAMS")
            .arg(key)
            .arg(after.to_string());
        let reply = self.query(&command).await?;
        Ok(entries(reply)?)
    }

    async fn tail(&self, partition: u32, topic: Topic) -> Result<Position, Error> {
        let key = self.key(partition, topic)?;
        let reply = match self.query(redis::cmd("XINFO").arg("STREAM").arg(key)).await {
            Err(Failure::Redis(error)) if error.detail().is_some_and(|text| text.contains("no such key")) => {
                return Ok(Position::START);
            }
            reply => reply?,
        };
        let pairs = reply.as_map_iter().into_iter().flatten();
        let id = pairs
            .into_iter()
            .find(|(name, _)| text(name) == Some("last-generated-id"))
            .map(|(_, id)| id);
        Ok(position(id.unwrap_or(&Value::Nil))?)
    }

    async fn trim(&self, partition: u32, topic: Topic, through: Position) -> Result<(), Error> {
        let key = self.key(partition, topic)?;
        let Some(least_kept) = next(through) else {
            return Ok(());
        };
        self.query(
            redis::cmd("XTRIM")
                .arg(key)
                .arg("MINID")
                .arg("=")
                .arg(least_kept.to_string()),
        )
        .await?;
        Ok(())
    }
}

/// How many of `entries` go into the next pipeline; at least one.
fn chunk_len(entries: &[Append]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Append| {
        bytes += entry.payload.len();
        bytes <= MAX_CHUNK_BYTES
    };
    entries
        .iter()
        .take(MAX_CHUNK_ENTRIES)
        .take_while(fits)
        .count()
        .max(1)
}

/// The least position above `position`, if there is one.
fn next(position: Position) -> Option<Position> {
    match position.minor.checked_add(1) {
        Some(minor) => Some(Position { minor, ..position }),
        None => Some(Position {
            major: position.major.checked_add(1)?,
            minor: 0,
        }),
    }
}

/// Whether `WAIT` found a replica that has the writes.
fn confirm(reply: Option<RedisResult<Value>>) -> Result<(), Failure> {
    match reply.transpose()? {
        Some(Value::Int(replicas)) if replicas >= 1 => Ok(()),
        _ => Err(std::io::Error::other("no replica confirmed the append in time").into()),
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn position(id: &Value) -> Result<Position, Failure> {
    text(id)
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| not_understood("a stream id"))
}

fn not_understood(what: &'static str) -> Failure {
    Failure::Redis((ErrorKind::UnexpectedReturnType, what).into())
}

/// The entries in a reply to `XREAD` of one stream.
fn entries(reply: Value) -> Result<Vec<Entry>, Failure> {
    let Value::Array(streams) = reply else {
        return Ok(Vec::new());
    };
    let Some(Value::Array(stream)) = streams.into_iter().next() else {
        return Ok(Vec::new());
    };
    let Some(Value::Array(entries)) = stream.into_iter().nth(1) else {
        return Err(not_understood("a stream"));
    };
    entries.into_iter().map(entry).collect()
}

/// One entry. A foreign one keeps its first field's value: what it means is for the reader to judge, who sets aside what he cannot decode.
fn entry(value: Value) -> Result<Entry, Failure> {
    let Value::Array(parts) = value else {
        return Err(not_understood("a stream entry"));
    };
    let mut parts = parts.into_iter();
    let position = position(&parts.next().unwrap_or(Value::Nil))?;
    let payload = match parts.next() {
        Some(Value::Array(fields)) => match fields.into_iter().nth(1) {
            Some(Value::BulkString(bytes)) => Bytes::from(bytes),
            _ => Bytes::new(),
        },
        _ => Bytes::new(),
    };
    Ok(Entry { position, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(bytes: usize) -> Append {
        Append {
            partition: 0,
            topic: Topic::Events,
            payload: vec![0; bytes].into(),
        }
    }

    #[test]
    fn pipelines_are_bounded_in_entries_and_bytes() {
        assert_eq!(chunk_len(&vec![append(1); 300]), MAX_CHUNK_ENTRIES);
        assert_eq!(chunk_len(&vec![append(3 << 20); 9]), 2);
        assert_eq!(chunk_len(&[append(MAX_CHUNK_BYTES + 1), append(1)]), 1);
    }

    #[test]
    fn the_next_position_carries() {
        assert_eq!(
            next(Position { major: 1, minor: 2 }),
            Some(Position { major: 1, minor: 3 })
        );
        assert_eq!(
            next(Position {
                major: 1,
                minor: u64::MAX
            }),
            Some(Position { major: 2, minor: 0 })
        );
        assert_eq!(
            next(Position {
                major: u64::MAX,
                minor: u64::MAX
            }),
            None
        );
    }

    #[tokio::test]
    async fn a_server_that_is_away_makes_the_log_unavailable_and_not_impossible() {
        let log = RedisLog::connect("redis://127.0.0.1:1/", "assay", 2, Durability::Memory)
            .await
            .unwrap();
        let results = log.append(vec![append(1), append(2)]).await;
        assert_eq!(results.len(), 2);
        assert!(
            results
                .iter()
                .all(|result| matches!(result, Err(Error::Unavailable { store: "redis", .. })))
        );
        assert!(matches!(
            log.read(0, Topic::Events, Position::START, 9).await,
            Err(Error::Unavailable { .. })
        ));
        assert!(matches!(
            log.tail(2, Topic::Events).await,
            Err(Error::Refused { .. })
        ));
        let bad = RedisLog::connect("not a url", "assay", 2, Durability::Memory).await;
        assert!(matches!(bad, Err(Error::Refused { .. })));
    }
}
