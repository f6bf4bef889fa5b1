//! What the clock and the lists of experiments look for: due times, and the terms that experiments are found by.
//!
//! Terms are words of many columns of a document, so this is filled from the documents here and not in SQL. `CLUSTERED` stands for what
//! keeps rows of SQLite in their primary key.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, DeriveMigrationName, Statement},
};
use serde::Deserialize;

use crate::config_store::search;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &str = r#"
alter table resources add column due_us bigint;
create index resources_by_due on resources (due_us, namespace, key) where due_us is not null;
create index resources_by_state on resources (namespace, kind, state, key) where state is not null;

create table experiment_terms (
    namespace {key} not null,
    term      {key} not null,
    key       {key} not null,
    primary key (namespace, term, key)
) CLUSTERED;
create index experiment_terms_by_key on experiment_terms (namespace, key);
"#;

/// Of a stored experiment, what is needed here.
#[derive(Deserialize)]
struct Document {
    name: String,
    description: String,
    hypothesis: String,
    owner: String,
    tags: Vec<String>,
    source: String,
    end_us: Option<i64>,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let clustered = match manager.get_database_backend() {
            DbBackend::Sqlite => "without rowid",
            _ => "",
        };
        super::run(manager, &TABLES.replace("CLUSTERED", clustered)).await?;
        fill(manager).await
    }
}

/// Fills in what stored experiments would have been written with. None is scheduled: no release before this one could.
async fn fill(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (connection, backend) = (manager.get_connection(), manager.get_database_backend());
    let all = "select namespace, key, state, document from resources where kind = 'experiment'";
    for row in connection
        .query_all_raw(Statement::from_string(backend, all))
        .await?
    {
        let text = |column: &str| row.try_get::<String>("", column);
        let (namespace, key, state) = (text("namespace")?, text("key")?, text("state")?);
        let document: Document = serde_json::from_str(&text("document")?)
            .map_err(|error| DbErr::Migration(format!("experiment/{key} of {namespace}: {error}")))?;
        let due = document
            .end_us
            .filter(|_| document.source == "ASSAY" && matches!(&*state, "RUNNING" | "PAUSED"));
        let sql =
            "update resources set due_us = $1 where namespace = $2 and kind = 'experiment' and key = $3";
        let values = [due.into(), namespace.as_str().into(), key.as_str().into()];
        connection
            .execute_raw(Statement::from_sql_and_values(backend, sql, values))
            .await?;
        let texts = [
            &key,
            &document.name,
            &document.description,
            &document.hypothesis,
            &document.owner,
        ];
        let texts = texts.map(String::as_str);
        for term in search::terms_of(&texts, &document.owner, &document.tags) {
            let sql = "insert into experiment_terms (namespace, term, key) values ($1, $2, $3)";
            let term = term.replace('\0', "\u{fffd}");
            let values = [namespace.as_str().into(), term.into(), key.as_str().into()];
            connection
                .execute_raw(Statement::from_sql_and_values(backend, sql, values))
                .await?;
        }
    }
    Ok(())
}
