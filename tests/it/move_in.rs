//! Moving in from GrowthBook and flagd, as docs/move-in.md tells it, by the command line.

use anyhow::{Context, Result, ensure};
use assay_tests::{cli::Cli, embedded::Embedded};
use serde_json::Value;

/// Files of other systems, and what these serve.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/move-in");

#[tokio::test]
async fn a_payload_of_growthbook_moves_in_and_nobody_moves() -> Result<()> {
    let assay = Embedded::start().await?;
    let cli = Cli::on(&assay.endpoints());
    let plan = cli
        .run(&format!(
            "import growthbook {FILES}/growthbook.json --dry-run --exit-code"
        ))
        .await?;
    ensure!(plan.code == 3, "{plan:?}");
    for line in [
        "+ experiment/checkout-color",
        "+ segment/checkout-button-rule-1",
        "to know:",
        "not carried over:",
        "    features.strange.rules[0].condition.tags.$elemMatch: uses `$elemMatch`",
    ] {
        ensure!(plan.out.contains(line), "{line} in {plan:?}");
    }
    ensure!(cli.ok("export").await?.trim().is_empty(), "a plan writes nothing");

    let made = cli
        .json(&format!(
            "import growthbook {FILES}/growthbook.json --reason 'move in'"
        ))
        .await?;
    let left_out = made["notCarriedOver"].as_array().context("a list")?;
    ensure!(left_out.len() == 8, "{made}");
    let again = cli
        .run(&format!(
            "import growthbook {FILES}/growthbook.json --dry-run --exit-code"
        ))
        .await?;
    ensure!(again.code == 0, "a second import has nothing to do: {again:?}");

    let ready = "kind: metric\nkey: bought\nconversion: {event: purchase, window: 7d}\n---\nkind: experiment\nkey: gate\n\
        hypothesis: A later gate keeps players\nmetrics: [{metricKey: bought, role: PRIMARY}]\n";
    let applied = cli.run_with("apply -f -", ready).await?;
    ensure!(applied.code == 0, "{applied:?}");
    cli.ok("experiment start gate --wait").await?;
    let answers: Value = serde_json::from_str(&std::fs::read_to_string(format!(
        "{FILES}/growthbook.answers.json"
    ))?)?;
    let rows = answers["answers"].as_array().context("a list")?;
    for row in rows.iter().take(20) {
        let unit = row[0].as_str().context("an id")?;
        let answer = cli.json(&format!("assign {unit} gate")).await?;
        let answer = &answer[0];
        let (served, expected) = (&answer["value"], &row[2][1]);
        ensure!(
            answer["reason"] == "SPLIT" && served.as_f64() == expected.as_f64(),
            "{unit} had {expected}: {answer}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_flag_file_of_flagd_moves_in() -> Result<()> {
    let assay = Embedded::start().await?;
    let cli = Cli::on(&assay.endpoints());
    let made = cli
        .ok(&format!("import flagd {FILES}/flagd.json --fractional cbor"))
        .await?;
    ensure!(made.contains("is taken for the form `cbor`"), "{made}");
    ensure!(made.contains("    flags.old.state: is DISABLED"), "{made}");
    let split = cli.json("experiment show color-split").await?;
    ensure!(
        split["hashing"]["flagd"]["prefix"] == "color-" && split["hashing"]["buckets"] == 3,
        "{split}"
    );
    let wrong = cli.run_with("import flagd -", "{\"features\": {}}").await?;
    ensure!(
        wrong.code == 1 && wrong.err.contains("has no object `flags`"),
        "{wrong:?}"
    );
    Ok(())
}
