//! Reads: a few statements each, whatever the number of units.

use std::collections::{BTreeMap, HashMap};

use assay_core::{
    key::{ExperimentKey, Namespace, Unit, VariantKey},
    record::Event,
    time::{Day, Timestamp},
};
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

use super::{
    super::{
        AssignmentRow, CellKey, Contribution, Due, EventRow, ExposureRow, Progress, Sums, Tally, UnitRef,
        UnitState,
    },
    encode::{Reader, attributes_from_text, corrupt, flags_from, measure_from_text},
    rows::{Column, Rows, Type},
    sums::add,
};
use crate::{
    Error,
    event_log::Position,
    sql::{Database, classify},
};

pub(super) async fn progress(database: &Database, partitions: u32) -> Result<Vec<Progress>, Error> {
    let sql = "select partition, exposures, events, through_us, version from analysis_progress where partition < $1";
    let mut progress = vec![Progress::default(); partitions as usize];
    for row in rows(database, sql, vec![i64::from(partitions).into()]).await? {
        let mut row = Reader::new(&row);
        let partition: usize = row.number()?;
        let found = Progress {
            exposures: row.parsed("a position", |text| text.parse::<Position>())?,
            events: row.parsed("a position", |text| text.parse::<Position>())?,
            through: Timestamp::from_micros(row.get()?),
            version: row.number()?,
        };
        if let Some(slot) = progress.get_mut(partition) {
            *slot = found;
        }
    }
    Ok(progress)
}

/// The given units, by their place among the distinct ones.
pub(super) const GIVEN: &[Column] = &[
    ("given_index", Type::Int),
    ("namespace", Type::Text),
    ("unit_kind", Type::Text),
    ("unit_id", Type::Text),
];

/// The `columns` of the rows of `table`, here called `t`, that belong to the given units.
pub(super) fn select_of_units(columns: &str, table: &str) -> String {
    format!(
        "select given.given_index, {columns} from given cross join {table} t \
         where t.namespace = given.namespace and t.unit_kind = given.unit_kind and t.unit_id = given.unit_id"
    )
}

pub(super) async fn units(database: &Database, units: &[UnitRef]) -> Result<Vec<UnitState>, Error> {
    let mut places: HashMap<&UnitRef, usize> = HashMap::with_capacity(units.len());
    let mut given = Rows::new(GIVEN, units.len());
    for unit in units {
        let next = places.len();
        places.entry(unit).or_insert_with(|| {
            let (kind, id) = (unit.unit.kind().as_str(), unit.unit.id());
            given.push([
                (next as i64).into(),
                unit.namespace.as_str().into(),
                kind.into(),
                id.into(),
            ]);
            next
        });
    }
    let mut states = vec![UnitState::default(); places.len()];
    let find = |columns, table| {
        let select = select_of_units(columns, table);
        let given = &given;
        async move { given.query(database.reader(), &select).await.map_err(classify) }
    };
    let (exposures, events, contributions, dues) = tokio::try_join!(
        find(
            "t.experiment, t.variant, t.cohort, t.time_us",
            "analysis_exposures"
        ),
        find(
            "t.namespace, t.unit_kind, t.unit_id, t.event_id, t.name, t.time_us, t.received_us, t.value_micros, t.properties, \
             t.flags, t.hash",
            "analysis_events"
        ),
        find(
            "t.namespace, t.experiment, t.measure, t.cohort, t.variant, t.day, t.value",
            "analysis_contributions"
        ),
        find("t.at_us", "analysis_dues"),
    )?;
    for (place, mut row) in placed(&exposures) {
        at(&mut states, place?)?.exposures.push(exposure(&mut row)?);
    }
    for (place, mut row) in placed(&events) {
        at(&mut states, place?)?.events.push(event(&mut row)?);
    }
    for (place, mut row) in placed(&contributions) {
        at(&mut states, place?)?
            .contributions
            .push(contribution(&mut row)?);
    }
    for (place, mut row) in placed(&dues) {
        at(&mut states, place?)?
            .dues
            .push(Timestamp::from_micros(row.get()?));
    }
    states.iter_mut().for_each(sort);
    match places.len() == units.len() {
        true => Ok(states),
        false => Ok(units.iter().map(|unit| states[places[unit]].clone()).collect()),
    }
}

/// Rows that begin with the place of their unit, and the rest of each.
fn placed(rows: &[QueryResult]) -> impl Iterator<Item = (Result<usize, Error>, Reader<'_>)> {
    rows.iter().map(|row| {
        let mut row = Reader::new(row);
        (row.number(), row)
    })
}

fn at(states: &mut [UnitState], place: usize) -> Result<&mut UnitState, Error> {
    states
        .get_mut(place)
        .ok_or_else(|| corrupt("a unit", "an answer that was not asked for".to_owned()))
}

/// Databases answer in any order; callers need one that depends on the content alone.
fn sort(state: &mut UnitState) {
    state
        .exposures
        .sort_by(|a, b| (&a.experiment, &a.variant, a.cohort).cmp(&(&b.experiment, &b.variant, b.cohort)));
    state
        .events
        .sort_by(|a, b| a.event.event_id.cmp(&b.event.event_id));
    state
        .contributions
        .sort_by(|a, b| (&a.cell.experiment, &a.cell.measure).cmp(&(&b.cell.experiment, &b.cell.measure)));
    state.dues.sort();
}

fn exposure(row: &mut Reader<'_>) -> Result<ExposureRow, Error> {
    Ok(ExposureRow {
        experiment: row.parsed("an experiment", ExperimentKey::new)?,
        variant: row.parsed("a variant", VariantKey::new)?,
        cohort: row.number()?,
        time: Timestamp::from_micros(row.get()?),
    })
}

fn event(row: &mut Reader<'_>) -> Result<EventRow, Error> {
    let (namespace, unit) = (row.namespace()?, row.unit()?);
    let (event_id, name) = (row.get()?, row.get()?);
    let (time, received_at) = (
        Timestamp::from_micros(row.get()?),
        Timestamp::from_micros(row.get()?),
    );
    let value_micros = row.get()?;
    let properties = row.parsed("properties", attributes_from_text)?;
    let (clamped, late, imported) = flags_from(row.get()?);
    let event = Event {
        namespace,
        unit,
        event_id,
        name,
        time,
        received_at,
        value_micros,
        properties,
        clamped,
        late,
        imported,
    };
    let hash: Vec<u8> = row.get()?;
    let hash = hash
        .try_into()
        .map_err(|_| corrupt("a hash", "it has not 32 bytes".to_owned()))?;
    Ok(EventRow { event, hash })
}

fn contribution(row: &mut Reader<'_>) -> Result<Contribution, Error> {
    let namespace = row.namespace()?;
    let experiment = row.parsed("an experiment", ExperimentKey::new)?;
    let measure = row.parsed("a measure", measure_from_text)?;
    let cohort = row.number()?;
    let variant = row.parsed("a variant", VariantKey::new)?;
    let day = Day(row.number()?);
    Ok(Contribution {
        cell: CellKey {
            namespace,
            experiment,
            cohort,
            variant,
            measure,
            day,
        },
        value: row.get()?,
    })
}

pub(super) async fn due(
    database: &Database,
    partition: u32,
    through: Timestamp,
    limit: u64,
) -> Result<Vec<Due>, Error> {
    let sql = "select at_us, namespace, unit_kind, unit_id from analysis_dues where partition = $1 and at_us <= $2 \
               order by at_us, namespace, unit_kind, unit_id limit $3";
    let values = vec![
        i64::from(partition).into(),
        through.micros().into(),
        at_most(limit),
    ];
    let due = |row: QueryResult| {
        let mut row = Reader::new(&row);
        Ok(Due {
            at: Timestamp::from_micros(row.get()?),
            unit: UnitRef {
                namespace: row.namespace()?,
                unit: row.unit()?,
            },
        })
    };
    rows(database, sql, values).await?.into_iter().map(due).collect()
}

pub(super) async fn cells(
    database: &Database,
    namespace: &Namespace,
    experiment: &ExperimentKey,
) -> Result<Vec<(CellKey, Sums)>, Error> {
    let sql = "select measure, cohort, variant, day, n, nonzero, sum, sum_squares from analysis_cells \
               where namespace = $1 and experiment = $2";
    let mut cells = BTreeMap::new();
    for row in rows(
        database,
        sql,
        vec![namespace.as_str().into(), experiment.as_str().into()],
    )
    .await?
    {
        let mut row = Reader::new(&row);
        let measure = row.parsed("a measure", measure_from_text)?;
        let cohort = row.number()?;
        let variant = row.parsed("a variant", VariantKey::new)?;
        let day = Day(row.number()?);
        let key = CellKey {
            namespace: namespace.clone(),
            experiment: experiment.clone(),
            cohort,
            variant,
            measure,
            day,
        };
        let found = Sums {
            n: row.get()?,
            nonzero: row.get()?,
            sum: row.wide()?,
            sum_squares: row.wide()?,
        };
        let sums: &mut Sums = cells.entry(key).or_default();
        *sums = add(*sums, found)?;
    }
    // A cell that all units have left is as if it had never been: what is read depends on what counts alone.
    Ok(cells
        .into_iter()
        .filter(|(_, sums)| *sums != Sums::default())
        .collect())
}

pub(super) async fn tally(database: &Database, namespace: &Namespace) -> Result<Tally, Error> {
    let sql = "select duplicates, conflicts, late, invalid, before_counting, older_generation \
               from analysis_tallies where namespace = $1";
    let mut tally = Tally::default();
    for row in rows(database, sql, vec![namespace.as_str().into()]).await? {
        let mut row = Reader::new(&row);
        tally.duplicates += row.number::<u64>()?;
        tally.conflicts += row.number::<u64>()?;
        tally.late += row.number::<u64>()?;
        tally.invalid += row.number::<u64>()?;
        tally.before_counting += row.number::<u64>()?;
        tally.older_generation += row.number::<u64>()?;
    }
    Ok(tally)
}

pub(super) async fn assignments(
    database: &Database,
    namespace: &Namespace,
    experiment: &ExperimentKey,
    unit: Option<&Unit>,
    after: Option<&Unit>,
    limit: u64,
) -> Result<Vec<AssignmentRow>, Error> {
    let mut values: Vec<Value> = vec![
        namespace.as_str().into(),
        experiment.as_str().into(),
        at_most(limit),
    ];
    let mut conditions = String::new();
    for (comparison, unit) in [("=", unit), (">", after)] {
        if let Some(unit) = unit {
            values.extend([unit.kind().as_str().into(), unit.id().into()]);
            conditions += &format!(
                " and (unit_kind, unit_id) {comparison} (${}, ${})",
                values.len() - 1,
                values.len()
            );
        }
    }
    let sql = format!(
        "with page as (select distinct unit_kind, unit_id from analysis_exposures where namespace = $1 and experiment = $2\
         {conditions} order by unit_kind, unit_id limit $3) \
         select t.unit_kind, t.unit_id, t.experiment, t.variant, t.cohort, t.time_us from page cross join analysis_exposures t \
         where t.namespace = $1 and t.unit_kind = page.unit_kind and t.unit_id = page.unit_id and t.experiment = $2 \
         order by t.unit_kind, t.unit_id, t.time_us, t.variant, t.cohort"
    );
    let mut found: Vec<AssignmentRow> = Vec::new();
    for row in rows(database, &sql, values).await? {
        let mut row = Reader::new(&row);
        let (unit, exposure) = (row.unit()?, exposure(&mut row)?);
        match found.last_mut() {
            Some(last) if last.unit == unit => last.exposures.push(exposure),
            _ => found.push(AssignmentRow {
                unit,
                exposures: vec![exposure],
            }),
        }
    }
    Ok(found)
}

async fn rows(database: &Database, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>, Error> {
    let statement = Statement::from_sql_and_values(database.backend(), sql, values);
    database.reader().query_all_raw(statement).await.map_err(classify)
}

fn at_most(limit: u64) -> Value {
    i64::try_from(limit).unwrap_or(i64::MAX).into()
}
