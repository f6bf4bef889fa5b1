//! Configuration in files, as docs/gitops.md tells it, by the command line.

use anyhow::{Context, Result, ensure};
use assay_tests::{
    cli::{Cli, Said},
    embedded::Embedded,
};

/// The directory of the documentation's example.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/gitops");

#[tokio::test]
async fn files_are_planned_applied_and_stay_applied() -> Result<()> {
    let assay = Embedded::start().await?;
    let cli = Cli::on(&assay.endpoints());

    let plan = cli
        .run(&format!("apply -f {EXAMPLE} --dry-run --exit-code"))
        .await?;
    ensure!(plan.code == 3, "{plan:?}");
    for resource in [
        "flag/button",
        "segment/staff",
        "metric/bought",
        "layer/checkout-page",
        "experiment/button-test",
    ] {
        ensure!(
            plan.out.contains(&format!("+ {resource}\n")),
            "{resource} in {plan:?}"
        );
    }
    ensure!(cli.ok("export").await?.trim().is_empty(), "a plan writes nothing");
    ensure!(
        cli.ok("generation list")
            .await?
            .contains("nothing was ever changed")
    );

    let applied = cli
        .ok(&format!("apply -f {EXAMPLE} --reason 'release 42'"))
        .await?;
    ensure!(
        applied.ends_with("5 added, 0 changed, 0 removed: done, as generation 1\n"),
        "{applied}"
    );
    let again = cli
        .run(&format!("apply -f {EXAMPLE} --dry-run --exit-code"))
        .await?;
    ensure!(
        (again.code, again.out.trim()) == (0, "nothing to change at generation 1"),
        "{again:?}"
    );

    cli.ok("experiment start button-test --wait").await?;
    let again = cli.ok(&format!("apply -f {EXAMPLE}")).await?;
    ensure!(
        again.trim() == "nothing to change at generation 2",
        "a start is not taken back: {again}"
    );

    let described = "kind: flag\nkey: button\ndescription: What buyers click\n";
    let changed = cli.run_with("apply -f -", described).await?;
    ensure!(
        changed
            .out
            .contains("~ flag/button\n    description: nothing → \"What buyers click\"\n"),
        "{changed:?}"
    );
    let flag = cli.json("flag show button").await?;
    ensure!(
        flag["name"] == "Color of the buy button",
        "what is left out stays: {flag}"
    );

    let listed = cli.json("generation list").await?;
    let told: Vec<_> = listed
        .as_array()
        .context("a list")?
        .iter()
        .map(|g| [&g["action"], &g["reason"]])
        .collect();
    ensure!(
        told == [
            ["namespace.import", ""],
            ["experiment.start", ""],
            ["namespace.import", "release 42"]
        ],
        "{told:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_refused_is_named_by_file_document_and_field() -> Result<()> {
    let assay = Embedded::start().await?;
    let cli = Cli::on(&assay.endpoints());
    cli.ok(&format!("apply -f {EXAMPLE}")).await?;
    cli.ok("experiment start button-test").await?;

    let locked = "kind: experiment\nkey: button-test\ncoverage: 10%\n---\nkind: flag\nkey: button\nsegmentOverrides:\n  - {segmentKey: gone, value: green}\n";
    let Said { code, err, .. } = cli.run_with("apply -f -", locked).await?;
    ensure!(code == 1, "{err}");
    for said in [
        "file `-`, document 1, experiment/button-test coverage: ",
        "(CONFIG_LOCKED)",
        "file `-`, document 2, flag/button segment_overrides[0].segment_key: names segment `gone`, which does not exist",
    ] {
        ensure!(err.contains(said), "{said:?} in {err}");
    }
    for (text, said) in [
        (
            "kind: flg\nkey: a\n",
            "document 1: `kind` is `flg`; write one of layer, segment, metric, flag, holdout, experiment",
        ),
        (
            "kind: flag\nkey: a\n---\nkind: flag\nkey: a\n",
            "document 2: `flag/a` is in file `-`, document 1, already",
        ),
        (
            "kind: flag\nkey: a\ntyp: STRING\n",
            "document 1: flag/a: unknown field `typ`",
        ),
        ("kind: flag\nkey: a\n  b: c\n", "document 1: "),
    ] {
        let refused = cli.run_with("apply -f -", text).await?;
        ensure!(
            refused.code == 1 && refused.err.contains(said),
            "{said:?} in {refused:?}"
        );
    }
    ensure!(
        cli.json("generation list")
            .await?
            .as_array()
            .context("a list")?
            .len()
            == 2,
        "nothing was written"
    );
    Ok(())
}

#[tokio::test]
async fn an_export_is_the_same_elsewhere_and_only_prune_removes() -> Result<()> {
    let assay = Embedded::start().await?;
    let cli = Cli::on(&assay.endpoints());
    cli.ok(&format!("apply -f {EXAMPLE}")).await?;
    let exported = cli.ok("export").await?;
    let imported = cli.run_with("-n staging import -", &exported).await?;
    ensure!(imported.code == 0, "{imported:?}");
    ensure!(
        cli.ok("-n staging export").await? == exported,
        "an export is what was imported"
    );
    // A flag without its experiment answers alike, whoever asks.
    for (who, value) in [
        ("-a email=a@shop.example", "green"),
        ("-a email=a@example.org", "blue"),
    ] {
        for namespace in ["default", "staging"] {
            let answer = cli
                .json(&format!("-n {namespace} assign u1 button {who}"))
                .await?;
            ensure!(answer[0]["value"] == value, "{namespace} {who}: {answer}");
        }
    }

    cli.ok("-n staging experiment start button-test --wait").await?;
    let nothing = cli
        .run_with("-n staging apply -f - --prune", "kind: layer\nkey: other\n")
        .await?;
    ensure!(
        nothing.code == 0 && !nothing.out.contains("- segment/staff"),
        "{nothing:?}"
    );
    for kept in [
        "experiment/button-test",
        "flag/button",
        "metric/bought",
        "layer/checkout-page",
    ] {
        ensure!(
            nothing.err.contains(kept) && nothing.err.contains("NOT_PRUNED"),
            "{kept} in {nothing:?}"
        );
    }
    let pruned = cli
        .run_with("apply -f - --prune", "kind: layer\nkey: other\n")
        .await?;
    ensure!(
        pruned
            .out
            .ends_with("1 added, 0 changed, 5 removed: done, as generation 2\n"),
        "{pruned:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_rollback_by_hand_serves_what_was_served() -> Result<()> {
    let assay = Embedded::start().await?;
    let cli = Cli::on(&assay.endpoints());
    cli.ok(&format!("apply -f {EXAMPLE}")).await?;
    cli.ok("experiment start button-test --wait").await?;
    let ask = async || -> Result<Vec<serde_json::Value>> {
        let mut answers = Vec::new();
        for i in 0..50 {
            let email = if i % 5 == 0 {
                "a@shop.example"
            } else {
                "a@example.org"
            };
            let mut answer = cli.json(&format!("assign u{i} button -a email={email}")).await?;
            answer[0]["generation"] = serde_json::Value::Null;
            answers.push(answer);
        }
        Ok(answers)
    };
    let before = ask().await?;
    cli.ok("experiment pause button-test --wait").await?;
    let widened =
        "kind: segment\nkey: staff\nrules:\n  - {attribute: email, operator: CONTAINS, operands: [\"@\"]}\n";
    let widened = cli.run_with("apply -f - --wait", widened).await?;
    ensure!(widened.code == 0, "{widened:?}");
    ensure!(ask().await? != before, "a pause and a wider segment are seen");

    let planned = cli
        .ok("generation rollback 2 --reason 'it broke' --dry-run")
        .await?;
    ensure!(
        planned.contains("~ segment/staff") && planned.contains("nothing is written"),
        "{planned}"
    );
    let back = cli.ok("generation rollback 2 --reason 'it broke' --wait").await?;
    ensure!(back.ends_with("generation 5 serves what 2 served\n"), "{back}");
    ensure!(ask().await? == before, "bit for bit");
    let diff = cli.ok("generation diff 2").await?;
    ensure!(!diff.contains("segment/staff"), "{diff}");
    let stale = cli
        .run("generation rollback 2 --reason again --expected 4")
        .await?;
    ensure!(
        stale.code == 75 && stale.err.contains("has been changed meanwhile"),
        "{stale:?}"
    );
    Ok(())
}
