//! The ports to every store, their adapters, and the laws that every adapter obeys.
//!
//! One folder a port: `mod.rs` is the trait in words of the domain, `embedded.rs` (SQLite or memory) and the real adapter
//! (`etcd.rs`, `redis.rs`, `sql.rs`) implement it, `laws.rs` is the suite that each implementation passes. What a driver reports is
//! classified here into [`Error`]; SQL, etcd and Redis types never leave this crate.
//!
//! Read [`config_store`] (the truth), [`access_store`] (who may and who did), [`config_bus`] (its projection), [`event_log`] (what
//! happened), [`analysis_store`] (what it adds up to), [`spool`] (what is not yet in the log), [`unit_store`] (what is remembered of units).
#![warn(missing_docs)]

pub mod access_store;
pub mod analysis_store;
pub mod config_bus;
pub mod config_store;
pub mod error;
pub mod event_log;
pub mod spool;
pub mod sql;
pub mod unit_store;

pub use error::Error;
