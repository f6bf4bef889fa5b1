//! What the requests of all services have in common.

use std::sync::Arc;

use assay_core::key::ExperimentKey;
use assay_platform::{Failure, Principal, Role, telemetry::current_traceparent};
use assay_proto::{
    convert::{key_from, namespace_from},
    field::FieldErrors,
};
use tonic::{Request, metadata::MetadataMap};

use crate::{access::Asker, error::Error, experiment::VERSION_MISSING, truth::Call};

/// Who calls, and what.
pub(super) struct Caller {
    principal: Arc<Principal>,
    traceparent: String,
    peer: String,
}

/// The caller and the message of `request`.
pub(super) fn open<T>(request: Request<T>) -> (Caller, T) {
    let peer = request.remote_addr().map(|address| address.ip().to_string());
    let (metadata, extensions, message) = request.into_parts();
    let traceparent = current_traceparent()
        .or_else(|| traceparent(&metadata))
        .unwrap_or_else(new_traceparent);
    (
        Caller {
            principal: Principal::of(&extensions),
            traceparent,
            peer: peer.unwrap_or_default(),
        },
        message,
    )
}

/// The caller's trace, when none is recorded here: the audit trail keeps it all the same.
fn traceparent(metadata: &MetadataMap) -> Option<String> {
    const LENGTH: usize = 55;
    let text = metadata.get("traceparent")?.to_str().ok()?;
    let is_plain = text.len() == LENGTH && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_plain.then(|| text.to_owned())
}

/// A trace of its own for a request that came without: every request has an id by which it can be found again.
fn new_traceparent() -> String {
    format!(
        "00-{:032x}-{:016x}-00",
        rand::random::<u128>(),
        rand::random::<u64>()
    )
}

impl Caller {
    /// Who asks for what is in no namespace.
    pub(super) fn asker(self) -> Asker {
        Asker {
            principal: self.principal,
            traceparent: self.traceparent,
            peer: self.peer,
        }
    }

    /// That they may do `what`, which needs `role` besides that of the method.
    pub(super) fn may(&self, role: Role, what: &str) -> Result<(), Failure> {
        self.principal.check_role(role, what)
    }

    /// A call in `namespace`, which is `default` when empty, and where the caller may work.
    pub(super) fn to(self, namespace: &str) -> Result<Call, Error> {
        let namespace = namespace_from(namespace, "namespace")?;
        self.principal.check_namespace(namespace.as_str())?;
        Ok(Call {
            namespace,
            actor: self.principal.name.clone(),
            traceparent: self.traceparent,
            peer: self.peer,
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
