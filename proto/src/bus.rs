//! What the configuration bus carries: one published resource in each value, in a form that is kept readable for ever.

use assay_core::{experiment::Experiment, flag::Flag, holdout::Holdout, segment::Segment};
use prost::Message;

use crate::{
    field::FieldErrors,
    stream::v1::{Resource, resource},
};

/// A resource that was published.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "short-lived; experiments are the common case"
)]
pub enum Published {
    /// A flag.
    Flag(Flag),
    /// A segment, in one of its versions.
    Segment(Segment),
    /// An experiment.
    Experiment(Experiment),
    /// A holdout.
    Holdout(Holdout),
}

impl Published {
    /// Its key on the bus within its namespace: `flag/gate`, `experiment/cookie-cats`, `segment/new-players@3`.
    ///
    /// A segment's key has its version, for beside the latest one those are published that running experiments have pinned.
    pub fn key(&self) -> String {
        match self {
            Self::Flag(flag) => format!("flag/{}", flag.key),
            Self::Segment(segment) => format!("segment/{}@{}", segment.key, segment.meta.version),
            Self::Experiment(experiment) => format!("experiment/{}", experiment.key),
            Self::Holdout(holdout) => format!("holdout/{}", holdout.key),
        }
    }
}

/// The bytes of a published resource. Equal resources give equal bytes.
pub fn encode(published: &Published) -> Vec<u8> {
    let resource = match published {
        Published::Flag(flag) => resource::Resource::Flag(flag.into()),
        Published::Segment(segment) => resource::Resource::Segment(segment.into()),
        Published::Experiment(experiment) => resource::Resource::Experiment(experiment.into()),
        Published::Holdout(holdout) => resource::Resource::Holdout(holdout.into()),
    };
    Resource {
        resource: Some(resource),
    }
    .encode_to_vec()
}

/// The published resource that `bytes` are.
///
/// # Errors
/// The fields that cannot be understood; a field of no name when the bytes are no message at all.
pub fn decode(bytes: &[u8]) -> Result<Published, FieldErrors> {
    let resource = Resource::decode(bytes).map_err(|error| {
        FieldErrors::one(
            "resource",
            "ENCODING",
            format!("is not a published resource: {error}"),
        )
    })?;
    match resource.resource {
        Some(resource::Resource::Flag(flag)) => {
            flag.try_into().map(Published::Flag).map_err(|e| e.under("flag"))
        }
        Some(resource::Resource::Segment(segment)) => segment
            .try_into()
            .map(Published::Segment)
            .map_err(|e| e.under("segment")),
        Some(resource::Resource::Experiment(experiment)) => experiment
            .try_into()
            .map(Published::Experiment)
            .map_err(|e| e.under("experiment")),
        Some(resource::Resource::Holdout(holdout)) => holdout
            .try_into()
            .map(Published::Holdout)
            .map_err(|e| e.under("holdout")),
        None => Err(FieldErrors::one(
            "resource",
            "REQUIRED",
            "is of a kind that this version does not know",
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests;
