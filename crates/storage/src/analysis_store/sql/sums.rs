//! Sums: what a batch adds to them and takes from them, and how they are stored.

use std::collections::BTreeMap;

use super::{
    super::{CellKey, Contribution, Sums, UnitChange},
    commit::measure_cell,
    encode::{Reader, corrupt},
    rows::{Cell, Column, Rows, Type},
    tables::CELLS,
};
use crate::{
    Error,
    sql::{Transaction, classify},
};

/// Adds what `units` change to the sums of `partition`, which nobody else writes while the transaction has its progress.
pub(super) async fn write(
    transaction: &Transaction,
    partition: i64,
    units: &[UnitChange],
) -> Result<(), Error> {
    let mut cells = differences(units)?;
    cells.retain(|_, difference| *difference != Sums::default());
    let mut keys = Rows::new(GIVEN_CELLS, cells.len());
    for (index, key) in (0i64..).zip(cells.keys()) {
        let [namespace, experiment, partition, measure, cohort, variant, day] = cell_cells(key, partition);
        keys.push([
            index.into(),
            namespace,
            experiment,
            partition,
            measure,
            cohort,
            variant,
            day,
        ]);
    }
    let stored = keys.query(&**transaction, SELECT_CELLS).await.map_err(classify)?;
    let mut sums: Vec<Sums> = cells.values().copied().collect();
    for row in &stored {
        let mut row = Reader::new(row);
        let index: usize = row.number()?;
        let found = Sums {
            n: row.get()?,
            nonzero: row.get()?,
            sum: row.wide()?,
            sum_squares: row.wide()?,
        };
        let sum = sums
            .get_mut(index)
            .ok_or_else(|| corrupt("a cell", "an answer that was not asked for".to_owned()))?;
        *sum = add(*sum, found)?;
    }
    let mut rows = Rows::new(CELLS.columns, cells.len());
    for (key, sums) in cells.keys().zip(sums) {
        let [namespace, experiment, partition, measure, cohort, variant, day] = cell_cells(key, partition);
        let (sum, sum_squares) = (sums.sum.to_string().into(), sums.sum_squares.to_string().into());
        let (n, nonzero) = (sums.n.into(), sums.nonzero.into());
        rows.push([
            namespace,
            experiment,
            partition,
            measure,
            cohort,
            variant,
            day,
            n,
            nonzero,
            sum,
            sum_squares,
        ]);
    }
    rows.upsert(&**transaction, &CELLS).await.map_err(classify)
}

pub(super) const GIVEN_CELLS: &[Column] = &[
    ("given_index", Type::Int),
    CELLS.columns[0],
    CELLS.columns[1],
    CELLS.columns[2],
    CELLS.columns[3],
    CELLS.columns[4],
    CELLS.columns[5],
    CELLS.columns[6],
];

pub(super) const SELECT_CELLS: &str = "select given.given_index, c.n, c.nonzero, c.sum, c.sum_squares from given cross join analysis_cells c \
    where c.namespace = given.namespace and c.experiment = given.experiment and c.partition = given.partition \
    and c.measure = given.measure and c.cohort = given.cohort and c.variant = given.variant and c.day = given.day";

/// By how much each sum changes.
fn differences(units: &[UnitChange]) -> Result<BTreeMap<&CellKey, Sums>, Error> {
    let mut cells: BTreeMap<&CellKey, Sums> = BTreeMap::new();
    for change in units {
        let ended = change.retracted.iter().map(|contribution| (contribution, -1));
        let begun = change.added.iter().map(|contribution| (contribution, 1));
        for (Contribution { cell, value }, sign) in ended.chain(begun) {
            let sums = cells.entry(cell).or_default();
            *sums = add(*sums, worth(*value, sign))?;
        }
    }
    Ok(cells)
}

/// What one unit's `value` adds to a cell, or takes from it: `sign` is 1 or -1. A square of 64 bits has at most 127.
fn worth(value: i64, sign: i64) -> Sums {
    let (wide, wide_sign) = (i128::from(value), i128::from(sign));
    Sums {
        n: sign,
        nonzero: if value == 0 { 0 } else { sign },
        sum: wide_sign * wide,
        sum_squares: wide_sign * wide * wide,
    }
}

/// The sums of both.
pub(super) fn add(a: Sums, b: Sums) -> Result<Sums, Error> {
    let sums = || {
        Some(Sums {
            n: a.n.checked_add(b.n)?,
            nonzero: a.nonzero.checked_add(b.nonzero)?,
            sum: a.sum.checked_add(b.sum)?,
            sum_squares: a.sum_squares.checked_add(b.sum_squares)?,
        })
    };
    sums().ok_or_else(|| corrupt("a sum", "it exceeds 128 bits".to_owned()))
}

fn cell_cells(key: &CellKey, partition: i64) -> [Cell<'_>; 7] {
    [
        key.namespace.as_str().into(),
        key.experiment.as_str().into(),
        partition.into(),
        measure_cell(&key.measure),
        i64::from(key.cohort).into(),
        key.variant.as_str().into(),
        i64::from(key.day.0).into(),
    ]
}
