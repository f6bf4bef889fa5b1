//! `Assign` and its exposures on the wire without the generated types: read by borrowing, written from what was decided.
//!
//! What is written here equals, byte for byte, what the generated types encode; what is read here, they would read the same. Requests
//! that are out of the ordinary are not read at all: they go the plain way, which also words every refusal.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{Asked, asked};
pub use write::{assignment, exposure};
