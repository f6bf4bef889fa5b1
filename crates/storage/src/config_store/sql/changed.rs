//! What has changed since a generation, found by the revisions that began or ended after it.

use std::collections::BTreeMap;

use assay_core::key::Namespace;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::row::{count, number, resource_of};
use crate::{
    Error,
    config_store::{
        Changed, Kind,
        tables::{namespaces, resources, revisions},
    },
    sql::{Database, Transaction, classify},
};

/// More is no small change: then everything is read.
const MAX: u64 = 128;

/// What of `namespace` has changed since it was at `since`, if that is little and all of it can be read.
pub(super) async fn since(
    database: &Database,
    namespace: &Namespace,
    since: u64,
) -> Result<Option<Changed>, Error> {
    let instant = database.begin_read().await?;
    let changed = find(&instant, namespace, since).await?;
    instant.commit().await?;
    Ok(changed)
}

async fn find(instant: &Transaction, namespace: &Namespace, since: u64) -> Result<Option<Changed>, Error> {
    let row = namespaces::Entity::find_by_id(namespace.as_str())
        .one(&**instant)
        .await
        .map_err(classify)?;
    let Some(touched) = touched(instant, namespace, since).await? else {
        return Ok(None);
    };
    let mut changed = Changed {
        generation: row.map_or(0, |row| count(row.generation)),
        resources: Vec::new(),
        gone: Vec::new(),
    };
    for (kind, mut keys) in touched {
        let rows = resources::Entity::find()
            .filter(resources::Column::Namespace.eq(namespace.as_str()))
            .filter(resources::Column::Kind.eq(kind.name()))
            .filter(resources::Column::Key.is_in(&keys))
            .order_by_asc(resources::Column::Key)
            .all(&**instant)
            .await
            .map_err(classify)?;
        for row in rows {
            keys.retain(|key| *key != row.key);
            let Ok(resource) = resource_of(row) else {
                return Ok(None);
            };
            changed.resources.push(resource);
        }
        changed.gone.extend(keys.into_iter().map(|key| (kind, key)));
    }
    Ok(Some(changed))
}

/// The keys of all that was written or removed, by kind; nothing if they are many.
async fn touched(
    instant: &Transaction,
    namespace: &Namespace,
    since: u64,
) -> Result<Option<BTreeMap<Kind, Vec<String>>>, Error> {
    use revisions::Column::{Generation, Key, Namespace, Replaced};

    let since = number(since);
    let rows: Vec<(String, String)> = revisions::Entity::find()
        .select_only()
        .columns([revisions::Column::Kind, Key])
        .distinct()
        .filter(Namespace.eq(namespace.as_str()))
        .filter(Condition::any().add(Generation.gt(since)).add(Replaced.gt(since)))
        .limit(MAX + 1)
        .into_tuple()
        .all(&**instant)
        .await
        .map_err(classify)?;
    if rows.len() as u64 > MAX {
        return Ok(None);
    }
    let mut touched: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for (kind, key) in rows {
        let Some(kind) = Kind::ALL.into_iter().find(|known| known.name() == kind) else {
            return Ok(None);
        };
        touched.entry(kind).or_default().push(key);
    }
    Ok(Some(touched))
}
