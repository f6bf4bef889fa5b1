//! A change, in one transaction.

use assay_core::{
    flag::Meta,
    key::{FlagKey, Namespace},
    time::Timestamp,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Set,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use super::{
    audit::{self, Documents},
    fence, history,
    row::{count, find, number, revision_of, row_of, text},
    terms,
};
use crate::{
    Error,
    access_store::tables::idempotency_keys,
    config_store::{
        Change, Claim, Committed, Expect, Kind, Resource, Write,
        tables::{namespaces, outbox, resources, segment_revisions},
    },
    sql::{Transaction, classify, unique_violation},
};

/// Makes `change` in `transaction`, which the caller commits.
pub(super) async fn apply(transaction: &Transaction, change: &Change) -> Result<Committed, Error> {
    let generation = next_generation(transaction, &change.namespace).await?;
    if let Some(claim) = &change.claim {
        claim_key(transaction, change, generation, claim).await?;
    }
    history::begin(transaction, &change.namespace, generation).await?;
    let mut trail = Trail::default();
    let mut stored: Vec<Option<Resource>> = vec![None; change.writes.len()];
    // What ends a reservation of a flag comes before what makes one.
    let (reserving, others): (Vec<_>, Vec<_>) = change
        .writes
        .iter()
        .zip(&mut stored)
        .partition(|(write, _)| reserves(write).is_some());
    for (write, slot) in others.into_iter().chain(reserving) {
        match write {
            Write::Put { resource, expect } => {
                *slot = Some(put(transaction, change, generation, resource, *expect, &mut trail).await?);
            }
            Write::Delete { kind, key, version } => {
                let row = expected(transaction, &change.namespace, *kind, key, *version).await?;
                trail.record(*kind, key, Some(row.document.clone()), None);
                history::close(transaction, &row, generation).await?;
                terms::remove(transaction, *kind, change.namespace.as_str(), key).await?;
                row.into_active_model()
                    .delete(&**transaction)
                    .await
                    .map_err(classify)?;
            }
            Write::At { generation: read } => unmoved(&change.namespace, *read, generation)?,
            Write::Check { kind, key, version } => {
                expected(transaction, &change.namespace, *kind, key, *version).await?;
            }
        }
    }
    log(transaction, change, generation, trail).await?;
    Ok(Committed {
        generation,
        resources: stored.into_iter().flatten().collect(),
    })
}

/// Checks that the change which makes `generation` follows the one that made `read`.
fn unmoved(namespace: &Namespace, read: u64, generation: u64) -> Result<(), Error> {
    let found = generation.saturating_sub(1);
    if found == read {
        return Ok(());
    }
    Err(Error::Moved {
        namespace: namespace.to_string(),
        expected: read,
        found,
    })
}

fn reserves(write: &Write) -> Option<&FlagKey> {
    match write {
        Write::Put { resource, .. } => resource.reserves(),
        _ => None,
    }
}

/// Raises the generation of `namespace` by one, and locks it until the transaction ends.
async fn next_generation(transaction: &Transaction, namespace: &Namespace) -> Result<u64, Error> {
    let first = namespaces::ActiveModel {
        name: Set(namespace.to_string()),
        generation: Set(1),
    };
    let current = Expr::col((namespaces::Entity, namespaces::Column::Generation));
    let conflict = OnConflict::column(namespaces::Column::Name)
        .value(namespaces::Column::Generation, current.add(1))
        .to_owned();
    let insert = namespaces::Entity::insert(first).on_conflict(conflict);
    let row = insert
        .exec_with_returning(&**transaction)
        .await
        .map_err(classify)?;
    Ok(count(row.generation))
}

/// Stores `resource`, and returns it with its new `meta`.
async fn put(
    transaction: &Transaction,
    change: &Change,
    generation: u64,
    resource: &Resource,
    expect: Expect,
    trail: &mut Trail,
) -> Result<Resource, Error> {
    let before = present(transaction, &change.namespace, resource, expect).await?;
    if let Some(flag) = resource.reserves() {
        free(transaction, resource, flag).await?;
    }
    let last = match &before {
        Some(row) => count(row.version),
        None => last_version(transaction, resource).await?,
    };
    let mut stored = resource.clone();
    *stored.meta_mut() = Meta {
        version: last.saturating_add(1),
        generation,
        created_at: before
            .as_ref()
            .map_or(change.now, |row| Timestamp::from_micros(row.created_us)),
        updated_at: change.now,
    };
    let row = row_of(&stored)?;
    trail.record(
        resource.kind(),
        resource.key(),
        before.as_ref().map(|row| row.document.clone()),
        Some(row.document.clone()),
    );
    let revision = matches!(resource, Resource::Segment(_)).then(|| revision_of(&row));
    if let Some(before) = &before {
        history::close(transaction, before, generation).await?;
    }
    history::open(transaction, &row).await?;
    let active = row.into_active_model();
    let written = match &before {
        None => resources::Entity::insert(active)
            .exec_without_returning(&**transaction)
            .await
            .map(drop),
        Some(_) => active.reset_all().update(&**transaction).await.map(drop),
    };
    written.map_err(|error| not_unique(error, resource))?;
    terms::replace(transaction, before.as_ref(), &stored).await?;
    if let Some(revision) = revision {
        segment_revisions::Entity::insert(revision.into_active_model())
            .exec_without_returning(&**transaction)
            .await
            .map_err(classify)?;
    }
    fence::begun(transaction, &stored).await?;
    Ok(stored)
}

/// The last version that a resource of this key has had, 0 when it is new; only of segments versions outlive the resource.
async fn last_version(transaction: &Transaction, resource: &Resource) -> Result<u64, Error> {
    if !matches!(resource, Resource::Segment(_)) {
        return Ok(0);
    }
    let last: Option<i64> = segment_revisions::Entity::find()
        .select_only()
        .column(segment_revisions::Column::Version)
        .filter(segment_revisions::Column::Namespace.eq(resource.namespace().as_str()))
        .filter(segment_revisions::Column::Key.eq(resource.key()))
        .order_by_desc(segment_revisions::Column::Version)
        .into_tuple()
        .one(&**transaction)
        .await
        .map_err(classify)?;
    Ok(last.map_or(0, count))
}

/// What `resource` replaces, which must be as `expect` says.
async fn present(
    transaction: &Transaction,
    namespace: &Namespace,
    resource: &Resource,
    expect: Expect,
) -> Result<Option<resources::Model>, Error> {
    let (kind, key) = (resource.kind(), resource.key());
    if resource.namespace() != namespace {
        let source = format!(
            "{} belongs to namespace {}, not {namespace}",
            subject(kind, key),
            resource.namespace()
        );
        return Err(Error::Refused {
            store: "database",
            source: source.into(),
        });
    }
    match expect {
        Expect::Version(version) => expected(transaction, namespace, kind, key, version)
            .await
            .map(Some),
        Expect::Absent => match find(&**transaction, namespace, kind, key).await? {
            None => Ok(None),
            Some(_) => Err(Error::AlreadyExists {
                what: subject(kind, key),
            }),
        },
    }
}

/// The row of the resource, which must be in `version`.
async fn expected(
    connection: &Transaction,
    namespace: &Namespace,
    kind: Kind,
    key: &str,
    version: u64,
) -> Result<resources::Model, Error> {
    let what = subject(kind, key);
    match find(&**connection, namespace, kind, key).await? {
        None => Err(Error::NotFound { what }),
        Some(row) if count(row.version) != version => Err(Error::Stale {
            what,
            expected: version,
            found: count(row.version),
        }),
        Some(row) => Ok(row),
    }
}

/// Checks that no other experiment reserves `flag`.
async fn free(transaction: &Transaction, resource: &Resource, flag: &FlagKey) -> Result<(), Error> {
    let holder: Option<String> = resources::Entity::find()
        .select_only()
        .column(resources::Column::Key)
        .filter(resources::Column::Namespace.eq(resource.namespace().as_str()))
        .filter(resources::Column::FlagKey.eq(flag.as_str()))
        .filter(resources::Column::Live.eq(true))
        .filter(resources::Column::Key.ne(resource.key()))
        .into_tuple()
        .one(&**transaction)
        .await
        .map_err(classify)?;
    match holder {
        None => Ok(()),
        Some(key) => Err(Error::Taken {
            what: subject(Kind::Flag, flag.as_str()),
            by: subject(Kind::Experiment, &key),
        }),
    }
}

/// The checks come first, so this is a writer that does not lock the namespace: another program, or a person.
fn not_unique(error: DbErr, resource: &Resource) -> Error {
    match (unique_violation(&error), resource.reserves()) {
        (Some(constraint), Some(flag)) if !constraint.contains("resources_pkey") => Error::Taken {
            what: subject(Kind::Flag, flag.as_str()),
            by: "another experiment".to_owned(),
        },
        (Some(_), _) => Error::AlreadyExists {
            what: subject(resource.kind(), resource.key()),
        },
        (None, _) => classify(error),
    }
}

/// Takes the caller's idempotency key: of two requests under one key only one is done.
async fn claim_key(
    transaction: &Transaction,
    change: &Change,
    generation: u64,
    claim: &Claim,
) -> Result<(), Error> {
    let row = idempotency_keys::ActiveModel {
        principal: Set(text(&claim.principal)),
        key: Set(text(&claim.key)),
        request: Set(claim.request.to_vec()),
        namespace: Set(change.namespace.to_string()),
        generation: Set(number(generation)),
        at_us: Set(change.now.micros()),
        answer: Set(None),
    };
    let inserted = idempotency_keys::Entity::insert(row)
        .exec_without_returning(&**transaction)
        .await;
    match inserted {
        Err(error) if unique_violation(&error).is_some() => Err(Error::Claimed),
        other => other.map(drop).map_err(classify),
    }
}

/// Writes the audit row and the outbox row.
async fn log(transaction: &Transaction, change: &Change, generation: u64, trail: Trail) -> Result<(), Error> {
    let documents = (trail.before, trail.after);
    audit::append(
        transaction,
        &change.namespace,
        generation,
        change.now,
        &change.audit,
        documents,
    )
    .await?;
    let row = outbox::ActiveModel {
        namespace: Set(change.namespace.to_string()),
        generation: Set(number(generation)),
        at_us: Set(change.now.micros()),
        traceparent: Set(text(&change.audit.traceparent)),
    };
    outbox::Entity::insert(row)
        .exec_without_returning(&**transaction)
        .await
        .map_err(classify)?;
    Ok(())
}

/// The documents of written resources by subject, before and after.
#[derive(Default)]
struct Trail {
    before: Documents,
    after: Documents,
}

impl Trail {
    fn record(&mut self, kind: Kind, key: &str, before: Option<String>, after: Option<String>) {
        self.before.push((subject(kind, key), before));
        self.after.push((subject(kind, key), after));
    }
}

/// `flag/gate`
fn subject(kind: Kind, key: &str) -> String {
    format!("{}/{key}", kind.name())
}
