//! Between rows and resources.

use assay_core::{flag::Meta, key::Namespace, segment::Segment, time::Timestamp};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait};

use crate::{
    Error,
    config_store::{
        Kind, Published, Resource, Unreadable, record,
        tables::{resources, revisions, segment_revisions},
    },
    sql::classify,
};

/// The row of the resource, if there is one.
pub(super) async fn find(
    connection: &impl ConnectionTrait,
    namespace: &Namespace,
    kind: Kind,
    key: &str,
) -> Result<Option<resources::Model>, Error> {
    let id = (namespace.to_string(), kind.name().to_owned(), key.to_owned());
    resources::Entity::find_by_id(id)
        .one(connection)
        .await
        .map_err(classify)
}

/// The row that stores `resource`, its `meta` included.
pub(super) fn row_of(resource: &Resource) -> Result<resources::Model, Error> {
    let meta = resource.meta();
    Ok(resources::Model {
        namespace: resource.namespace().to_string(),
        kind: resource.kind().name().to_owned(),
        key: resource.key().to_owned(),
        version: number(meta.version),
        generation: number(meta.generation),
        name: text(resource.name()),
        state: record::state_name(resource).map(str::to_owned),
        flag_key: match resource {
            Resource::Experiment(experiment) => Some(experiment.flag.to_string()),
            _ => None,
        },
        live: resource.reserves().is_some(),
        due_us: resource.due_at().map(Timestamp::micros),
        created_us: meta.created_at.micros(),
        updated_us: meta.updated_at.micros(),
        document: record::encode(resource)?,
    })
}

/// The resource that `row` stores.
pub(super) fn resource_of(row: resources::Model) -> Result<Resource, Error> {
    let kind = kind_of(&row);
    let kind = kind.ok_or_else(|| corrupt(&row.key, format!("{:?} is no kind of resource", row.kind)))?;
    let meta = Meta {
        version: count(row.version),
        generation: count(row.generation),
        created_at: Timestamp::from_micros(row.created_us),
        updated_at: Timestamp::from_micros(row.updated_us),
    };
    let identity = record::Identity {
        namespace: namespace_of(row.namespace)?,
        kind,
        key: row.key,
        meta,
    };
    record::decode(identity, &row.document)
}

/// The row of a resource as it was written once; what is only looked up among present rows is left empty.
pub(super) fn row_of_revision(row: revisions::Model) -> resources::Model {
    resources::Model {
        namespace: row.namespace,
        kind: row.kind,
        key: row.key,
        version: row.version,
        generation: row.generation,
        name: String::new(),
        state: row.state,
        flag_key: None,
        live: false,
        due_us: None,
        created_us: row.created_us,
        updated_us: row.updated_us,
        document: row.document,
    }
}

/// Lets through what is published, of rows with these columns: flags, segments, holdouts, and experiments but drafts.
pub(super) fn is_published<C: ColumnTrait>(kind: C, state: C) -> Condition {
    let always = [Kind::Flag, Kind::Segment, Kind::Holdout].map(Kind::name);
    let experiments = Condition::all()
        .add(kind.eq(Kind::Experiment.name()))
        .add(state.ne("DRAFT"));
    Condition::any().add(kind.is_in(always)).add(experiments)
}

/// What is published of `namespace` when it has these `rows`.
pub(super) fn published(namespace: &Namespace, generation: u64, rows: Vec<resources::Model>) -> Published {
    let mut published = Published {
        namespace: namespace.clone(),
        generation,
        resources: Vec::new(),
        unreadable: Vec::new(),
    };
    for row in rows {
        match readable(row) {
            Ok(resource) => published.resources.push(resource),
            Err(unreadable) => published.unreadable.push(unreadable),
        }
    }
    published
}

/// The resource that `row` stores, or its name and why it cannot be read.
fn readable(row: resources::Model) -> Result<Resource, Unreadable> {
    let kind = kind_of(&row).expect("published rows are asked for by kind");
    let key = row.key.clone();
    resource_of(row).map_err(|error| Unreadable {
        kind,
        key,
        detail: error.to_string(),
    })
}

fn kind_of(row: &resources::Model) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == row.kind)
}

/// The segment that `row` stores in one of its versions.
pub(super) fn segment_of(row: segment_revisions::Model) -> Result<Segment, Error> {
    let meta = Meta {
        version: count(row.version),
        generation: count(row.generation),
        created_at: Timestamp::from_micros(row.created_us),
        updated_at: Timestamp::from_micros(row.updated_us),
    };
    let what = format!("segment/{} version {}", row.key, row.version);
    let identity = record::Identity {
        namespace: namespace_of(row.namespace)?,
        kind: Kind::Segment,
        key: row.key,
        meta,
    };
    match record::decode(identity, &row.document)? {
        Resource::Segment(segment) => Ok(segment),
        other => Err(corrupt(&what, format!("it is a {}", other.kind().name()))),
    }
}

/// The same segment as one version among others.
pub(super) fn revision_of(row: &resources::Model) -> segment_revisions::Model {
    segment_revisions::Model {
        namespace: row.namespace.clone(),
        key: row.key.clone(),
        version: row.version,
        generation: row.generation,
        created_us: row.created_us,
        updated_us: row.updated_us,
        document: row.document.clone(),
    }
}

/// The namespace that a column names.
pub(super) fn namespace_of(name: String) -> Result<Namespace, Error> {
    Namespace::new(name.as_str()).map_err(|error| corrupt("a namespace", format!("{name:?} {error}")))
}

/// `text` as Postgres can store it: without NUL.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A count as a column has it.
pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A column as a count.
pub(crate) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn corrupt(what: &str, detail: String) -> Error {
    Error::Corrupt {
        store: "database",
        what: what.to_owned(),
        detail,
    }
}
