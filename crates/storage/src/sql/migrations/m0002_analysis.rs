//! What analysis remembers: progress, records, enrollments, unit values, due times, sums, counts.
//!
//! Texts compare by bytes on both databases, so that an order is the same everywhere. Numbers of more than 64 bits are decimal texts.
//! Rows of SQLite live in their primary key: one tree a table instead of two. Times are microseconds, days are days, since 1970.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

/// `TEXT` and `CLUSTERED` stand for what differs between the two databases.
const TABLES: &str = r#"
create table analysis_progress (
    partition  bigint not null primary key,
    exposures  TEXT   not null,
    events     TEXT   not null,
    through_us bigint not null,
    version    bigint not null
);

create table analysis_exposures (
    namespace  TEXT   not null,
    unit_kind  TEXT   not null,
    unit_id    TEXT   not null,
    experiment TEXT   not null,
    variant    TEXT   not null,
    cohort     bigint not null,
    time_us    bigint not null,
    primary key (namespace, unit_kind, unit_id, experiment, variant, cohort)
) CLUSTERED;
create index analysis_exposures_by_experiment on analysis_exposures (namespace, experiment, unit_kind, unit_id);

create table analysis_events (
    namespace    TEXT   not null,
    unit_kind    TEXT   not null,
    unit_id      TEXT   not null,
    event_id     TEXT   not null,
    name         TEXT   not null,
    time_us      bigint not null,
    received_us  bigint not null,
    value_micros bigint,
    properties   TEXT   not null,
    flags        bigint not null,
    hash         BYTES  not null,
    primary key (namespace, unit_kind, unit_id, event_id)
) CLUSTERED;

create table analysis_contributions (
    namespace  TEXT   not null,
    unit_kind  TEXT   not null,
    unit_id    TEXT   not null,
    experiment TEXT   not null,
    measure    TEXT   not null,
    cohort     bigint not null,
    variant    TEXT   not null,
    day        bigint not null,
    value      bigint not null,
    primary key (namespace, unit_kind, unit_id, experiment, measure)
) CLUSTERED;

create table analysis_dues (
    namespace TEXT   not null,
    unit_kind TEXT   not null,
    unit_id   TEXT   not null,
    at_us     bigint not null,
    partition bigint not null,
    primary key (namespace, unit_kind, unit_id, at_us)
) CLUSTERED;
create index analysis_dues_by_time on analysis_dues (partition, at_us, namespace, unit_kind, unit_id);

create table analysis_cells (
    namespace   TEXT   not null,
    experiment  TEXT   not null,
    partition   bigint not null,
    measure     TEXT   not null,
    cohort      bigint not null,
    variant     TEXT   not null,
    day         bigint not null,
    n           bigint not null,
    nonzero     bigint not null,
    sum         TEXT   not null,
    sum_squares TEXT   not null,
    primary key (namespace, experiment, partition, measure, cohort, variant, day)
) CLUSTERED;

create table analysis_tallies (
    namespace  TEXT   not null,
    partition  bigint not null,
    duplicates bigint not null,
    conflicts  bigint not null,
    late       bigint not null,
    invalid    bigint not null,
    primary key (namespace, partition)
) CLUSTERED;
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (text, bytes, clustered) = match manager.get_database_backend() {
            DbBackend::Sqlite => ("text", "blob", "without rowid"),
            _ => (r#"text collate "C""#, "bytea", ""),
        };
        let tables = TABLES
            .replace("TEXT", text)
            .replace("BYTES", bytes)
            .replace("CLUSTERED", clustered);
        manager.get_connection().execute_unprepared(&tables).await?;
        Ok(())
    }
}
