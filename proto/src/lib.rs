//! The public gRPC API, the stream format, and their conversions to and from core types.
//!
//! The modules named after packages are generated from the .proto files beside this crate. `TryFrom` a message gives the core type or
//! says which fields are wrong; `From` a core type gives the message.
//!
//! Read [`field`] (what is wrong with a message), [`convert`] (the public API), then the two stored forms, [`bus`] and [`stream`], and what clients
//! that decide in process are handed: [`view`].
#![warn(missing_docs)]

pub mod bus;
pub mod convert;
pub mod diff;
pub mod field;
pub mod hot;
#[cfg(test)]
mod strategies;
pub mod stream;
pub mod view;

/// `assay.common.v1`: what several packages share.
pub mod common {
    /// Version 1.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::doc_markdown,
        clippy::unwrap_used,
        rustdoc::all,
        reason = "generated"
    )]
    pub mod v1 {
        tonic::include_proto!("assay.common.v1");
    }
}

/// `assay.config.v1`: flags, segments, metrics, experiments.
pub mod config {
    /// Version 1.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::doc_markdown,
        clippy::unwrap_used,
        rustdoc::all,
        reason = "generated"
    )]
    pub mod v1 {
        tonic::include_proto!("assay.config.v1");
    }
}

/// `assay.assignment.v1`: who gets what.
pub mod assignment {
    /// Version 1.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::doc_markdown,
        clippy::unwrap_used,
        rustdoc::all,
        reason = "generated"
    )]
    pub mod v1 {
        tonic::include_proto!("assay.assignment.v1");
    }
}

/// `assay.ingest.v1`: what happened.
pub mod ingest {
    /// Version 1.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::doc_markdown,
        clippy::unwrap_used,
        rustdoc::all,
        reason = "generated"
    )]
    pub mod v1 {
        tonic::include_proto!("assay.ingest.v1");
    }
}

/// `assay.analysis.v1`: what came of it.
pub mod analysis {
    /// Version 1.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::doc_markdown,
        clippy::unwrap_used,
        rustdoc::all,
        reason = "generated"
    )]
    pub mod v1 {
        tonic::include_proto!("assay.analysis.v1");
    }
}

/// `flagd.evaluation`: the evaluation protocol of flagd, which OpenFeature providers speak. Not ours; see `proto/flagd`.
pub mod flagd {
    /// What a flag is worth.
    pub mod evaluation {
        /// Version 1, which the web and the Rust provider speak.
        #[allow(
            missing_docs,
            clippy::all,
            clippy::doc_markdown,
            clippy::unwrap_used,
            rustdoc::all,
            reason = "generated"
        )]
        pub mod v1 {
            tonic::include_proto!("flagd.evaluation.v1");
        }
        /// Version 2, in which zero values are told from absent ones.
        #[allow(
            missing_docs,
            clippy::all,
            clippy::doc_markdown,
            clippy::unwrap_used,
            rustdoc::all,
            reason = "generated"
        )]
        pub mod v2 {
            tonic::include_proto!("flagd.evaluation.v2");
        }
    }
}

/// The well-known types that messages hold, so that callers need no version of their own.
pub use prost_types::{Duration, ListValue, Struct, Timestamp, Value, value};

/// Descriptors of all packages, for reflection.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("assay");
