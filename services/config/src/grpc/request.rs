//! What the requests of all services have in common.

use assay_core::key::{ExperimentKey, MAX_KEY_BYTES};
use assay_platform::telemetry::current_traceparent;
use assay_proto::{
    convert::{key_from, namespace_from},
    field::FieldErrors,
};
use tonic::{Request, metadata::MetadataMap};

use crate::{error::Error, experiment::VERSION_MISSING, truth::Call};

/// The header in which a caller says who it is.
const CALLER: &str = "x-assay-caller";
const ANONYMOUS: &str = "anonymous";

/// Who calls, and what.
pub(super) struct Caller {
    actor: String,
    traceparent: String,
}

/// The caller and the message of `request`.
pub(super) fn open<T>(request: Request<T>) -> (Caller, T) {
    let (metadata, _, message) = request.into_parts();
    let traceparent = current_traceparent()
        .or_else(|| traceparent(&metadata))
        .unwrap_or_default();
    (
        Caller {
            actor: actor(&metadata),
            traceparent,
        },
        message,
    )
}

fn actor(metadata: &MetadataMap) -> String {
    let named = metadata
        .get(CALLER)
        .and_then(|value| value.to_str().ok())
        .map(str::trim);
    let named = named.filter(|name| !name.is_empty() && name.len() <= MAX_KEY_BYTES);
    named.unwrap_or(ANONYMOUS).to_owned()
}

/// The caller's trace, when none is recorded here: the audit trail keeps it all the same.
fn traceparent(metadata: &MetadataMap) -> Option<String> {
    const LENGTH: usize = 55;
    let text = metadata.get("traceparent")?.to_str().ok()?;
    let is_plain = text.len() == LENGTH && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_plain.then(|| text.to_owned())
}

impl Caller {
    /// A call in `namespace`, which is `default` when empty.
    pub(super) fn to(self, namespace: &str) -> Result<Call, Error> {
        let namespace = namespace_from(namespace, "namespace")?;
        Ok(Call {
            namespace,
            actor: self.actor,
            traceparent: self.traceparent,
        })
    }
}

/// A key of any kind: they all have one grammar.
pub(super) fn key(text: &str) -> Result<String, FieldErrors> {
    key_from(text, "key", ExperimentKey::new).map(|key| key.as_str().to_owned())
}

/// The resource of a request, which must be there.
pub(super) fn required<T>(resource: Option<T>, field: &str) -> Result<T, Error> {
    resource.ok_or_else(|| Error::field(field, "REQUIRED", "is missing; give the resource"))
}

/// The key and the version that a write must name.
pub(super) fn versioned(text: &str, version: u64) -> Result<(String, u64), Error> {
    let mut errors = FieldErrors::default();
    let key = errors.keep(key(text));
    if version == 0 {
        errors.push("version", "REQUIRED", VERSION_MISSING);
    }
    Ok((errors.finish(key)?, version))
}
