//! Generations: one use case per file, and what they share.

pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod rollback;

use assay_core::key::Namespace;

use crate::error::Error;
pub(crate) use crate::stage::Pair;

/// The generation that a request must name in `field`.
pub(crate) fn required(generation: u64, field: &str) -> Result<u64, Error> {
    match generation {
        0 => Err(Error::field(
            field,
            "REQUIRED",
            "is missing; give a generation, from 1",
        )),
        generation => Ok(generation),
    }
}

/// Refuses what was decided on another generation of `namespace` than the `newest`.
fn expect(namespace: &Namespace, expected: u64, newest: u64) -> Result<(), Error> {
    match expected == newest {
        true => Ok(()),
        false => Err(Error::VersionMismatch {
            what: format!("namespace {namespace}"),
            expected,
            found: newest,
        }),
    }
}
