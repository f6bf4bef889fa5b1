//! The truth in SQL: one adapter for Postgres and SQLite.
//!
//! Every change begins by raising its namespace's generation, which locks that row: changes of one namespace happen one after another,
//! so what a change checks stays true until it is committed. The unique indexes are a second guard.

pub(crate) mod audit;
mod changed;
mod commit;
mod fence;
mod history;
mod read;
mod revisions;
pub(crate) mod row;
mod terms;

use std::collections::BTreeMap;

use assay_core::{key::Namespace, segment::Segment, time::Timestamp};
use assay_failpoint::{Point, reach};
use async_trait::async_trait;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Statement,
};

use super::{
    AuditEntry, Change, Changed, Committed, ConfigStore, DueMark, Fence, Filter, Generation, Kind, Page,
    Published, Publishing, Resource, Start, Unpublished,
    tables::{audit_log, namespaces, outbox, resources},
};
use crate::{
    Error,
    sql::{Database, classify, within},
};
use row::{count, namespace_of, number, resource_of};

/// The SQL truth, in Postgres or SQLite.
#[derive(Debug, Clone)]
pub struct SqlConfigStore {
    database: Database,
}

impl SqlConfigStore {
    /// The store in `database`, whose tables [`Database::migrate`] has made.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ConfigStore for SqlConfigStore {
    async fn commit(&self, change: Change) -> Result<Committed, Error> {
        within(async {
            let transaction = self.database.begin().await?;
            let committed = commit::apply(&transaction, &change).await?;
            reach(Point::ConfigBeforeCommit);
            transaction.commit().await?;
            reach(Point::ConfigAfterCommit);
            Ok(committed)
        })
        .await
    }

    async fn get(&self, namespace: &Namespace, kind: Kind, key: &str) -> Result<Option<Resource>, Error> {
        within(async {
            let row = row::find(self.database.reader(), namespace, kind, key).await?;
            row.map(resource_of).transpose()
        })
        .await
    }

    async fn segment_version(
        &self,
        namespace: &Namespace,
        key: &str,
        version: u64,
    ) -> Result<Option<Segment>, Error> {
        within(async {
            let wanted = [(key.to_owned(), version)].into();
            let found = revisions::rows(self.database.reader(), namespace, &wanted).await?;
            found.into_iter().next().map(row::segment_of).transpose()
        })
        .await
    }

    async fn list(
        &self,
        namespace: &Namespace,
        kind: Kind,
        filter: &Filter,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Page, Error> {
        within(read::page(&self.database, namespace, kind, filter, after, limit)).await
    }

    async fn get_all(
        &self,
        namespace: &Namespace,
        kind: Kind,
        keys: &[String],
    ) -> Result<Vec<Resource>, Error> {
        within(read::all(&self.database, namespace, kind, keys)).await
    }

    async fn due(&self, now: Timestamp, after: Option<&DueMark>, limit: u64) -> Result<Vec<Resource>, Error> {
        within(read::due(&self.database, now, after, limit)).await
    }

    async fn audit(
        &self,
        namespace: &Namespace,
        subject: Option<&str>,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<AuditEntry>, Error> {
        within(async {
            let mut wanted = Condition::all().add(audit_log::Column::Namespace.eq(namespace.as_str()));
            if let Some(subject) = subject {
                wanted = wanted.add(audit_log::Column::Subject.eq(subject));
            }
            if let Some(before) = before {
                wanted = wanted.add(audit_log::Column::Id.lt(number(before)));
            }
            let query = audit_log::Entity::find()
                .filter(wanted)
                .order_by_desc(audit_log::Column::Id)
                .limit(Ord::max(limit, 1));
            let rows = query.all(self.database.reader()).await.map_err(classify)?;
            Ok(rows.into_iter().map(audit::entry).collect())
        })
        .await
    }

    async fn namespaces(&self) -> Result<Vec<(Namespace, u64)>, Error> {
        within(async {
            let rows = namespaces::Entity::find()
                .all(self.database.reader())
                .await
                .map_err(classify)?;
            let mut all = BTreeMap::from([(Namespace::default(), 0)]);
            for row in rows {
                all.insert(namespace_of(row.name)?, count(row.generation));
            }
            Ok(all.into_iter().collect())
        })
        .await
    }

    async fn unpublished(&self) -> Result<Vec<Unpublished>, Error> {
        #[derive(FromQueryResult)]
        struct Row {
            name: String,
            generation: i64,
            since_us: i64,
        }
        within(async {
            let sql = "select n.name, n.generation, min(o.at_us) as since_us from outbox o join namespaces n on n.name = o.namespace \
                       group by n.name, n.generation order by n.name";
            let statement = Statement::from_string(self.database.backend(), sql);
            let rows = Row::find_by_statement(statement).all(self.database.reader()).await.map_err(classify)?;
            rows.into_iter()
                .map(|row| {
                    Ok(Unpublished {
                        namespace: namespace_of(row.name)?,
                        generation: count(row.generation),
                        since: Timestamp::from_micros(row.since_us),
                    })
                })
                .collect()
        })
        .await
    }

    async fn published(&self, namespace: &Namespace) -> Result<Published, Error> {
        within(async {
            let instant = self.database.begin_read().await?;
            let row = namespaces::Entity::find_by_id(namespace.as_str())
                .one(&*instant)
                .await
                .map_err(classify)?;
            let rows = resources::Entity::find()
                .filter(resources::Column::Namespace.eq(namespace.as_str()))
                .filter(row::is_published(
                    resources::Column::Kind,
                    resources::Column::State,
                ))
                .order_by_asc(resources::Column::Kind)
                .order_by_asc(resources::Column::Key)
                .all(&*instant)
                .await
                .map_err(classify)?;
            let generation = row.map_or(0, |row| count(row.generation));
            let mut published = row::published(namespace, generation, rows);
            revisions::add_needed(&*instant, &mut published).await?;
            instant.commit().await?;
            Ok(published)
        })
        .await
    }

    async fn changed(&self, namespace: &Namespace, since: u64) -> Result<Option<Changed>, Error> {
        within(changed::since(&self.database, namespace, since)).await
    }

    async fn published_at(&self, namespace: &Namespace, generation: u64) -> Result<Option<Published>, Error> {
        within(history::published(&self.database, namespace, generation)).await
    }

    async fn generations(
        &self,
        namespace: &Namespace,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Generation>, Error> {
        within(history::generations(&self.database, namespace, before, limit)).await
    }

    async fn mark_published(&self, namespace: &Namespace, generation: u64) -> Result<(), Error> {
        within(async {
            let transaction = self.database.begin().await?;
            outbox::Entity::delete_many()
                .filter(outbox::Column::Namespace.eq(namespace.as_str()))
                .filter(outbox::Column::Generation.lte(number(generation)))
                .exec(&*transaction)
                .await
                .map_err(classify)?;
            transaction.commit().await
        })
        .await
    }

    async fn raise_generation(&self, namespace: &Namespace, generation: u64) -> Result<(), Error> {
        within(async {
            let transaction = self.database.begin().await?;
            let sql = "insert into namespaces (name, generation) values ($1, $2) on conflict (name) \
                       do update set generation = excluded.generation where namespaces.generation < excluded.generation";
            let values = [namespace.as_str().into(), number(generation).into()];
            let statement = Statement::from_sql_and_values(self.database.backend(), sql, values);
            transaction.execute_raw(statement).await.map_err(classify)?;
            transaction.commit().await
        })
        .await
    }

    async fn open_fence(&self, publishing: &Publishing) -> Result<(), Error> {
        within(fence::open(&self.database, publishing)).await
    }

    async fn open_fences(&self) -> Result<Vec<Publishing>, Error> {
        within(fence::opened(&self.database)).await
    }

    async fn close_fence(&self, namespace: &Namespace, generation: u64, fence: &Fence) -> Result<(), Error> {
        within(fence::close(&self.database, namespace, generation, fence)).await
    }

    async fn fence(
        &self,
        namespace: &Namespace,
        generation: u64,
    ) -> Result<Option<(Publishing, Option<Fence>)>, Error> {
        within(fence::of(&self.database, namespace, generation)).await
    }

    async fn starts(&self, namespace: &Namespace, keys: &[String]) -> Result<Vec<Start>, Error> {
        within(fence::starts(&self.database, namespace, keys)).await
    }
}
