//! Scenarios, one file each, against real servers and the real binary.

mod edges;
mod launcher;
