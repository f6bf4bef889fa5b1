//! Makes the resources of a namespace as they are given, in one change. See docs/decisions/0011-import-by-rehearsal.md.

use std::{borrow::Cow, collections::BTreeSet, future::Future, pin::Pin, sync::Arc};

use assay_core::{
    flag::Flag,
    holdout::Holdout,
    layer::Layer,
    lifecycle::State,
    metric::Metric,
    segment::Segment,
    validate::{Step, Violation},
};
use assay_platform::Failure;
use assay_proto::field::{FieldError, FieldErrors};
use assay_storage::config_store::{Kind, Resource};

use super::{Pair, expect};
use crate::{
    delete::delete,
    error::{Error, refuse_long},
    experiment::{self, Order as Command},
    stage::Stage,
    truth::{Call, Deed, Truth, Writes},
};

/// Creates or updates one resource, and says what is worth a look.
pub(crate) type Put = Box<
    dyn Fn(Truth, Call) -> Pin<Box<dyn Future<Output = Result<Vec<Violation>, Error>> + Send>> + Send + Sync,
>;

/// A resource that the namespace is to have.
pub(crate) struct Item {
    /// Where it stands in the request, such as `flags[3]`.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) put: Put,
}

/// What is asked for.
pub(crate) struct Order {
    /// In an order in which most of what a resource refers to comes before it.
    pub(crate) items: Vec<Item>,
    pub(crate) prune: bool,
    pub(crate) dry_run: bool,
    pub(crate) expected: Option<u64>,
    pub(crate) reason: String,
}

/// What has come of it.
pub(crate) struct Imported {
    pub(crate) generation: u64,
    pub(crate) changes: Vec<Pair>,
    pub(crate) warnings: Vec<Violation>,
}

/// Rehearses everything, then makes it in one change.
pub(crate) async fn import(truth: &Truth, call: &Call, order: Order) -> Result<Imported, Error> {
    check(&order)?;
    let stage = Arc::new(truth.stage(&call.namespace).await?);
    let newest = stage.read_at();
    expect(&call.namespace, order.expected.unwrap_or(newest), newest)?;
    let rehearsal = truth.rehearsal(stage.clone());
    let mut warnings = put_all(&rehearsal, call, &order.items).await?;
    if order.prune {
        warnings.extend(prune(&rehearsal, call, &stage, &order.items).await?);
    }
    let changes = stage.changes();
    refuse_versions_of_elsewhere(truth, call, &order.items, &changes).await?;
    let mut imported = Imported {
        generation: newest,
        changes,
        warnings,
    };
    if imported.changes.is_empty() || order.dry_run {
        return Ok(imported);
    }
    let writes = imported
        .changes
        .iter()
        .fold(Writes::default(), |writes, (before, after)| {
            writes.change(before.as_ref(), after.clone())
        });
    let deed = Deed {
        action: "namespace.import".to_owned(),
        subject: format!("namespace/{}", call.namespace),
        reason: order.reason,
    };
    let committed = truth.commit(call, deed, writes.at(newest)).await?;
    imported.generation = committed.generation;
    Ok(imported)
}

/// Refuses segments that name a version of another one which this namespace has never had: in the place that they come from it may have
/// meant other units.
async fn refuse_versions_of_elsewhere(
    truth: &Truth,
    call: &Call,
    items: &[Item],
    changes: &[Pair],
) -> Result<(), Error> {
    let mut errors = FieldErrors::default();
    for (_, after) in changes {
        let Some(Resource::Segment(segment)) = after else {
            continue;
        };
        for (_, nested) in segment.references() {
            let Some(version) = nested.pinned else { continue };
            let key = nested.key.as_str();
            if truth
                .segment_version(&call.namespace, key, version)
                .await?
                .is_some()
            {
                continue;
            }
            let of = |item: &&Item| item.kind == Kind::Segment && item.key == segment.key.as_str();
            let path = items.iter().find(of).map_or("segments", |item| &item.path);
            let message = format!(
                "names version {version} of segment `{key}`, which this namespace has never had: versions are not carried; name the segment without a version"
            );
            errors.push(format!("{path}.rules"), "VERSION_OF_ELSEWHERE", message);
        }
    }
    if errors.0.is_empty() {
        Ok(())
    } else {
        Err(Error::CannotImport(errors))
    }
}

fn check(order: &Order) -> Result<(), Error> {
    let mut errors = FieldErrors::default();
    let mut seen = BTreeSet::new();
    for item in &order.items {
        if !seen.insert((item.kind, &item.key)) {
            let message = format!("is `{}` a second time; give each key once", item.key);
            errors.push(format!("{}.key", item.path), "DUPLICATE", message);
        }
    }
    refuse_long(&order.reason, &mut errors);
    errors.finish(Some(())).map_err(Error::from)
}

/// Puts what can be put, until nothing more can: what a resource refers to may come after it.
async fn put_all(rehearsal: &Truth, call: &Call, items: &[Item]) -> Result<Vec<Violation>, Error> {
    let mut warnings = Vec::new();
    let mut pending: Vec<&Item> = items.iter().collect();
    loop {
        let (mut errors, mut failed) = (FieldErrors::default(), Vec::new());
        for item in &pending {
            match (item.put)(rehearsal.clone(), call.clone()).await {
                Ok(found) => warnings.extend(found.into_iter().map(|found| Violation {
                    field: format!("{}.{}", item.path, found.field),
                    ..found
                })),
                Err(error) => {
                    errors.0.extend(located(&item.path, error)?.0);
                    failed.push(*item);
                }
            }
        }
        if failed.is_empty() {
            return Ok(warnings);
        }
        if failed.len() == pending.len() {
            return Err(Error::CannotImport(errors));
        }
        pending = failed;
    }
}

/// What `error` says of the resource at `path`; the error itself when it is not about the resource.
fn located(path: &str, error: Error) -> Result<FieldErrors, Error> {
    match error {
        Error::Invalid(errors)
        | Error::ConfigLocked {
            violations: errors, ..
        }
        | Error::ValidationFailed {
            violations: errors, ..
        } => {
            let located = errors.0.into_iter().map(|error| FieldError {
                field: format!("{path}.{}", error.field),
                ..error
            });
            Ok(FieldErrors(located.collect()))
        }
        error @ (Error::Store(_) | Error::Access(_) | Error::InProgress) => Err(error),
        error => {
            let failure = Failure::from(error);
            // All reasons of refusals are literals.
            let rule = match failure.reason {
                Cow::Borrowed(rule) => rule,
                Cow::Owned(_) => "REFUSED",
            };
            Ok(FieldErrors::one(path, rule, failure.message.clone()))
        }
    }
}

/// Removes what is not among `items`, until nothing more can be removed, and says what stays.
async fn prune(
    rehearsal: &Truth,
    call: &Call,
    stage: &Stage,
    items: &[Item],
) -> Result<Vec<Violation>, Error> {
    let given: BTreeSet<_> = items.iter().map(|item| (item.kind, item.key.as_str())).collect();
    let mut pending = stage.resources();
    pending.retain(|resource| !given.contains(&(resource.kind(), resource.key())) && !is_history(resource));
    loop {
        let (mut kept, mut failed) = (Vec::new(), Vec::new());
        // Experiments refer to all others, and holdouts to layers: the last kinds go first.
        for resource in pending.iter().rev() {
            if let Err(error) = remove(rehearsal, call, resource).await {
                let path = format!("{}/{}", resource.kind().name(), resource.key());
                kept.extend(located(&path, error)?.0);
                failed.push(resource.clone());
            }
        }
        if failed.len() == pending.len() {
            return Ok(kept.into_iter().map(stays).collect());
        }
        failed.reverse();
        pending = failed;
    }
}

/// Whether nobody expects it to go: its data are kept, and its key with them.
fn is_history(resource: &Resource) -> bool {
    matches!(
        resource,
        Resource::Experiment(experiment) if matches!(experiment.state, State::Ended(_) | State::Archived { .. })
    )
}

async fn remove(rehearsal: &Truth, call: &Call, resource: &Resource) -> Result<(), Error> {
    let (key, version) = (resource.key(), resource.meta().version);
    // An earlier removal may have revised it.
    let found = rehearsal.version(&call.namespace, resource.kind(), key).await?;
    let version = found.unwrap_or(version);
    match resource.kind() {
        Kind::Flag => delete::<Flag>(rehearsal, call, key, version).await,
        Kind::Segment => delete::<Segment>(rehearsal, call, key, version).await,
        Kind::Metric => delete::<Metric>(rehearsal, call, key, version).await,
        Kind::Layer => delete::<Layer>(rehearsal, call, key, version).await,
        Kind::Holdout => delete::<Holdout>(rehearsal, call, key, version).await,
        Kind::Experiment => {
            let order = Command::new(key.to_owned(), version, String::new());
            experiment::delete::delete(rehearsal, call, order).await
        }
    }
}

fn stays(error: FieldError) -> Violation {
    Violation {
        step: Step::Review,
        field: error.field,
        rule: "NOT_PRUNED",
        message: format!("is not given and stays: {}", error.message),
    }
}
