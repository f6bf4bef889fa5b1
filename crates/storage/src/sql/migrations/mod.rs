//! The tables of this crate, in the order in which they came to be. A migration that was released never changes: add one.

mod m0001_config;
mod m0002_analysis;
mod m0003_log;
mod m0010_lifecycle;
mod m0011_callers;
mod m0011_generations;
mod m0013_units;
mod m0014_access;
mod m0015_fence;
mod m0016_segment_revisions;
mod m0017_terms;

use sea_orm_migration::{
    MigrationTrait, MigratorTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbBackend, DbErr},
};

/// All migrations, oldest first.
pub(super) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_config::Migration),
            Box::new(m0002_analysis::Migration),
            Box::new(m0003_log::Migration),
            Box::new(m0010_lifecycle::Migration),
            Box::new(m0011_callers::Migration),
            Box::new(m0013_units::Migration),
            Box::new(m0014_access::Migration),
            Box::new(m0015_fence::Migration),
            Box::new(m0016_segment_revisions::Migration),
            Box::new(m0011_generations::Migration),
            Box::new(m0017_terms::Migration),
        ]
    }
}

/// Runs the statements of `sql`, in which `{key}` is a text that sorts by its bytes and `{bytes}` is binary, whatever the database.
async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let (key, bytes) = match manager.get_database_backend() {
        DbBackend::Sqlite => ("text", "blob"),
        _ => ("text collate \"C\"", "bytea"),
    };
    manager
        .get_connection()
        .execute_unprepared(&sql.replace("{key}", key).replace("{bytes}", bytes))
        .await?;
    Ok(())
}
