//! Who has asked for what.

use std::{collections::BTreeMap, time::Duration};

use assay_core::{
    key::{FlagKey, Namespace},
    record::Sighting,
    time::Timestamp,
};
use sea_orm::{ConnectionTrait, Statement, Value};

use super::{encode::Reader, rows::Rows, tables::CALLERS};
use crate::{
    Error,
    sql::{Database, Transaction, classify},
};

/// How long a caller is remembered.
const MEMORY: Duration = Duration::from_secs(30 * 86_400);

/// Keeps the latest time of each, and forgets those that were not seen for long.
pub(super) async fn write(transaction: &Transaction, callers: &[Sighting]) -> Result<(), Error> {
    let mut latest = BTreeMap::new();
    for seen in callers {
        let key = (&seen.namespace, &seen.key, &seen.caller);
        let at = latest.entry(key).or_insert(seen.seen_at);
        *at = seen.seen_at.max(*at);
    }
    let Some(now) = latest.values().max().copied() else {
        return Ok(());
    };
    let mut rows = Rows::new(CALLERS.columns, latest.len());
    for ((namespace, key, caller), at) in latest {
        rows.push([
            namespace.as_str().into(),
            key.as_str().into(),
            caller.replace('\0', "\u{fffd}").into(),
            at.micros().into(),
        ]);
    }
    let later = "do update set seen_us = case when excluded.seen_us > analysis_callers.seen_us then excluded.seen_us \
                 else analysis_callers.seen_us end";
    rows.insert(&**transaction, &CALLERS, later)
        .await
        .map_err(classify)?;
    let horizon = now
        .micros()
        .saturating_sub(i64::try_from(MEMORY.as_micros()).unwrap_or(i64::MAX));
    let forget = Statement::from_sql_and_values(
        transaction.get_database_backend(),
        "delete from analysis_callers where seen_us < $1",
        [horizon.into()],
    );
    transaction.execute_raw(forget).await.map_err(classify)?;
    Ok(())
}

pub(super) async fn read(
    database: &Database,
    namespace: &Namespace,
    keys: &[FlagKey],
    since: Timestamp,
    limit: u64,
) -> Result<Vec<Sighting>, Error> {
    let mut values: Vec<Value> = vec![
        namespace.as_str().into(),
        since.micros().into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ];
    let mut names = Vec::with_capacity(keys.len());
    for key in keys {
        values.push(key.as_str().into());
        names.push(format!("${}", values.len()));
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select key, caller, seen_us from analysis_callers where namespace = $1 and seen_us >= $2 and key in ({}) \
         order by seen_us desc, caller, key limit $3",
        names.join(", ")
    );
    let reader = database.reader();
    let statement = Statement::from_sql_and_values(reader.get_database_backend(), sql, values);
    let rows = reader.query_all_raw(statement).await.map_err(classify)?;
    rows.iter()
        .map(|row| {
            let mut row = Reader::new(row);
            Ok(Sighting {
                namespace: namespace.clone(),
                key: row.parsed("a key", FlagKey::new)?,
                caller: row.get()?,
                seen_at: Timestamp::from_micros(row.number()?),
            })
        })
        .collect()
}
