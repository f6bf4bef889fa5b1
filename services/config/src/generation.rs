//! Generations: one use case per file, and what they share.

pub(crate) mod diff;
pub(crate) mod list;
pub(crate) mod rollback;

use assay_storage::config_store::Resource;

/// One resource before and after; at least one of both is there.
pub(crate) type Pair = (Option<Resource>, Option<Resource>);

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
