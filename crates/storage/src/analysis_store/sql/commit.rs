//! A batch's whole effect in one transaction.

use std::collections::BTreeMap;

use assay_core::key::Namespace;
use sea_orm::{ConnectionTrait, Statement};

use super::{
    super::{Commit, Contribution, EventRow, ExposureRow, Measure, Tally, UnitChange, UnitRef},
    callers,
    encode::{Reader, attributes_to_text, corrupt, flags_of, measure_to_text},
    rows::{Cell, Column, Rows, Table},
    sums,
    tables::{CONTRIBUTIONS, DUES, EVENTS, EXPOSURES, TALLIES},
};
use crate::{
    Error,
    sql::{Database, Transaction, classify},
};

pub(super) async fn commit(database: &Database, commit: &Commit) -> Result<(), Error> {
    let partition = i64::from(commit.partition);
    let transaction = database.begin().await?;
    advance(&transaction, commit).await?;
    write_exposures(&transaction, &commit.units).await?;
    write_events(&transaction, &commit.units).await?;
    write_contributions(&transaction, &commit.units).await?;
    write_dues(&transaction, partition, &commit.units).await?;
    sums::write(&transaction, partition, &commit.units).await?;
    write_tallies(&transaction, partition, &commit.tallies).await?;
    callers::write(&transaction, &commit.callers).await?;
    transaction.commit().await
}

/// Moves the progress from `from` to `to`, and so locks out every other writer of this partition.
async fn advance(transaction: &Transaction, commit: &Commit) -> Result<(), Error> {
    let (expected, next) = (signed(commit.from.version)?, signed(commit.from.version + 1)?);
    let values = vec![
        i64::from(commit.partition).into(),
        commit.to.exposures.to_string().into(),
        commit.to.events.to_string().into(),
        commit.to.through.micros().into(),
        next.into(),
    ];
    let mut statement = Statement::from_sql_and_values(
        transaction.get_database_backend(),
        "insert into analysis_progress (partition, exposures, events, through_us, version) values ($1, $2, $3, $4, $5) \
         on conflict (partition) do nothing",
        values,
    );
    if expected > 0 {
        statement.sql =
            "update analysis_progress set exposures = $2, events = $3, through_us = $4, version = $5 \
                         where partition = $1 and version = $5 - 1"
                .into();
    }
    match transaction
        .execute_raw(statement)
        .await
        .map_err(classify)?
        .rows_affected()
    {
        0 => Err(stale(transaction, commit).await?),
        _ => Ok(()),
    }
}

async fn stale(transaction: &Transaction, commit: &Commit) -> Result<Error, Error> {
    let statement = Statement::from_sql_and_values(
        transaction.get_database_backend(),
        "select version from analysis_progress where partition = $1",
        [i64::from(commit.partition).into()],
    );
    let row = transaction.query_one_raw(statement).await.map_err(classify)?;
    let found = row.map_or(Ok(0), |row| Reader::new(&row).number())?;
    Ok(Error::Stale {
        what: format!("partition {}", commit.partition),
        expected: commit.from.version,
        found,
    })
}

async fn write_exposures(transaction: &Transaction, units: &[UnitChange]) -> Result<(), Error> {
    let mut last = BTreeMap::new();
    for change in units {
        for row in &change.exposures {
            last.insert((&change.unit, &row.experiment, &row.variant, row.cohort), row);
        }
    }
    let mut rows = Rows::new(EXPOSURES.columns, last.len());
    for ((unit, ..), row) in last {
        rows.push(exposure_cells(unit, row));
    }
    rows.upsert(&**transaction, &EXPOSURES).await.map_err(classify)
}

fn exposure_cells<'a>(unit: &'a UnitRef, row: &'a ExposureRow) -> [Cell<'a>; 7] {
    let [namespace, kind, id] = unit_cells(unit);
    let (experiment, variant) = (row.experiment.as_str().into(), row.variant.as_str().into());
    [
        namespace,
        kind,
        id,
        experiment,
        variant,
        i64::from(row.cohort).into(),
        row.time.micros().into(),
    ]
}

async fn write_events(transaction: &Transaction, units: &[UnitChange]) -> Result<(), Error> {
    let mut last = BTreeMap::new();
    for change in units {
        for row in &change.events {
            last.insert((&change.unit, &row.event.event_id), row);
        }
    }
    let mut rows = Rows::new(EVENTS.columns, last.len());
    for ((unit, _), row) in last {
        rows.push(event_cells(unit, row));
    }
    rows.upsert(&**transaction, &EVENTS).await.map_err(classify)
}

fn event_cells<'a>(unit: &'a UnitRef, EventRow { event, hash }: &'a EventRow) -> [Cell<'a>; 11] {
    let [namespace, kind, id] = unit_cells(unit);
    [
        namespace,
        kind,
        id,
        event.event_id.as_str().into(),
        event.name.as_str().into(),
        event.time.micros().into(),
        event.received_at.micros().into(),
        event.value_micros.map_or(Cell::Null, Cell::Int),
        attributes_to_text(&event.properties).into(),
        flags_of(event).into(),
        Cell::Bytes(hash),
    ]
}

async fn write_contributions(transaction: &Transaction, units: &[UnitChange]) -> Result<(), Error> {
    let mut last: BTreeMap<_, Option<&Contribution>> = BTreeMap::new();
    for change in units {
        let ended = change.retracted.iter().map(|contribution| (contribution, None));
        let begun = change
            .added
            .iter()
            .map(|contribution| (contribution, Some(contribution)));
        for (contribution, state) in ended.chain(begun) {
            last.insert(
                (
                    &change.unit,
                    &contribution.cell.experiment,
                    &contribution.cell.measure,
                ),
                state,
            );
        }
    }
    let mut written = Rows::new(CONTRIBUTIONS.columns, last.len());
    let mut ended = Rows::new(key_of(&CONTRIBUTIONS), 0);
    for ((unit, experiment, measure), state) in last {
        let [namespace, kind, id] = unit_cells(unit);
        let key = [
            namespace,
            kind,
            id,
            experiment.as_str().into(),
            measure_cell(measure),
        ];
        match state {
            None => ended.push(key),
            Some(Contribution { cell, value }) => {
                let [namespace, kind, id, experiment, measure] = key;
                let (cohort, day) = (i64::from(cell.cohort).into(), i64::from(cell.day.0).into());
                let variant = cell.variant.as_str().into();
                written.push([
                    namespace,
                    kind,
                    id,
                    experiment,
                    measure,
                    cohort,
                    variant,
                    day,
                    (*value).into(),
                ]);
            }
        }
    }
    written
        .upsert(&**transaction, &CONTRIBUTIONS)
        .await
        .map_err(classify)?;
    ended
        .delete(&**transaction, &CONTRIBUTIONS)
        .await
        .map_err(classify)
}

async fn write_dues(transaction: &Transaction, partition: i64, units: &[UnitChange]) -> Result<(), Error> {
    let mut last = BTreeMap::new();
    for change in units {
        let ended = change.dues_removed.iter().map(|at| (at, false));
        let begun = change.dues_added.iter().map(|at| (at, true));
        for (at, waits) in ended.chain(begun) {
            last.insert((&change.unit, at.micros()), waits);
        }
    }
    let mut written = Rows::new(DUES.columns, last.len());
    let mut ended = Rows::new(key_of(&DUES), 0);
    for ((unit, at), waits) in last {
        let [namespace, kind, id] = unit_cells(unit);
        match waits {
            true => written.push([namespace, kind, id, at.into(), partition.into()]),
            false => ended.push([namespace, kind, id, at.into()]),
        }
    }
    written
        .insert(&**transaction, &DUES, "do nothing")
        .await
        .map_err(classify)?;
    ended.delete(&**transaction, &DUES).await.map_err(classify)
}

async fn write_tallies(
    transaction: &Transaction,
    partition: i64,
    tallies: &[(Namespace, Tally)],
) -> Result<(), Error> {
    let mut sums: BTreeMap<&Namespace, [u64; 6]> = BTreeMap::new();
    for (namespace, tally) in tallies {
        let counts = [
            tally.duplicates,
            tally.conflicts,
            tally.late,
            tally.invalid,
            tally.before_counting,
            tally.older_generation,
        ];
        let sum = sums.entry(namespace).or_default();
        *sum = std::array::from_fn(|index| sum[index].saturating_add(counts[index]));
    }
    let mut rows = Rows::new(TALLIES.columns, sums.len());
    for (namespace, counts) in sums {
        let [duplicates, conflicts, late, invalid, before, older] = counts.map(signed);
        rows.push([
            namespace.as_str().into(),
            partition.into(),
            duplicates?.into(),
            conflicts?.into(),
            late?.into(),
            invalid?.into(),
            before?.into(),
            older?.into(),
        ]);
    }
    let set = [
        "duplicates",
        "conflicts",
        "late",
        "invalid",
        "before_counting",
        "older_generation",
    ]
    .map(|name| format!("{name} = analysis_tallies.{name} + excluded.{name}"));
    rows.insert(
        &**transaction,
        &TALLIES,
        &format!("do update set {}", set.join(", ")),
    )
    .await
    .map_err(classify)
}

fn key_of(table: &'static Table) -> &'static [Column] {
    &table.columns[..table.key]
}

fn unit_cells(unit: &UnitRef) -> [Cell<'_>; 3] {
    [
        unit.namespace.as_str().into(),
        unit.unit.kind().as_str().into(),
        unit.unit.id().into(),
    ]
}

pub(super) fn measure_cell(measure: &Measure) -> Cell<'_> {
    measure_to_text(measure).into()
}

/// Databases have no unsigned numbers.
fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| corrupt("a count", format!("{number} exceeds 63 bits")))
}
