//! The embedded log, on SQLite alone: a cluster has its log in Redis.
//!
//! `log_tails` remembers the last id of each log, so that an id is never given twice, even when all entries are trimmed.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &str = r#"
create table log (
    partition bigint not null,
    topic     text   not null,
    id        bigint not null,
    payload   blob   not null
);
create unique index log_by_id on log (partition, topic, id);

create table log_tails (
    partition bigint not null,
    topic     text   not null,
    id        bigint not null,
    primary key (partition, topic)
) without rowid;

create table log_settings (
    name  text   not null primary key,
    value bigint not null
) without rowid;
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Sqlite {
            manager.get_connection().execute_unprepared(TABLES).await?;
        }
        Ok(())
    }
}
