//! The index of experiments by owner, tags and words.

use std::collections::BTreeSet;

use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Set, sea_query::ExprTrait as _,
};

use super::row::{resource_of, text};
use crate::{
    Error,
    config_store::{
        Filter, Kind, Resource,
        search::{self, owner_term, tag_term, word_range, words},
        tables::{experiment_terms, resources},
    },
    sql::{Transaction, classify},
};

/// Rows of one statement.
const CHUNK: usize = 1_000;

/// Makes the terms of `stored`, which has replaced `before`, those that it is found by.
pub(super) async fn replace(
    transaction: &Transaction,
    before: Option<&resources::Model>,
    stored: &Resource,
) -> Result<(), Error> {
    let Resource::Experiment(experiment) = stored else {
        return Ok(());
    };
    let terms: BTreeSet<_> = search::terms(experiment).iter().map(|term| text(term)).collect();
    if before.is_some_and(|row| terms_of(row).as_ref() == Some(&terms)) {
        return Ok(());
    }
    if before.is_some() {
        remove(
            transaction,
            Kind::Experiment,
            stored.namespace().as_str(),
            stored.key(),
        )
        .await?;
    }
    let rows: Vec<_> = terms
        .into_iter()
        .map(|term| experiment_terms::ActiveModel {
            namespace: Set(stored.namespace().to_string()),
            term: Set(term),
            key: Set(stored.key().to_owned()),
        })
        .collect();
    for chunk in rows.chunks(CHUNK) {
        experiment_terms::Entity::insert_many(chunk.to_vec())
            .exec_without_returning(&**transaction)
            .await
            .map_err(classify)?;
    }
    Ok(())
}

/// Those that the stored row is found by; none when it cannot be read.
fn terms_of(row: &resources::Model) -> Option<BTreeSet<String>> {
    match resource_of(row.clone()) {
        Ok(Resource::Experiment(experiment)) => {
            Some(search::terms(&experiment).iter().map(|term| text(term)).collect())
        }
        _ => None,
    }
}

/// Removes all terms of a resource that is no more.
pub(super) async fn remove(
    transaction: &Transaction,
    kind: Kind,
    namespace: &str,
    key: &str,
) -> Result<(), Error> {
    if kind != Kind::Experiment {
        return Ok(());
    }
    experiment_terms::Entity::delete_many()
        .filter(experiment_terms::Column::Namespace.eq(namespace))
        .filter(experiment_terms::Column::Key.eq(key))
        .exec(&**transaction)
        .await
        .map_err(classify)?;
    Ok(())
}

/// What owner, tags and text of `filter` ask of the experiments of `namespace`.
pub(super) fn matching(namespace: &str, filter: &Filter) -> Condition {
    use experiment_terms::Column::Term;

    let owner = filter.owner.iter().map(|owner| Term.eq(text(&owner_term(owner))));
    let tags = filter.tags.iter().map(|tag| Term.eq(text(&tag_term(tag))));
    let of_words = words(&filter.text).map(|word| {
        let (from, to) = word_range(&word);
        Term.gte(from).and(Term.lt(to))
    });
    let mut wanted = Condition::all();
    for term in owner.chain(tags).chain(of_words) {
        let having = experiment_terms::Entity::find()
            .select_only()
            .column(experiment_terms::Column::Key)
            .filter(experiment_terms::Column::Namespace.eq(namespace))
            .filter(term)
            .into_query();
        wanted = wanted.add(resources::Column::Key.in_subquery(having));
    }
    wanted
}
