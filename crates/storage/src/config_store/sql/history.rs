//! What every generation had. A revision is a resource as one change wrote it; it holds from that change's generation to before the one
//! that replaced or deleted it, so a generation is the revisions that hold at it.

use std::collections::BTreeMap;

use assay_core::key::Namespace;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, sea_query::Expr,
};

use super::{
    audit, revisions as segment_versions,
    row::{self, count, number, row_of_revision},
};
use crate::{
    Error,
    config_store::{
        Generation, Published,
        tables::{audit_log, generations, resources, revisions},
    },
    sql::{Database, Transaction, classify},
};

/// Generations whose changes one statement asks for.
const CHUNK: usize = 500;

/// Records that `namespace` has come to `generation`.
pub(super) async fn begin(
    transaction: &Transaction,
    namespace: &Namespace,
    generation: u64,
) -> Result<(), Error> {
    let row = generations::ActiveModel {
        namespace: Set(namespace.to_string()),
        generation: Set(number(generation)),
    };
    let insert = generations::Entity::insert(row);
    insert
        .exec_without_returning(&**transaction)
        .await
        .map(drop)
        .map_err(classify)
}

/// Keeps `written` from its generation on.
pub(super) async fn open(transaction: &Transaction, written: &resources::Model) -> Result<(), Error> {
    let row = revisions::ActiveModel {
        namespace: Set(written.namespace.clone()),
        kind: Set(written.kind.clone()),
        key: Set(written.key.clone()),
        generation: Set(written.generation),
        replaced: Set(None),
        version: Set(written.version),
        state: Set(written.state.clone()),
        created_us: Set(written.created_us),
        updated_us: Set(written.updated_us),
        document: Set(written.document.clone()),
    };
    let insert = revisions::Entity::insert(row);
    insert
        .exec_without_returning(&**transaction)
        .await
        .map(drop)
        .map_err(classify)
}

/// Ends what was kept of `replaced` before `generation`.
pub(super) async fn close(
    transaction: &Transaction,
    replaced: &resources::Model,
    generation: u64,
) -> Result<(), Error> {
    revisions::Entity::update_many()
        .col_expr(revisions::Column::Replaced, Expr::value(number(generation)))
        .filter(revisions::Column::Namespace.eq(&*replaced.namespace))
        .filter(revisions::Column::Kind.eq(&*replaced.kind))
        .filter(revisions::Column::Key.eq(&*replaced.key))
        .filter(revisions::Column::Replaced.is_null())
        .exec(&**transaction)
        .await
        .map(drop)
        .map_err(classify)
}

/// What was published of `namespace` at `generation`.
pub(super) async fn published(
    database: &Database,
    namespace: &Namespace,
    generation: u64,
) -> Result<Option<Published>, Error> {
    use revisions::Column::{Generation, Key, Kind, Namespace, Replaced, State};

    let at = number(generation);
    let instant = database.begin_read().await?;
    let known = generations::Entity::find_by_id((namespace.to_string(), at))
        .one(&*instant)
        .await
        .map_err(classify)?;
    if known.is_none() {
        return instant.commit().await.map(|()| None);
    }
    let holds = Condition::any().add(Replaced.is_null()).add(Replaced.gt(at));
    let rows = revisions::Entity::find()
        .filter(Namespace.eq(namespace.as_str()))
        .filter(Generation.lte(at))
        .filter(holds)
        .filter(row::is_published(Kind, State))
        .order_by_asc(Kind)
        .order_by_asc(Key)
        .all(&*instant)
        .await
        .map_err(classify)?;
    let rows = rows.into_iter().map(row_of_revision).collect();
    let mut published = row::published(namespace, generation, rows);
    segment_versions::add_needed(&*instant, &mut published).await?;
    instant.commit().await?;
    Ok(Some(published))
}

/// Generations of `namespace`, latest first, with the changes that made them.
pub(super) async fn generations(
    database: &Database,
    namespace: &Namespace,
    before: Option<u64>,
    limit: u64,
) -> Result<Vec<Generation>, Error> {
    let mut wanted = Condition::all().add(generations::Column::Namespace.eq(namespace.as_str()));
    if let Some(before) = before {
        wanted = wanted.add(generations::Column::Generation.lt(number(before)));
    }
    let instant = database.begin_read().await?;
    let rows = generations::Entity::find()
        .filter(wanted)
        .order_by_desc(generations::Column::Generation)
        .limit(Ord::max(limit, 1))
        .all(&*instant)
        .await
        .map_err(classify)?;
    let numbers: Vec<_> = rows.into_iter().map(|row| row.generation).collect();
    let mut changes = BTreeMap::new();
    for chunk in numbers.chunks(CHUNK) {
        let made = audit_log::Entity::find()
            .filter(audit_log::Column::Namespace.eq(namespace.as_str()))
            .filter(audit_log::Column::Generation.is_in(chunk.iter().copied()))
            .all(&*instant)
            .await
            .map_err(classify)?;
        changes.extend(made.into_iter().map(|row| (row.generation, audit::entry(row))));
    }
    instant.commit().await?;
    let with_change = |number: i64| Generation {
        number: count(number),
        change: changes.remove(&number),
    };
    Ok(numbers.into_iter().map(with_change).collect())
}
