//! The crate against the outside world: golden vectors, laws and calibration.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calibration;
mod laws;
mod vectors;

use std::path::PathBuf;

#[test]
fn golden_vectors_agree() {
    let report = vectors::run(&golden_dir());
    assert!(
        report.failures.is_empty(),
        "{} cases fail, {} were compared:\n{}",
        report.failures.len(),
        report.ran,
        report.failures.join("\n")
    );
    assert!(report.ran > 0, "no case ran");
}

/// `STATS_GOLDEN_DIR`, or the repository's own vectors.
#[expect(
    clippy::disallowed_methods,
    reason = "the folder of vectors is chosen from outside"
)]
fn golden_dir() -> PathBuf {
    match std::env::var("STATS_GOLDEN_DIR") {
        Ok(dir) => PathBuf::from(dir),
        Err(_) => PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/stats_golden"
        )),
    }
}
