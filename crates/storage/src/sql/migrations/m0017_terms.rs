//! The index of terms by experiment has the terms, too: whether a word is among them is then looked up and not searched.

use sea_orm_migration::{
    MigrationTrait, SchemaManager, async_trait,
    sea_orm::{DbErr, DeriveMigrationName},
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const INDEX: &str = r#"
drop index experiment_terms_by_key;
create index experiment_terms_by_key on experiment_terms (namespace, key, term);
"#;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        super::run(manager, INDEX).await
    }
}
