//! Every generation of a namespace, and what each had: a resource as it was written, from the generation that wrote it to before the one
//! that replaced or deleted it. Nothing is copied for a generation that did not change it.
//!
//! History begins with the generation that a namespace has now: what was before is in no table.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &str = r#"
create table generations (
    namespace  {key} not null,
    generation bigint not null,
    primary key (namespace, generation)
);
insert into generations (namespace, generation)
    select name, generation from namespaces where generation > 0;

create table revisions (
    namespace  {key} not null,
    kind       {key} not null,
    key        {key} not null,
    generation bigint not null,
    replaced   bigint,
    version    bigint not null,
    state      text,
    created_us bigint not null,
    updated_us bigint not null,
    document   text   not null,
    primary key (namespace, kind, key, generation)
);
create index revisions_by_generation on revisions (namespace, generation);
create index revisions_by_replaced on revisions (namespace, replaced);
insert into revisions (namespace, kind, key, generation, version, state, created_us, updated_us, document)
    select namespace, kind, key, generation, version, state, created_us, updated_us, document from resources;

create index audit_log_by_generation on audit_log (namespace, generation);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, TABLES).await
    }
}
