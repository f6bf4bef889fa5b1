//! RPC tests: through a real channel to `serve`, with the embedded log in memory.

mod harness;
mod record_events;
mod record_exposures;
