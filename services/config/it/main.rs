//! The service through a real channel, with the embedded truth in memory.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod audit;
mod cohorts;
mod commands;
mod duplicate;
mod experiments;
mod failures;
mod fences;
mod finding;
mod flags;
mod generations;
mod holdouts;
mod idempotency;
mod imports;
mod layers;
mod lists;
mod metrics;
mod nested_segments;
mod permissions;
mod prerequisites;
mod publisher;
mod schedule;
mod segments;
mod signal;
mod start;
mod support;
mod undo;
mod update_experiment;
