//! Who has asked for which flag, and when last. `CLUSTERED` stands for what keeps rows of SQLite in their primary key.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{DbBackend, DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &str = r#"
create table analysis_callers (
    namespace {key}  not null,
    key       {key}  not null,
    caller    {key}  not null,
    seen_us   bigint not null,
    primary key (namespace, key, caller)
) CLUSTERED;
create index analysis_callers_by_time on analysis_callers (seen_us);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let clustered = match manager.get_database_backend() {
            DbBackend::Sqlite => "without rowid",
            _ => "",
        };
        super::run(manager, &TABLES.replace("CLUSTERED", clustered)).await
    }
}
