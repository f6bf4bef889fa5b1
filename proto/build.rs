//! Compiles the .proto files; generated code is never committed.

use std::{env, path::PathBuf};

const FILES: [&str; 20] = [
    "assay/common/v1/unit.proto",
    "assay/config/v1/activation.proto",
    "assay/config/v1/flag.proto",
    "assay/config/v1/segment.proto",
    "assay/config/v1/metric.proto",
    "assay/config/v1/layer.proto",
    "assay/config/v1/holdout.proto",
    "assay/config/v1/experiment.proto",
    "assay/config/v1/access.proto",
    "assay/config/v1/audit.proto",
    "assay/config/v1/generation.proto",
    "assay/assignment/v1/answer.proto",
    "assay/assignment/v1/assignment.proto",
    "assay/assignment/v1/explain.proto",
    "assay/assignment/v1/watch.proto",
    "assay/ingest/v1/ingest.proto",
    "assay/analysis/v1/analysis.proto",
    "assay/stream/v1/stream.proto",
    "flagd/evaluation/v1/evaluation.proto",
    "flagd/evaluation/v2/evaluation.proto",
];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script its directory so"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .file_descriptor_set_path(out.join("assay.bin"))
        .compile_protos(&FILES, &["."])?;
    println!("cargo::rerun-if-changed=assay");
    println!("cargo::rerun-if-changed=flagd");
    Ok(())
}
