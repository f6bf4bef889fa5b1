//! The stored form of resources: the `document` column. Versioned (`{"v":1,…}`) and private to this adapter.
//!
//! A document holds what is not in a column of its own: neither namespace and key nor [`Meta`]. Fields that are not known are ignored,
//! so that a release can read what its successor wrote; a field that is added later needs a default. What a release has written can be
//! read for ever: `golden/` holds one document for each kind and version.

mod experiment;
mod flag;
mod holdout;
mod layer;
mod metric;
mod segment;
mod value;

use assay_core::{
    flag::{Meta, TargetPathError},
    key::{KeyError, Namespace},
    value::Value,
    weights::WeightError,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Kind, Resource};
use crate::Error;

/// Version of the documents that are written.
const VERSION: u32 = 1;

/// A document as it is stored: the version, then the body's fields.
#[derive(Serialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    body: T,
}

/// What every version of every document has.
#[derive(Deserialize)]
struct Header {
    v: u32,
}

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("a key {0}")]
    Key(#[from] KeyError),
    #[error("the target path {0}")]
    TargetPath(#[from] TargetPathError),
    #[error("{0}")]
    Weights(#[from] WeightError),
    #[error("buckets from {0} to before {1} are none")]
    Buckets(u32, u32),
    #[error("version {0} is not known to this release")]
    Version(u32),
}

/// What identifies a stored resource, from the columns beside its document.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The namespace.
    pub(super) namespace: Namespace,
    /// The kind.
    pub(super) kind: Kind,
    /// The key.
    pub(super) key: String,
    /// Version and times.
    pub(super) meta: Meta,
}

/// The document of `resource`.
///
/// # Errors
/// [`Error::Refused`] if it holds a number that JSON cannot.
pub(super) fn encode(resource: &Resource) -> Result<String, Error> {
    if let Some(number) = numbers(resource).into_iter().find(|number| !number.is_finite()) {
        return Err(Error::Refused {
            store: "database",
            source: format!("{number} is not a finite number").into(),
        });
    }
    let document = match resource {
        Resource::Flag(flag) => text(flag::FlagRecord::from(flag)),
        Resource::Segment(segment) => text(segment::SegmentRecord::from(segment)),
        Resource::Metric(metric) => text(metric::MetricRecord::from(metric)),
        Resource::Experiment(experiment) => text(experiment::ExperimentRecord::from(experiment)),
        Resource::Layer(layer) => text(layer::LayerRecord::from(layer)),
        Resource::Holdout(holdout) => text(holdout::HoldoutRecord::from(holdout)),
    };
    document.map_err(|error| Error::Refused {
        store: "database",
        source: error.into(),
    })
}

/// The resource whose document is `document`.
///
/// # Errors
/// [`Error::Corrupt`] if it cannot be understood.
pub(super) fn decode(identity: Identity, document: &str) -> Result<Resource, Error> {
    let what = format!(
        "{}/{} of namespace {}",
        identity.kind.name(),
        identity.key,
        identity.namespace
    );
    let resource = match identity.kind {
        Kind::Flag => body::<flag::FlagRecord>(document)
            .and_then(|record| record.flag(identity))
            .map(Resource::Flag),
        Kind::Segment => body::<segment::SegmentRecord>(document)
            .and_then(|record| record.segment(identity))
            .map(Resource::Segment),
        Kind::Metric => body::<metric::MetricRecord>(document)
            .and_then(|record| record.metric(identity))
            .map(Resource::Metric),
        Kind::Experiment => body::<experiment::ExperimentRecord>(document)
            .and_then(|record| record.experiment(identity))
            .map(Resource::Experiment),
        Kind::Layer => body::<layer::LayerRecord>(document)
            .and_then(|record| record.layer(identity))
            .map(Resource::Layer),
        Kind::Holdout => body::<holdout::HoldoutRecord>(document)
            .and_then(|record| record.holdout(identity))
            .map(Resource::Holdout),
    };
    resource.map_err(|broken| Error::Corrupt {
        store: "database",
        what,
        detail: broken.to_string(),
    })
}

/// The name of an experiment's state as it is stored, in the document and in the column.
pub(super) fn state_name(resource: &Resource) -> Option<&'static str> {
    match resource {
        Resource::Experiment(experiment) => Some(experiment::state_name(&experiment.state)),
        _ => None,
    }
}

fn text(body: impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Versioned { v: VERSION, body })
}

fn body<T: DeserializeOwned>(document: &str) -> Result<T, Broken> {
    match serde_json::from_str::<Header>(document)?.v {
        VERSION => Ok(serde_json::from_str(document)?),
        unknown => Err(Broken::Version(unknown)),
    }
}

/// All floating point numbers of `resource`.
fn numbers(resource: &Resource) -> Vec<f64> {
    let number = |value: &Value| match value {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    match resource {
        Resource::Flag(flag) => {
            let variations = flag.variations.iter().map(|variation| &variation.value);
            let segments = flag.segment_overrides.iter().map(|over| &over.value);
            let units = flag.unit_overrides.iter().map(|over| &over.value);
            let held = flag.held_defaults.iter().map(|held| &held.value);
            variations
                .chain(segments)
                .chain(units)
                .chain(held)
                .chain([&flag.default_value])
                .filter_map(number)
                .collect()
        }
        Resource::Segment(segment) => {
            let all = segment.comparisons().into_iter().flat_map(|rule| &rule.operands);
            all.filter_map(value::attribute_number).collect()
        }
        Resource::Metric(_) | Resource::Layer(_) | Resource::Holdout(_) => Vec::new(),
        Resource::Experiment(experiment) => {
            let values = experiment
                .variants
                .iter()
                .filter_map(|variant| number(&variant.value));
            let required = experiment.traffic.prerequisites.iter();
            let required = required.filter_map(|prerequisite| number(&prerequisite.value));
            values.chain(required).chain([experiment.confidence]).collect()
        }
    }
}

#[cfg(test)]
mod tests;
