//! RPC tests: through a real channel to `serve`, with the embedded bus and log.
#![expect(clippy::unwrap_used, reason = "a failure is a panic that names its line")]

mod acknowledgements;
mod answers;
mod bad_input;
mod configuration;
mod explain;
mod exposures;
mod fixtures;
mod guarded;
mod json;
mod observed;
mod openfeature;
mod remembered;
mod streams;
mod support;
mod ways;
