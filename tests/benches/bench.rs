//! `make bench`: each figure beside its limit, measured in the same run, so that the ratio holds on a noisy machine.

mod analysis;
mod assign;
mod evaluation;

use std::time::Duration;

fn main() -> anyhow::Result<()> {
    assay_platform::install_crypto();
    evaluation::run();
    assign::run()?;
    analysis::run()
}

/// The middle one.
fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// One line of the report.
#[expect(clippy::print_stdout, reason = "a bench prints")]
fn report(line: &str) {
    println!("{line}");
}

fn per_second(n: usize, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64()
}
