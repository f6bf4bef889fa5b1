//! RPC tests: through a real channel to `serve`, with the embedded log in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
mod record_events;
mod record_exposures;
