//! The configuration: namespaces, resources, audit trail, outbox.
//!
//! One table for all kinds of resources: an operator finds everything of a namespace in one place, and what is asked for often stands in
//! columns of its own beside the document. Times are microseconds since 1970.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{DbBackend, DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &str = r#"
create table namespaces (
    name       {key} primary key,
    generation bigint not null
);

create table resources (
    namespace  {key} not null,
    kind       text    not null,
    key        {key} not null,
    version    bigint  not null,
    generation bigint  not null,
    name       text    not null,
    state      text,
    flag_key   text,
    live       boolean not null,
    created_us bigint  not null,
    updated_us bigint  not null,
    document   text    not null,
    primary key (namespace, kind, key)
);
create unique index resources_one_live_experiment_per_flag on resources (namespace, flag_key) where live;
create index resources_by_flag on resources (namespace, flag_key) where flag_key is not null;

create table outbox (
    namespace   {key} not null,
    generation  bigint not null,
    at_us       bigint not null,
    traceparent text   not null,
    primary key (namespace, generation)
);
"#;

const AUDIT_POSTGRES: &str = r#"
create table audit_log (
    id          bigint generated always as identity primary key,
    namespace   text   not null,
    generation  bigint not null,
    at_us       bigint not null,
    actor       text   not null,
    action      text   not null,
    subject     text   not null,
    reason      text   not null,
    traceparent text   not null,
    before      text   not null,
    after       text   not null
);
create index audit_log_by_namespace on audit_log (namespace, id);
create function audit_log_keep() returns trigger language plpgsql as $$
begin
    raise exception 'audit_log is append-only';
end $$;
create trigger audit_log_keep before update or delete on audit_log for each row execute function audit_log_keep();
"#;

const AUDIT_SQLITE: &str = r#"
create table audit_log (
    id          integer primary key autoincrement,
    namespace   text   not null,
    generation  bigint not null,
    at_us       bigint not null,
    actor       text   not null,
    action      text   not null,
    subject     text   not null,
    reason      text   not null,
    traceparent text   not null,
    before      text   not null,
    after       text   not null
);
create index audit_log_by_namespace on audit_log (namespace, id);
create trigger audit_log_keep_updated before update on audit_log begin select raise(abort, 'audit_log is append-only'); end;
create trigger audit_log_keep_deleted before delete on audit_log begin select raise(abort, 'audit_log is append-only'); end;
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let audit = match manager.get_database_backend() {
            DbBackend::Sqlite => AUDIT_SQLITE,
            _ => AUDIT_POSTGRES,
        };
        super::run(manager, TABLES).await?;
        super::run(manager, audit).await
    }
}
