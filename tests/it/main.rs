//! Scenarios, one file each, against real servers and the real binary.

mod acceptance;
mod access;
mod callers;
mod cluster;
mod cohorts;
mod deciders;
mod demo;
mod edges;
mod embedded;
mod faults;
mod gitops;
mod kills;
mod launcher;
mod laws;
mod lifecycle;
mod move_in;
mod refusals;
mod results;
mod traces;
mod undecodable;
