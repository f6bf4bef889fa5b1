//! The embedded unit store, on SQLite alone: a cluster remembers in Redis.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &str = r#"
create table unit_assignments (
    namespace  text   not null,
    unit_kind  text   not null,
    unit_id    text   not null,
    experiment text   not null,
    variant    text   not null,
    cohort     bigint not null,
    primary key (namespace, unit_kind, unit_id, experiment)
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
