//! Generations: one use case per file, and what they share.

pub(crate) mod diff;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod rollback;

pub(crate) use crate::stage::Pair;

/// The generation that a request must name in `field`.
pub(crate) fn required(generation: u64, field: &str) -> Result<u64, crate::error::Error> {
    match generation {
        0 => Err(crate::error::Error::field(
            field,
            "REQUIRED",
            "is missing; give a generation, from 1",
        )),
        generation => Ok(generation),
    }
}
