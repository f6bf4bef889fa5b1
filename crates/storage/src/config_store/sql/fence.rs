//! Fences and the starts that wait for them.

use std::time::Duration;

use assay_core::{experiment::AssignmentSource, key::Namespace, lifecycle::State, time::Timestamp};
use assay_failpoint::{Point, reach};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};

use super::row::{count, namespace_of, number};
use crate::{
    Error,
    config_store::{
        Counting, Fence, Publishing, Resource, Start,
        tables::{experiment_starts, fences},
    },
    sql::{Database, Transaction, classify},
};

/// Most open fences that are read at once; the rest comes when these are closed.
const MAX_OPEN: u64 = 1_000;

/// Opens the fence of a generation, unless it was opened before.
pub(super) async fn open(database: &Database, publishing: &Publishing) -> Result<(), Error> {
    let transaction = database.begin().await?;
    let sql = "insert into fences (namespace, generation, published_us, expected, replicas, slowest_us, unconfirmed) \
               values ($1, $2, $3, $4, 0, 0, '[]') on conflict (namespace, generation) do nothing";
    let values = [
        publishing.namespace.as_str().into(),
        number(publishing.generation).into(),
        publishing.published_at.micros().into(),
        ids_to(&publishing.expected).into(),
    ];
    execute(&transaction, sql, values).await?;
    transaction.commit().await
}

/// The fences that are not known yet, in order of namespace and generation.
pub(super) async fn opened(database: &Database) -> Result<Vec<Publishing>, Error> {
    let rows = fences::Entity::find()
        .filter(fences::Column::AtUs.is_null())
        .order_by_asc(fences::Column::Namespace)
        .order_by_asc(fences::Column::Generation)
        .limit(MAX_OPEN)
        .all(database.reader())
        .await
        .map_err(classify)?;
    rows.into_iter()
        .map(|row| publishing(row).map(|(publishing, _)| publishing))
        .collect()
}

/// Makes `fence` known if none is yet, and with it the beginning of all that started up to that generation.
pub(super) async fn close(
    database: &Database,
    namespace: &Namespace,
    generation: u64,
    fence: &Fence,
) -> Result<(), Error> {
    let transaction = database.begin().await?;
    let sql = "update fences set at_us = $3, replicas = $4, slowest_us = $5, unconfirmed = $6 \
               where namespace = $1 and generation = $2 and at_us is null";
    let slowest = i64::try_from(fence.slowest.as_micros()).unwrap_or(i64::MAX);
    let values = [
        namespace.as_str().into(),
        number(generation).into(),
        fence.at.micros().into(),
        i64::from(fence.replicas).into(),
        slowest.into(),
        ids_to(&fence.unconfirmed).into(),
    ];
    if execute(&transaction, sql, values).await? > 0 {
        let sql = "update experiment_starts set counting_us = $3, unconfirmed = $4 \
                   where namespace = $1 and generation <= $2 and counting_us is null";
        let values = [
            namespace.as_str().into(),
            number(generation).into(),
            fence.at.micros().into(),
            ids_to(&fence.unconfirmed).into(),
        ];
        execute(&transaction, sql, values).await?;
    }
    reach(Point::ConfigWithinFence);
    transaction.commit().await
}

/// The first generation from `generation` on that went to the bus, and its fence once it is known.
pub(super) async fn of(
    database: &Database,
    namespace: &Namespace,
    generation: u64,
) -> Result<Option<(Publishing, Option<Fence>)>, Error> {
    let row = fences::Entity::find()
        .filter(fences::Column::Namespace.eq(namespace.as_str()))
        .filter(fences::Column::Generation.gte(number(generation)))
        .order_by_asc(fences::Column::Generation)
        .one(database.reader())
        .await
        .map_err(classify)?;
    row.map(publishing).transpose()
}

/// Remembers that the experiment has begun, if it has: once, with the generation that began it.
pub(super) async fn begun(transaction: &Transaction, resource: &Resource) -> Result<(), Error> {
    let Resource::Experiment(experiment) = resource else {
        return Ok(());
    };
    if experiment.state != State::Running || experiment.source != AssignmentSource::Assay {
        return Ok(());
    }
    let sql = "insert into experiment_starts (namespace, experiment, generation, unconfirmed) \
               values ($1, $2, $3, '[]') on conflict (namespace, experiment) do nothing";
    let values = [
        experiment.namespace.as_str().into(),
        experiment.key.as_str().into(),
        number(experiment.meta.generation).into(),
    ];
    execute(transaction, sql, values).await.map(drop)
}

/// The starts of those of `keys` that have one.
pub(super) async fn starts(
    database: &Database,
    namespace: &Namespace,
    keys: &[String],
) -> Result<Vec<Start>, Error> {
    let rows = experiment_starts::Entity::find()
        .filter(experiment_starts::Column::Namespace.eq(namespace.as_str()))
        .filter(experiment_starts::Column::Experiment.is_in(keys))
        .filter(experiment_starts::Column::Generation.is_not_null())
        .all(database.reader())
        .await
        .map_err(classify)?;
    let start = |row: experiment_starts::Model| {
        let unconfirmed = ids_from(&row.unconfirmed)?;
        let counting = |micros| Counting {
            from: Timestamp::from_micros(micros),
            unconfirmed,
        };
        Ok(Start {
            experiment: row.experiment,
            generation: row.generation.map_or(0, count),
            counting: row.counting_us.map(counting),
        })
    };
    rows.into_iter().map(start).collect()
}

async fn execute<const N: usize>(
    transaction: &Transaction,
    sql: &str,
    values: [Value; N],
) -> Result<u64, Error> {
    let statement = Statement::from_sql_and_values(transaction.get_database_backend(), sql, values);
    let done = transaction.execute_raw(statement).await.map_err(classify)?;
    Ok(done.rows_affected())
}

fn publishing(row: fences::Model) -> Result<(Publishing, Option<Fence>), Error> {
    let publishing = Publishing {
        namespace: namespace_of(row.namespace)?,
        generation: count(row.generation),
        published_at: Timestamp::from_micros(row.published_us),
        expected: ids_from(&row.expected)?,
    };
    let unconfirmed = ids_from(&row.unconfirmed)?;
    let fence = |micros| Fence {
        at: Timestamp::from_micros(micros),
        replicas: u32::try_from(row.replicas).unwrap_or(0),
        slowest: Duration::from_micros(count(row.slowest_us)),
        unconfirmed,
    };
    Ok((publishing, row.at_us.map(fence)))
}

/// Ids as a JSON list. They are texts, which always have a JSON form.
fn ids_to(ids: &[String]) -> String {
    serde_json::Value::from(ids).to_string()
}

fn ids_from(text: &str) -> Result<Vec<String>, Error> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt {
        store: "database",
        what: "a list of replicas".to_owned(),
        detail: error.to_string(),
    })
}
