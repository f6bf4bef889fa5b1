//! What the scenarios in `it/` stand on: private real servers, the `assay` binary as a process, a TCP proxy that
//! misbehaves on request, and waiting with a deadline.
//!
//! It is not a test framework: a scenario is a plain `#[tokio::test]` that uses these pieces, and it talks to Assay
//! only through the doors that users have. Nothing here uses a server that it did not start, or a well-known port.
//!
//! Read [`servers`] first (etcd, Redis, PostgreSQL), then [`process`], [`proxy`] and [`eventually`](mod@eventually).
//! The private `os` holds the few calls that need `unsafe`.

pub mod cli;
pub mod cluster;
pub mod embedded;
pub mod eventually;
mod os;
pub mod port;
pub mod process;
pub mod processes;
pub mod proxy;
pub mod raw;
pub mod servers;
pub mod story;
pub mod watcher;

pub use eventually::eventually;
