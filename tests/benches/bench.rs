//! `make bench`: each figure beside its limit, measured in the same run, so that the ratio holds on a noisy machine.

mod analysis;
mod assign;
mod control;
mod evaluation;
mod load;

use std::time::Duration;

/// One part of the benches: its name, and what it does.
type Part = (&'static str, fn() -> anyhow::Result<()>);

/// The parts, each by the name that chooses it: `cargo bench -p assay-tests -- assign`.
const PARTS: [Part; 4] = [
    ("evaluation", evaluation::run),
    ("assign", assign::run),
    ("analysis", analysis::run),
    ("control", control::run),
];

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is a binary, and its arguments name parts of it"
)]
fn main() -> anyhow::Result<()> {
    assay_platform::install_crypto();
    let named: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    for (name, run) in PARTS {
        if named.is_empty() || named.iter().any(|chosen| chosen == name) {
            run()?;
        }
    }
    Ok(())
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
