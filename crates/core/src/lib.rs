//! The heart of Assay as types and pure functions: what an experiment is, who gets which variant, what a unit is worth.
//!
//! No I/O, no clock, no randomness: time, seeds and salts are arguments, so every decision can be replayed and proved.
//! Nothing here knows of gRPC, SQL, etcd or Redis; conversions to wire and stored forms live with those.
//!
//! Read in this order: [`key`], [`value`], [`flag`], [`segment`], [`metric`], [`layer`], [`holdout`], [`traffic`], [`experiment`],
//! [`lifecycle`], [`commands`], [`schedule`], [`undo`], [`validate`],
//! then the two paths that matter: [`bucketing`] → [`hashing`] → [`snapshot`] → [`memory`] → [`assign`] (who gets what), and
//! [`record`] → [`fold`] (what came of it).
#![warn(missing_docs)]
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod assign;
pub mod bucketing;
pub mod commands;
pub mod experiment;
#[cfg(test)]
mod fixtures;
pub mod flag;
pub mod fold;
pub mod hashing;
pub mod holdout;
pub mod key;
pub mod layer;
pub mod lifecycle;
pub mod memory;
pub mod metric;
pub mod record;
pub mod rollback;
pub mod schedule;
pub mod segment;
mod sharded;
pub mod snapshot;
pub mod time;
pub mod traffic;
pub mod undo;
pub mod validate;
pub mod value;
pub mod weights;
pub mod winner;
