//! Every version of every segment: what an experiment has pinned stays what it is, however the segment is edited later.
//!
//! Rows are only ever added, also when a segment is deleted: one that is made anew under its key goes on with the next version.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLE: &str = r#"
create table segment_revisions (
    namespace  {key} not null,
    key        {key} not null,
    version    bigint not null,
    generation bigint not null,
    created_us bigint not null,
    updated_us bigint not null,
    document   text   not null,
    primary key (namespace, key, version)
);
insert into segment_revisions (namespace, key, version, generation, created_us, updated_us, document)
    select namespace, key, version, generation, created_us, updated_us, document from resources where kind = 'segment';
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, TABLE).await
    }
}
