//! Tries a segment on given attributes, and says why rule by rule.

use assay_core::{
    segment::{Explanation, Segment, compile_all},
    value::Attributes,
};

use super::Graph;
use crate::{
    error::{Error, refuse},
    simple::Simple,
    truth::{Call, Truth, name},
};

/// What is tried.
pub(crate) enum Subject {
    /// A stored segment, in one version or (0) the latest.
    Stored { key: String, version: u64 },
    /// One that need not be stored.
    Given(Segment),
}

/// The version that was tried, 0 when it is not stored, and what it says of a unit with `attributes`: decided and explained by the
/// very code that serves.
pub(crate) async fn test_segment(
    truth: &Truth,
    call: &Call,
    subject: Subject,
    attributes: &Attributes,
) -> Result<(u64, Explanation), Error> {
    let segment = match subject {
        Subject::Stored { key, version: 0 } => truth.get(&call.namespace, &key).await?,
        Subject::Stored { key, version } => version_of(truth, call, &key, version).await?,
        Subject::Given(segment) => {
            refuse(segment.check().errors)?;
            segment.resolve(truth, call).await?
        }
    };
    let mut graph = Graph::default();
    graph.load(&segment, truth, call).await?;
    graph.check(&segment)?;
    let mut compiled = compile_all(graph.all().chain([&segment]));
    match compiled.remove(&(&segment.key, segment.meta.version)) {
        Some(Ok(audience)) => Ok((segment.meta.version, audience.explain(attributes))),
        Some(Err(error)) => Err(Error::field("segment", "NOT_COMPILABLE", error.to_string())),
        None => Err(Error::NotFound {
            what: name::<Segment>(segment.key.as_str()),
        }),
    }
}

/// A segment in one of its versions; `NotFound` when there never was one.
pub(crate) async fn version_of(
    truth: &Truth,
    call: &Call,
    key: &str,
    version: u64,
) -> Result<Segment, Error> {
    let found = truth.segment_version(&call.namespace, key, version).await?;
    found.ok_or_else(|| Error::NotFound {
        what: format!("version {version} of {}", name::<Segment>(key)),
    })
}
