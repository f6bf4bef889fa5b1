//! Fences: when each published generation had taken hold everywhere, and from when each experiment counts.
//!
//! `fences` has a row for each generation that went to the bus, open (`at_us` is null) until it is known. `experiment_starts` has a row
//! for each experiment that Assay assigns and that has begun; what had begun before there were fences has no generation and waits for none.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const TABLES: &str = r#"
create table fences (
    namespace    {key}  not null,
    generation   bigint not null,
    published_us bigint not null,
    expected     text   not null,
    at_us        bigint,
    replicas     bigint not null,
    slowest_us   bigint not null,
    unconfirmed  text   not null,
    primary key (namespace, generation)
);
create index fences_open on fences (namespace, generation) where at_us is null;

create table experiment_starts (
    namespace   {key} not null,
    experiment  {key} not null,
    generation  bigint,
    counting_us bigint,
    unconfirmed text   not null,
    primary key (namespace, experiment)
);
create index experiment_starts_open on experiment_starts (namespace, generation) where counting_us is null;

insert into experiment_starts (namespace, experiment, unconfirmed)
    select namespace, key, '[]' from resources where kind = 'experiment' and state not in ('DRAFT', 'SCHEDULED');

alter table analysis_tallies add column before_counting bigint not null default 0;
alter table analysis_tallies add column older_generation bigint not null default 0;
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, TABLES).await
    }
}
