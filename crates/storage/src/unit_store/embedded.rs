//! Remembered assignments in SQLite: for one process, without a server.

use assay_core::{key::VariantKey, memory::Remembered};
use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::{Place, UnitStore};
use crate::{
    Error,
    sql::{Database, classify, within},
};

const STORE: &str = "sqlite";

/// A [`UnitStore`] in a SQLite database.
#[derive(Debug)]
pub struct EmbeddedUnitStore {
    database: Database,
}

impl EmbeddedUnitStore {
    /// The store at `url`, such as `sqlite://units.db` or `sqlite::memory:`; makes it if there is none. Give it a file of its own: SQLite
    /// has one writer a file.
    ///
    /// # Errors
    /// What [`Database::connect`] and [`Database::migrate`] say; [`Error::Refused`] when `url` is no SQLite database.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let database = Database::connect(url, 4).await?;
        if database.backend() != DbBackend::Sqlite {
            return Err(Error::Refused {
                store: STORE,
                source: "the embedded unit store needs a SQLite database".into(),
            });
        }
        database.migrate().await?;
        Ok(Self { database })
    }
}

const GET: &str = "select variant, cohort from unit_assignments \
                   where namespace = ? and unit_kind = ? and unit_id = ? and experiment = ?";
const PUT: &str = "insert into unit_assignments (namespace, unit_kind, unit_id, experiment, variant, cohort) \
                   values (?, ?, ?, ?, ?, ?) on conflict do nothing";

fn key(place: &Place) -> Vec<Value> {
    vec![
        place.namespace.as_str().into(),
        place.unit.kind().as_str().into(),
        place.unit.id().into(),
        place.experiment.as_str().into(),
    ]
}

async fn find(connection: &impl ConnectionTrait, place: &Place) -> Result<Option<Remembered>, Error> {
    let select = Statement::from_sql_and_values(DbBackend::Sqlite, GET, key(place));
    let Some(row) = connection.query_one_raw(select).await.map_err(classify)? else {
        return Ok(None);
    };
    let variant: String = row.try_get_by_index(0).map_err(classify)?;
    let cohort: i64 = row.try_get_by_index(1).map_err(classify)?;
    let variant = VariantKey::new(variant).map_err(|error| corrupt(place, error.to_string()))?;
    let cohort = u32::try_from(cohort).map_err(|error| corrupt(place, error.to_string()))?;
    Ok(Some(Remembered { variant, cohort }))
}

fn corrupt(place: &Place, detail: String) -> Error {
    Error::Corrupt {
        store: STORE,
        what: format!("an assignment of experiment {}", place.experiment),
        detail,
    }
}

#[async_trait]
impl UnitStore for EmbeddedUnitStore {
    async fn get(&self, places: &[Place]) -> Result<Vec<Option<Remembered>>, Error> {
        within(async {
            let mut found = Vec::with_capacity(places.len());
            for place in places {
                found.push(find(self.database.reader(), place).await?);
            }
            Ok(found)
        })
        .await
    }

    async fn put_if_absent(&self, firsts: &[(Place, Remembered)]) -> Result<Vec<Remembered>, Error> {
        within(async {
            let transaction = self.database.begin().await?;
            let mut kept = Vec::with_capacity(firsts.len());
            for (place, first) in firsts {
                let mut values = key(place);
                values.push(first.variant.as_str().into());
                values.push(i64::from(first.cohort).into());
                let insert = Statement::from_sql_and_values(DbBackend::Sqlite, PUT, values);
                transaction.execute_raw(insert).await.map_err(classify)?;
                kept.push(find(&*transaction, place).await?.unwrap_or_else(|| first.clone()));
            }
            transaction.commit().await?;
            Ok(kept)
        })
        .await
    }
}
