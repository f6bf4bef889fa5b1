//! `assay demo` as a newcomer runs it: the figures that it must show, also when it was killed in the middle.

use std::time::Duration;

use anyhow::{Result, ensure};
use assay_tests::process::Process;

const PATIENCE: Duration = Duration::from_secs(480);

/// Figures of the published results: Cookie Cats (players by retained on day 1 and day 7) and the NSW job training.
const FIGURES: [&str; 11] = [
    "19.02 % vs 18.20 %, difference −0.82 points (−4.31 %)",
    "two-sided p = 0.00155",
    "44.82 % vs 44.23 %",
    "two-sided p = 0.0744",
    "SRM p = 0.00861",
    "gate_30 44,700",
    "gate_40 45,489",
    "4,554.80 vs 6,349.14, difference +1,794.34",
    "two-sided p = 0.00789",
    "SPLIT",
    "assignments in",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_killed_in_the_middle_of_the_replay_resumes_to_the_same_figures() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().display().to_string();
    let args = ["demo", "--exit", "--data-dir", &path];
    let mut first = Process::assay(&args, &[])?;
    first.wait_for_line("replaying players: 1", PATIENCE).await?;
    first.kill()?;

    let mut second = Process::assay(&args, &[])?;
    let status = second.wait(PATIENCE).await?;
    let output = second.output().join("\n");
    ensure!(status.success(), "the demo ended with {status}:\n{output}");
    for figure in FIGURES {
        ensure!(output.contains(figure), "no `{figure}` in\n{output}");
    }
    Ok(())
}
