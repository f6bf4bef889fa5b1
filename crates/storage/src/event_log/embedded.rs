//! The log in SQLite: for one process, without a server.
//!
//! Appends of concurrent callers share transactions. The file is in WAL mode with `synchronous = NORMAL`: an acknowledged entry survives
//! the death of the process; after a power cut the last entries may be missing, as with Redis and its default `appendfsync everysec`.
//! `FULL` would cost one flush of the disk a transaction, and protect what a single disk then still loses.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};
use tokio::sync::oneshot;

use super::{Append, Entry, EventLog, Position, Topic};
use crate::{
    Error,
    sql::{Database, Transaction, classify, within},
};

const STORE: &str = "sqlite";
/// Rows of one statement: few texts, so that they stay prepared.
const MAX_ROWS: usize = 128;

/// An [`EventLog`] in a SQLite database. A position is (0, id).
#[derive(Debug)]
pub struct EmbeddedLog {
    database: Database,
    partitions: u32,
    waiting: Mutex<Vec<Pending>>,
    /// Held by the caller who writes for all that wait.
    turn: tokio::sync::Mutex<()>,
}

type Results = Vec<Result<Position, Error>>;

#[derive(Debug)]
struct Pending {
    entries: Vec<Append>,
    done: oneshot::Sender<Results>,
}

impl EmbeddedLog {
    /// Opens the log at `url`, such as `sqlite://log.db` or `sqlite::memory:`; makes it, with `partitions` partitions, if there is none.
    ///
    /// Give it a file of its own: SQLite has one writer a file, and readers of the log write as much as its callers do.
    ///
    /// # Errors
    /// [`Error::Refused`] when the log there has another number of partitions or `url` is no SQLite database, and what
    /// [`Database::connect`] and [`Database::migrate`] say.
    pub async fn connect(url: &str, partitions: u32) -> Result<Self, Error> {
        let database = Database::connect(url, 4).await?;
        database.migrate().await?;
        Self::open(database, partitions).await
    }

    /// The log in `database`, which has been migrated.
    ///
    /// # Errors
    /// As [`EmbeddedLog::connect`].
    pub async fn open(database: Database, partitions: u32) -> Result<Self, Error> {
        if database.backend() != DbBackend::Sqlite {
            return Err(refused("the embedded log needs a SQLite database".to_owned()));
        }
        let transaction = database.begin().await?;
        let settle = statement(
            "insert into log_settings (name, value) values ('partitions', ?) on conflict (name) do update set value = value returning value",
            vec![i64::from(partitions).into()],
        );
        let found: i64 = one(transaction.query_one_raw(settle).await)?.ok_or_else(no_answer)?;
        transaction.commit().await?;
        if found != i64::from(partitions) {
            return Err(refused(format!(
                "the log was made with {found} partitions, and {partitions} are set; this number cannot be changed"
            )));
        }
        Ok(Self {
            database,
            partitions,
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    fn check(&self, partition: u32) -> Result<Value, Error> {
        match partition < self.partitions {
            true => Ok(i64::from(partition).into()),
            false => Err(refused(format!(
                "there is no partition {partition}: the log has {}",
                self.partitions
            ))),
        }
    }

    /// Writes what all of `batch` wait for in one transaction, and tells them.
    async fn write(&self, batch: Vec<Pending>) {
        let outcome = within(self.write_all(&batch)).await;
        let mut positions = outcome.as_ref().map(|positions| positions.iter());
        for Pending { entries, done } in batch {
            let results = match &mut positions {
                Ok(positions) => positions
                    .take(entries.len())
                    .map(|position| Ok(*position))
                    .collect(),
                Err(error) => entries.iter().map(|_| Err(same(error))).collect(),
            };
            // A caller that has gone away does not want to know.
            let _ = done.send(results);
        }
    }

    async fn write_all(&self, batch: &[Pending]) -> Result<Vec<Position>, Error> {
        let entries: Vec<&Append> = batch.iter().flat_map(|pending| &pending.entries).collect();
        let mut last: BTreeMap<(u32, Topic), u64> = BTreeMap::new();
        for entry in &entries {
            *last.entry((entry.partition, entry.topic)).or_default() += 1;
        }
        let transaction = self.database.begin().await?;
        for (&(partition, topic), count) in &mut last {
            let end = reserve(&transaction, self.check(partition)?, topic, *count).await?;
            *count = end - *count;
        }
        let mut positions = Vec::with_capacity(entries.len());
        let mut rows: Vec<Value> = Vec::with_capacity(entries.len() * 4);
        for entry in &entries {
            let id = last.entry((entry.partition, entry.topic)).or_default();
            *id += 1;
            positions.push(Position { major: 0, minor: *id });
            rows.extend([
                i64::from(entry.partition).into(),
                entry.topic.name().into(),
                stored(*id),
                Value::Bytes(Some(entry.payload.to_vec())),
            ]);
        }
        for rows in rows.chunks(MAX_ROWS * 4) {
            let places = vec!["(?,?,?,?)"; rows.len() / 4].join(",");
            let insert = format!("insert into log (partition, topic, id, payload) values {places}");
            transaction
                .execute_raw(statement(&insert, rows.to_vec()))
                .await
                .map_err(classify)?;
        }
        transaction.commit().await?;
        Ok(positions)
    }
}

#[async_trait]
impl EventLog for EmbeddedLog {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    async fn append(&self, entries: Vec<Append>) -> Vec<Result<Position, Error>> {
        // One caller's mistake must not fail the transaction that others share.
        if let Some(Err(error)) = entries
            .iter()
            .map(|entry| self.check(entry.partition))
            .find(Result::is_err)
        {
            return entries.iter().map(|_| Err(same(&error))).collect();
        }
        let count = entries.len();
        let (done, result) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Pending { entries, done });
        let turn = self.turn.lock().await;
        let batch = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if !batch.is_empty() {
            self.write(batch).await;
        }
        drop(turn);
        // The one who wrote for us may have been canceled in the middle.
        result.await.unwrap_or_else(|_| {
            (0..count)
                .map(|_| Err(unavailable("the append was interrupted")))
                .collect()
        })
    }

    async fn read(
        &self,
        partition: u32,
        topic: Topic,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let Some(after) = id_at(after) else {
            return Ok(Vec::new());
        };
        let select = statement(
            "select id, payload from log where partition = ? and topic = ? and id > ? order by id limit ?",
            vec![
                self.check(partition)?,
                topic.name().into(),
                after.into(),
                stored(limit.max(1) as u64),
            ],
        );
        let rows = within(async {
            self.database
                .reader()
                .query_all_raw(select)
                .await
                .map_err(classify)
        })
        .await?;
        rows.iter().map(entry).collect()
    }

    async fn tail(&self, partition: u32, topic: Topic) -> Result<Position, Error> {
        let select = statement(
            "select id from log_tails where partition = ? and topic = ?",
            vec![self.check(partition)?, topic.name().into()],
        );
        let id: Option<i64> =
            within(async { one(self.database.reader().query_one_raw(select).await) }).await?;
        Ok(Position {
            major: 0,
            minor: unsigned(id.unwrap_or(0))?,
        })
    }

    async fn trim(&self, partition: u32, topic: Topic, through: Position) -> Result<(), Error> {
        let delete = statement(
            "delete from log where partition = ? and topic = ? and id <= ?",
            vec![
                self.check(partition)?,
                topic.name().into(),
                id_at(through).unwrap_or(i64::MAX).into(),
            ],
        );
        within(async {
            let transaction = self.database.begin().await?;
            transaction.execute_raw(delete).await.map_err(classify)?;
            transaction.commit().await
        })
        .await
    }
}

/// Takes `count` ids of a log; the answer is the last one.
async fn reserve(
    transaction: &Transaction,
    partition: Value,
    topic: Topic,
    count: u64,
) -> Result<u64, Error> {
    let reserve = statement(
        "insert into log_tails (partition, topic, id) values (?, ?, ?) \
         on conflict (partition, topic) do update set id = id + excluded.id returning id",
        vec![partition, topic.name().into(), stored(count)],
    );
    unsigned(one(transaction.query_one_raw(reserve).await)?.ok_or_else(no_answer)?)
}

fn statement(sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

fn one(answer: Result<Option<QueryResult>, sea_orm::DbErr>) -> Result<Option<i64>, Error> {
    answer
        .map_err(classify)?
        .map(|row| row.try_get_by_index(0).map_err(classify))
        .transpose()
}

fn entry(row: &QueryResult) -> Result<Entry, Error> {
    let id = row.try_get_by_index(0).map_err(classify)?;
    let payload: Vec<u8> = row.try_get_by_index(1).map_err(classify)?;
    Ok(Entry {
        position: Position {
            major: 0,
            minor: unsigned(id)?,
        },
        payload: Bytes::from(payload),
    })
}

/// The id at `position`; absent when it lies beyond all ids.
fn id_at(position: Position) -> Option<i64> {
    if position.major > 0 {
        None
    } else {
        i64::try_from(position.minor).ok()
    }
}

fn stored(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

fn unsigned(id: i64) -> Result<u64, Error> {
    u64::try_from(id).map_err(|_| Error::Corrupt {
        store: STORE,
        what: "an id of the log".into(),
        detail: format!("{id} is negative"),
    })
}

fn no_answer() -> Error {
    unavailable("the database did not answer a statement that always has an answer")
}

fn unavailable(reason: &str) -> Error {
    Error::Unavailable {
        store: STORE,
        source: reason.into(),
    }
}

fn refused(reason: String) -> Error {
    Error::Refused {
        store: STORE,
        source: reason.into(),
    }
}

/// `error` once more, for another entry.
fn same(error: &Error) -> Error {
    let source = std::error::Error::source(error)
        .unwrap_or(error)
        .to_string()
        .into();
    match error {
        Error::Unavailable { store, .. } => Error::Unavailable { store, source },
        Error::Full { store, .. } => Error::Full { store, source },
        _ => Error::Refused { store: STORE, source },
    }
}
