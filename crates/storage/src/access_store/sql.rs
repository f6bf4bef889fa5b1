//! Keys, trail and answers in SQL: one adapter for Postgres and SQLite.

use assay_core::{key::Namespace, time::Timestamp};
use async_trait::async_trait;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, Set, Statement, sea_query::Expr,
};

use super::{
    AccessStore, ApiKey, AuditFilter, Chain, Done,
    tables::{api_keys, idempotency_keys},
};
use crate::{
    Error,
    config_store::{
        Audit, AuditEntry,
        sql::{
            audit::{self, CHAIN_START},
            row::{count, number, text},
        },
        tables::audit_log,
    },
    sql::{Database, Transaction, classify, unique_violation, within},
};

/// What stands for all namespaces.
const ALL: &str = "*";

/// Rows of the trail that are read at once to be verified.
const CHAIN_PAGE: u64 = 500;

/// Keys, trail and answers, in Postgres or SQLite.
#[derive(Debug, Clone)]
pub struct SqlAccessStore {
    database: Database,
}

impl SqlAccessStore {
    /// The store in `database`, whose tables [`Database::migrate`] has made.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl AccessStore for SqlAccessStore {
    async fn keys(&self) -> Result<Vec<ApiKey>, Error> {
        within(async {
            let rows = api_keys::Entity::find()
                .order_by_asc(api_keys::Column::Id)
                .all(self.database.reader())
                .await
                .map_err(classify)?;
            rows.into_iter().map(key_of).collect()
        })
        .await
    }

    async fn create_key(&self, key: &ApiKey, audit: &Audit) -> Result<(), Error> {
        within(async {
            let transaction = self.database.begin().await?;
            let inserted = api_keys::Entity::insert(row_of(key).into_active_model().reset_all())
                .exec_without_returning(&*transaction)
                .await;
            inserted.map_err(|error| taken(error, &key.id))?;
            record(&transaction, key, audit, key.created_at, None).await?;
            transaction.commit().await
        })
        .await
    }

    async fn revoke_key(&self, id: &str, at: Timestamp, audit: &Audit) -> Result<ApiKey, Error> {
        within(async {
            let transaction = self.database.begin().await?;
            let mut find = api_keys::Entity::find_by_id(id);
            if self.database.backend() == sea_orm::DbBackend::Postgres {
                find = find.lock_exclusive();
            }
            let row = find.one(&*transaction).await.map_err(classify)?;
            let row = row.ok_or_else(|| Error::NotFound { what: subject(id) })?;
            let current = key_of(row.clone())?;
            if current.revoked_at.is_some() {
                return Ok(current);
            }
            let mut active = row.into_active_model();
            active.revoked_us = Set(Some(at.micros()));
            let row = active.update(&*transaction).await.map_err(classify)?;
            let revoked = key_of(row)?;
            record(&transaction, &revoked, audit, at, Some(&current)).await?;
            transaction.commit().await?;
            Ok(revoked)
        })
        .await
    }

    async fn trail(
        &self,
        namespace: &Namespace,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<AuditEntry>, Error> {
        use audit_log::Column::{Actor, AtUs, Id, Namespace as In, Subject};
        within(async {
            let mut wanted = Condition::all().add(In.eq(namespace.as_str()));
            if let Some(subject) = &filter.subject {
                wanted = wanted.add(Subject.eq(text(subject)));
            }
            if let Some(actor) = &filter.actor {
                wanted = wanted.add(Actor.eq(text(actor)));
            }
            if let Some(from) = filter.from {
                wanted = wanted.add(AtUs.gte(from.micros()));
            }
            if let Some(until) = filter.until {
                wanted = wanted.add(AtUs.lt(until.micros()));
            }
            if let Some(before) = before {
                wanted = wanted.add(Id.lt(number(before)));
            }
            let query = audit_log::Entity::find().filter(wanted).order_by_desc(Id);
            let rows = query.limit(Ord::max(limit, 1)).all(self.database.reader());
            Ok(rows
                .await
                .map_err(classify)?
                .into_iter()
                .map(audit::entry)
                .collect())
        })
        .await
    }

    async fn verify(&self, namespace: &Namespace) -> Result<Chain, Error> {
        let mut walk = Walk::default();
        loop {
            // Each page has its own bound: a long chain is no silent server.
            let rows = within(async {
                let query = audit_log::Entity::find()
                    .filter(audit_log::Column::Namespace.eq(namespace.as_str()))
                    .filter(audit_log::Column::Id.gt(walk.last_id))
                    .order_by_asc(audit_log::Column::Id)
                    .limit(CHAIN_PAGE);
                query.all(self.database.reader()).await.map_err(classify)
            })
            .await?;
            if rows.is_empty() {
                return Ok(walk.chain);
            }
            rows.iter().for_each(|row| walk.step(row));
        }
    }

    async fn done(&self, principal: &str, key: &str) -> Result<Option<Done>, Error> {
        within(async {
            let row = idempotency_keys::Entity::find_by_id((text(principal), text(key)))
                .one(self.database.reader())
                .await
                .map_err(classify)?;
            row.map(|row| {
                Ok(Done {
                    request: hash_of(row.request, "the request of an idempotency key")?,
                    namespace: row.namespace,
                    generation: count(row.generation),
                    answer: row.answer,
                })
            })
            .transpose()
        })
        .await
    }

    async fn keep_answer(&self, principal: &str, key: &str, answer: &[u8]) -> Result<(), Error> {
        use idempotency_keys::Column::{Answer, Key, Principal};
        within(async {
            let transaction = self.database.begin().await?;
            idempotency_keys::Entity::update_many()
                .col_expr(Answer, Expr::value(answer.to_vec()))
                .filter(Principal.eq(text(principal)))
                .filter(Key.eq(text(key)))
                .filter(Answer.is_null())
                .exec(&*transaction)
                .await
                .map_err(classify)?;
            transaction.commit().await
        })
        .await
    }

    async fn forget_done(&self, before: Timestamp) -> Result<(), Error> {
        within(async {
            let transaction = self.database.begin().await?;
            idempotency_keys::Entity::delete_many()
                .filter(idempotency_keys::Column::AtUs.lt(before.micros()))
                .exec(&*transaction)
                .await
                .map_err(classify)?;
            transaction.commit().await
        })
        .await
    }
}

/// A walk along a chain, oldest row first.
struct Walk {
    chain: Chain,
    previous: Vec<u8>,
    last_id: i64,
}

impl Default for Walk {
    fn default() -> Self {
        let chain = Chain {
            n_rows: 0,
            first_broken: None,
            head: None,
        };
        Self {
            chain,
            previous: CHAIN_START.to_vec(),
            last_id: 0,
        }
    }
}

impl Walk {
    fn step(&mut self, row: &audit_log::Model) {
        self.last_id = row.id;
        // Rows from before the chain come first, and only there.
        if row.hash.is_none() && self.chain.n_rows == 0 {
            return;
        }
        self.chain.n_rows = self.chain.n_rows.saturating_add(1);
        let computed = audit::hash(&self.previous, row);
        let fits = row.hash.as_deref() == Some(&computed[..]);
        if !fits && self.chain.first_broken.is_none() {
            self.chain.first_broken = Some(count(row.id));
        }
        self.previous = row.hash.clone().unwrap_or_else(|| computed.to_vec());
        self.chain.head = Some(computed);
    }
}

/// Appends the audit row of a key's change to the trail of each namespace that the key is for; of one for all namespaces to the default's. No trail
/// tells of the other namespaces.
async fn record(
    transaction: &Transaction,
    key: &ApiKey,
    audit: &Audit,
    at: Timestamp,
    before: Option<&ApiKey>,
) -> Result<(), Error> {
    let default = Namespace::default();
    let mut names: Vec<_> = match &key.namespaces {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => vec![default.as_str()],
    };
    // In one order, so that two such changes do not wait for each other.
    names.sort_unstable();
    names.dedup();
    for name in names {
        let namespace = Namespace::new(name).map_err(|error| corrupt("a namespace", error.to_string()))?;
        let generation = lock(transaction, &namespace).await?;
        let documents = (
            vec![(subject(&key.id), before.map(|before| document(before, name)))],
            vec![(subject(&key.id), Some(document(key, name)))],
        );
        audit::append(transaction, &namespace, generation, at, audit, documents).await?;
    }
    Ok(())
}

/// Locks the row of `namespace`, which is made when there is none, and returns its generation.
async fn lock(transaction: &Transaction, namespace: &Namespace) -> Result<u64, Error> {
    let sql = "insert into namespaces (name, generation) values ($1, 0) on conflict (name) \
               do update set generation = namespaces.generation returning generation";
    let backend = transaction.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, sql, [namespace.as_str().into()]);
    let row = transaction.query_one_raw(statement).await.map_err(classify)?;
    let generation = row.map(|row| row.try_get::<i64>("", "generation"));
    generation
        .transpose()
        .map(|found| found.map_or(0, count))
        .map_err(classify)
}

/// What the trail of `namespace` says of a key: all but its hash, and its other namespaces.
fn document(key: &ApiKey, namespace: &str) -> String {
    serde_json::json!({
        "roles": key.roles,
        "namespaces": key.namespaces.as_ref().map(|_| [namespace]),
        "expires_us": key.expires_at.map(Timestamp::micros),
        "revoked_us": key.revoked_at.map(Timestamp::micros),
    })
    .to_string()
}

/// `key/shop-ci`
fn subject(id: &str) -> String {
    format!("key/{id}")
}

fn taken(error: DbErr, id: &str) -> Error {
    match unique_violation(&error) {
        Some(_) => Error::AlreadyExists { what: subject(id) },
        None => classify(error),
    }
}

fn row_of(key: &ApiKey) -> api_keys::Model {
    let namespaces = key.namespaces.as_ref();
    api_keys::Model {
        id: text(&key.id),
        hash: key.hash.to_vec(),
        roles: key.roles.join(","),
        namespaces: namespaces.map_or_else(|| ALL.to_owned(), |names| names.join(",")),
        created_by: text(&key.created_by),
        created_us: key.created_at.micros(),
        expires_us: key.expires_at.map(Timestamp::micros),
        revoked_us: key.revoked_at.map(Timestamp::micros),
    }
}

fn key_of(row: api_keys::Model) -> Result<ApiKey, Error> {
    let list = |joined: &str| -> Vec<String> {
        let parts = joined.split(',').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    Ok(ApiKey {
        hash: hash_of(row.hash, "the hash of a key")?,
        roles: list(&row.roles),
        namespaces: (row.namespaces != ALL).then(|| list(&row.namespaces)),
        id: row.id,
        created_by: row.created_by,
        created_at: Timestamp::from_micros(row.created_us),
        expires_at: row.expires_us.map(Timestamp::from_micros),
        revoked_at: row.revoked_us.map(Timestamp::from_micros),
    })
}

fn hash_of(bytes: Vec<u8>, what: &str) -> Result<[u8; 32], Error> {
    let n_bytes = bytes.len();
    bytes
        .try_into()
        .map_err(|_| corrupt(what, format!("has {n_bytes} bytes")))
}

fn corrupt(what: &str, detail: String) -> Error {
    Error::Corrupt {
        store: "database",
        what: what.to_owned(),
        detail,
    }
}

#[cfg(test)]
mod tests;
