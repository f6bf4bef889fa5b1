//! The contents of a namespace: from resources to definitions, and from definitions to what an import puts.

use std::{future::Future, sync::Arc};

use assay_core::{experiment::Experiment, key::Namespace, validate::Violation};
use assay_proto::{config::v1 as pb, field::FieldErrors};
use assay_storage::config_store::{Kind, Resource};
use prost::Message;

use super::{experiments::decode, flags, holdouts, layers, mask::Mask, metrics, request::key, segments};
use crate::{
    create::create,
    error::Error,
    experiment::{create::create as create_experiment, sketch::Sketch, update::update as update_experiment},
    generation::import::{Item, Put},
    simple::Simple,
    truth::{Call, Truth},
    update::update,
};

/// The definitions of `resources`: nothing that is output only, and no namespace, so that they can be imported anywhere.
pub(super) fn definitions(resources: &[Resource]) -> pb::NamespaceContents {
    let mut contents = pb::NamespaceContents::default();
    for resource in resources {
        match resource {
            Resource::Flag(flag) => contents.flags.push(pb::Flag {
                namespace: String::new(),
                ..flags::definition(flag.into())
            }),
            Resource::Segment(segment) => contents.segments.push(pb::Segment {
                namespace: String::new(),
                ..segments::definition(segment.into())
            }),
            Resource::Metric(metric) => contents.metrics.push(pb::Metric {
                namespace: String::new(),
                ..metrics::definition(metric.into())
            }),
            Resource::Layer(layer) => contents.layers.push(pb::Layer {
                namespace: String::new(),
                ..layers::definition(layer.into())
            }),
            Resource::Holdout(holdout) => contents.holdouts.push(pb::Holdout {
                namespace: String::new(),
                ..holdouts::definition(holdout.into())
            }),
            Resource::Experiment(experiment) => contents.experiments.push(pb::Experiment {
                namespace: String::new(),
                ..decode::definition(experiment.into())
            }),
        }
    }
    contents
}

/// What is to be put, in an order in which most of what a resource refers to comes before it.
///
/// # Errors
/// The keys that are none.
pub(super) fn items(contents: pb::NamespaceContents, namespace: &Namespace) -> Result<Vec<Item>, Error> {
    let (mut items, mut errors) = (Vec::new(), FieldErrors::default());
    macro_rules! each {
        ($field:ident, $kind:ident, $put:expr) => {
            for (i, mut message) in contents.$field.into_iter().enumerate() {
                let path = format!(concat!(stringify!($field), "[{}]"), i);
                namespace.as_str().clone_into(&mut message.namespace);
                match key(&message.key) {
                    Ok(key) => items.push(Item {
                        path,
                        kind: Kind::$kind,
                        put: $put(key.clone(), message),
                        key,
                    }),
                    Err(wrong) => errors.0.extend(wrong.0.into_iter().map(|mut error| {
                        error.field = format!("{path}.{}", error.field);
                        error
                    })),
                }
            }
        };
    }
    each!(layers, Layer, |key, message| put(
        key,
        message,
        layers::new,
        layers::edited
    ));
    each!(segments, Segment, |key, message| put(
        key,
        message,
        segments::new,
        segments::edited
    ));
    each!(metrics, Metric, |key, message| put(
        key,
        message,
        metrics::new,
        metrics::edited
    ));
    each!(flags, Flag, |key, message| put(
        key,
        message,
        flags::new,
        flags::edited
    ));
    each!(holdouts, Holdout, |key, message| put(
        key,
        message,
        holdouts::new,
        holdouts::edited
    ));
    each!(experiments, Experiment, put_experiment);
    errors.finish(Some(items)).map_err(Error::from)
}

/// Creates the resource, or makes it as it is given.
fn put<R: Simple, M: Message + Clone + 'static>(
    key: String,
    message: M,
    new: fn(M) -> Result<R, Error>,
    edited: fn(&R, M, &Mask) -> Result<R, FieldErrors>,
) -> Put {
    again(
        key,
        message,
        move |truth: Truth, call: Call, key: String, message: M| async move {
            let Some(current) = truth.find::<R>(&call.namespace, &key).await? else {
                create(&truth, &call, new(message)?).await?;
                return Ok(Vec::new());
            };
            let all = Mask::all();
            let edit = |current: &R| edited(current, message.clone(), &all).map_err(Error::from);
            let (_, warnings) = update(&truth, &call, &key, current.meta().version, edit).await?;
            Ok(warnings)
        },
    )
}

/// Creates the experiment as a draft, or makes it as it is given, as far as its state allows.
fn put_experiment(key: String, message: pb::Experiment) -> Put {
    again(
        key,
        message,
        async |truth: Truth, call: Call, key: String, mut message: pb::Experiment| {
            let Some(current) = truth.find::<Experiment>(&call.namespace, &key).await? else {
                let sketch = Sketch {
                    keeps_control: true,
                    ..decode::sketch(message)?
                };
                let (_, warnings) = create_experiment(&truth, &call, sketch, false).await?;
                return Ok(warnings);
            };
            message.version = current.meta.version;
            if decode::definition(message.clone()) == decode::definition((&current).into()) {
                return Ok(Vec::new());
            }
            let (_, warnings) = update_experiment(&truth, &call, decode::edit(message, None)?).await?;
            Ok(warnings)
        },
    )
}

/// What can be done several times, each time with a key and a message of its own.
fn again<M, F, O>(key: String, message: M, then: F) -> Put
where
    M: Clone + Send + Sync + 'static,
    F: Fn(Truth, Call, String, M) -> O + Send + Sync + 'static,
    O: Future<Output = Result<Vec<Violation>, Error>> + Send + 'static,
{
    let then = Arc::new(then);
    Box::new(move |truth, call| Box::pin(then(truth, call, key.clone(), message.clone())))
}
