//! The versions of segments that are not the latest.

use std::collections::BTreeSet;

use assay_core::key::Namespace;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::row::{number, segment_of};
use crate::{
    Error,
    config_store::{Kind, Published, Resource, Unreadable, tables::segment_revisions},
    sql::classify,
};

/// A segment's key and version.
type Id = (String, u64);

/// How many versions one statement asks for: each takes two of its parameters.
const CHUNK: usize = 200;

/// Adds to what is `published` of a namespace, which has the latest resources, every version of a segment that a live experiment has
/// pinned, that a segment nests, and so on. What is not there is passed over: whoever needs it finds that out.
pub(super) async fn add_needed(
    connection: &impl ConnectionTrait,
    published: &mut Published,
) -> Result<(), Error> {
    let mut known: BTreeSet<Id> = published.resources.iter().filter_map(id).collect();
    let mut wanted: BTreeSet<Id> = published.resources.iter().flat_map(needed).collect();
    loop {
        wanted.retain(|id| !known.contains(id));
        if wanted.is_empty() {
            return Ok(());
        }
        let rows = rows(connection, &published.namespace, &wanted).await?;
        known.append(&mut wanted);
        for row in rows {
            let key = row.key.clone();
            match segment_of(row).map(Resource::Segment) {
                Ok(segment) => {
                    wanted.extend(needed(&segment));
                    published.resources.push(segment);
                }
                Err(error) => published.unreadable.push(Unreadable {
                    kind: Kind::Segment,
                    key,
                    detail: error.to_string(),
                }),
            }
        }
    }
}

fn id(resource: &Resource) -> Option<Id> {
    match resource {
        Resource::Segment(segment) => Some((segment.key.to_string(), segment.meta.version)),
        _ => None,
    }
}

/// The versions of segments that `resource` cannot do without.
fn needed(resource: &Resource) -> Vec<Id> {
    match resource {
        Resource::Segment(segment) => {
            let nested = segment.references().into_iter();
            nested
                .map(|(_, nested)| (nested.key.to_string(), nested.resolved))
                .collect()
        }
        Resource::Experiment(experiment) if experiment.state.is_live() => {
            let pinned = experiment.segment.as_ref().zip(experiment.segment_version);
            pinned
                .map(|(key, version)| (key.to_string(), version))
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Those of the `wanted` versions that there are, in order of key and version.
pub(super) async fn rows(
    connection: &impl ConnectionTrait,
    namespace: &Namespace,
    wanted: &BTreeSet<Id>,
) -> Result<Vec<segment_revisions::Model>, Error> {
    use segment_revisions::Column::{Key, Namespace, Version};
    let mut found = Vec::new();
    let all: Vec<_> = wanted.iter().collect();
    for chunk in all.chunks(CHUNK) {
        let mut any = Condition::any();
        for (key, version) in chunk {
            any = any.add(
                Condition::all()
                    .add(Key.eq(key))
                    .add(Version.eq(number(*version))),
            );
        }
        let query = segment_revisions::Entity::find()
            .filter(Namespace.eq(namespace.as_str()))
            .filter(any)
            .order_by_asc(Key)
            .order_by_asc(Version);
        found.extend(query.all(connection).await.map_err(classify)?);
    }
    Ok(found)
}
