//! Who may, and who did: API keys, the chain of the audit trail, answers to repeated requests.
//!
//! Rows of the trail from before this migration have no hash; the chain begins after them.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &str = r#"
create table api_keys (
    id         {key} not null primary key,
    hash       {bytes} not null unique,
    roles      text   not null,
    namespaces text   not null,
    created_by text   not null,
    created_us bigint not null,
    expires_us bigint,
    revoked_us bigint
);

alter table audit_log add column peer text not null default '';
alter table audit_log add column hash {bytes};

create table audit_salt (
    salt {bytes} not null
);

create table idempotency_keys (
    principal  {key} not null,
    key        {key} not null,
    request    {bytes} not null,
    namespace  {key} not null,
    generation bigint not null,
    at_us      bigint not null,
    answer     {bytes},
    primary key (principal, key)
);
create index idempotency_keys_by_time on idempotency_keys (at_us);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, TABLES).await?;
        // At least 244 random bits, made here so that no process ever has to agree with another about them.
        let salt = match manager.get_database_backend() {
            DbBackend::Sqlite => "insert into audit_salt values (randomblob(32))",
            _ => {
                "insert into audit_salt values (decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'))"
            }
        };
        manager.get_connection().execute_unprepared(salt).await?;
        Ok(())
    }
}
