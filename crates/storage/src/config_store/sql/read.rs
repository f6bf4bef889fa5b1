//! Reading many resources at once: pages of a list, those of some keys, what is due.

use assay_core::{key::Namespace, time::Timestamp};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::ExprTrait as _,
};

use super::{row::resource_of, terms};
use crate::{
    Error,
    config_store::{DueMark, Filter, Kind, Page, Resource, tables::resources},
    sql::{Database, classify},
};

/// One page in order of key.
///
/// The keys of the page are found first, in indexes alone, so that only its documents are read.
pub(super) async fn page(
    database: &Database,
    namespace: &Namespace,
    kind: Kind,
    filter: &Filter,
    after: Option<&str>,
    limit: u64,
) -> Result<Page, Error> {
    let limit = Ord::max(limit, 1);
    let beyond = after.map_or_else(Condition::all, |key| {
        Condition::all().add(resources::Column::Key.gt(key))
    });
    let keys = of_kind(namespace, kind)
        .select_only()
        .column(resources::Column::Key)
        .filter(matching(namespace, kind, filter))
        .filter(beyond)
        .order_by_asc(resources::Column::Key)
        .limit(limit.saturating_add(1))
        .into_query();
    let rows = of_kind(namespace, kind)
        .filter(resources::Column::Key.in_subquery(keys))
        .order_by_asc(resources::Column::Key)
        .all(database.reader())
        .await
        .map_err(classify)?;
    let mut resources = rows.into_iter().map(resource_of).collect::<Result<Vec<_>, _>>()?;
    let more = resources.len() as u64 > limit;
    if more {
        resources.pop();
    }
    let next = resources
        .last()
        .filter(|_| more)
        .map(|last| last.key().to_owned());
    Ok(Page { resources, next })
}

/// Those of `keys` that exist.
pub(super) async fn all(
    database: &Database,
    namespace: &Namespace,
    kind: Kind,
    keys: &[String],
) -> Result<Vec<Resource>, Error> {
    let rows = of_kind(namespace, kind)
        .filter(resources::Column::Key.is_in(keys))
        .order_by_asc(resources::Column::Key)
        .all(database.reader())
        .await
        .map_err(classify)?;
    rows.into_iter().map(resource_of).collect()
}

/// What is due at `now` after `mark`.
pub(super) async fn due(
    database: &Database,
    now: Timestamp,
    mark: Option<&DueMark>,
    limit: u64,
) -> Result<Vec<Resource>, Error> {
    use resources::Column::{DueUs, Key, Namespace};

    let mut wanted = Condition::all().add(DueUs.lte(now.micros()));
    if let Some(DueMark { at, namespace, key }) = mark {
        let (at, namespace) = (at.micros(), namespace.as_str());
        let beyond = Condition::any()
            .add(DueUs.gt(at))
            .add(Namespace.gt(namespace))
            .add(Namespace.eq(namespace).and(Key.gt(key)));
        wanted = wanted.add(DueUs.gte(at)).add(beyond);
    }
    let rows = resources::Entity::find()
        .filter(wanted)
        .order_by_asc(DueUs)
        .order_by_asc(Namespace)
        .order_by_asc(Key)
        .limit(Ord::max(limit, 1))
        .all(database.reader())
        .await
        .map_err(classify)?;
    // Whoever asks for an unreadable one by its key is told what is wrong with it.
    Ok(rows.into_iter().filter_map(|row| resource_of(row).ok()).collect())
}

fn of_kind(namespace: &Namespace, kind: Kind) -> sea_orm::Select<resources::Entity> {
    resources::Entity::find()
        .filter(resources::Column::Namespace.eq(namespace.as_str()))
        .filter(resources::Column::Kind.eq(kind.name()))
}

/// What `filter` asks of resources of `kind`; it says nothing of other kinds than experiments.
fn matching(namespace: &Namespace, kind: Kind, filter: &Filter) -> Condition {
    let mut wanted = Condition::all();
    if kind != Kind::Experiment {
        return wanted;
    }
    wanted = match filter.states.is_empty() {
        true => wanted.add(resources::Column::State.ne("ARCHIVED")),
        false => wanted.add(resources::Column::State.is_in(&filter.states)),
    };
    if let Some(flag) = &filter.flag {
        wanted = wanted.add(resources::Column::FlagKey.eq(flag));
    }
    wanted.add(terms::matching(namespace.as_str(), filter))
}
