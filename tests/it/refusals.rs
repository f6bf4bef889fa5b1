//! What a stranger gets wrong: one clear sentence each, with the exit code that is written down.

use std::time::Duration;

use anyhow::{Result, ensure};
use assay_tests::process::Process;
use tokio::net::TcpListener;

const DEADLINE: Duration = Duration::from_secs(30);

/// Runs `assay` and checks how it ends, and that it says each of `told`.
async fn refused(args: &[&str], env: &[(&str, &str)], code: i32, told: &[&str]) -> Result<()> {
    let mut process = Process::assay(args, env)?;
    let status = process.wait(DEADLINE).await?;
    let said = process.output().join("\n");
    ensure!(
        status.code() == Some(code),
        "{args:?} {env:?}: {status}, not {code}\n{said}"
    );
    for text in told {
        ensure!(
            said.contains(text),
            "{args:?} {env:?} does not say `{text}`\n{said}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_all_named_with_64() -> Result<()> {
    let env = [
        ("ASSAY__ANALYSIS__SETTLE", "876000h"),
        ("ASSAY__ASSIGNMENT__EXPOSURES__BUFFER_BYTES", "0"),
        ("ASSAY__STORES__DATA_DIR", ""),
    ];
    let told = [
        "3 settings",
        "`analysis.settle`",
        "`assignment.exposures.buffer_bytes`",
        "`stores.data_dir`",
    ];
    for args in [
        ["serve"].as_slice(),
        &["serve", "ingest"],
        &["flag", "list"],
        &["demo"],
    ] {
        refused(args, &env, 64, &told).await?;
    }
    let twice = [
        ("ASSAY__CONFIG__LISTEN", "127.0.0.1:7"),
        ("ASSAY__INGEST__LISTEN", "0.0.0.0:7"),
    ];
    refused(&["serve"], &twice, 64, &["`ingest.listen`", "`config.listen`"]).await?;
    let bad = [("ASSAY__CLIENT__CONFIG", "localhost:7071")];
    refused(&["flag", "list"], &bad, 64, &["`client.config`", "http://"]).await
}

#[tokio::test]
async fn a_service_that_is_not_at_its_address_is_named_with_the_setting() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    drop(listener);
    let env = [
        ("ASSAY__CLIENT__CONFIG", address.as_str()),
        ("ASSAY__CLIENT__ANALYSIS", &address),
    ];
    refused(&["flag", "list"], &env, 69, &[&address, "`client.config`"]).await?;
    refused(&["results", "x"], &env, 69, &[&address, "`client.analysis`"]).await
}

#[tokio::test]
async fn what_a_start_needs_and_cannot_have_is_named() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("file"), "a file")?;
    std::fs::create_dir(path("letters"))?;
    std::fs::write(
        path("letters/assay.db"),
        "not a database, but letters. ".repeat(100),
    )?;

    let held = TcpListener::bind("127.0.0.1:0").await?;
    let taken = held.local_addr()?.to_string();
    let free = ["CONFIG", "ASSIGNMENT", "INGEST", "ANALYSIS"].map(|name| format!("ASSAY__{name}__LISTEN"));
    let mut env: Vec<(&str, &str)> = free.iter().map(|name| (name.as_str(), "127.0.0.1:0")).collect();
    env.push(("ASSAY__OPENFEATURE__FLAGD_LISTEN", "off"));
    env.push(("ASSAY__OPENFEATURE__OFREP_LISTEN", "127.0.0.1:0"));

    let (below, letters, new) = (path("file/below"), path("letters"), path("new"));
    refused(
        &["serve", "--data-dir", &below],
        &env,
        73,
        &[&below, "--data-dir"],
    )
    .await?;
    let told = [letters.as_str(), "assay.db", "not a database", "--data-dir"];
    refused(&["serve", "--data-dir", &letters], &env, 73, &told).await?;
    env[2].1 = &taken;
    let told = [taken.as_str(), "another process uses this port"];
    refused(&["serve", "--data-dir", &new], &env, 75, &told).await?;
    drop(held);
    Ok(())
}

#[tokio::test]
async fn options_that_make_no_sense_are_named_with_2() -> Result<()> {
    for (args, told) in [
        (
            [
                "metric",
                "create",
                "m",
                "--conversion",
                "buy",
                "--aggregation",
                "sum",
            ]
            .as_slice(),
            "--aggregation",
        ),
        (
            &["metric", "create", "m", "--retention", "7", "--window", "7d"],
            "--window",
        ),
        (
            &["experiment", "create", "e", "--confidence", "nan"],
            "--confidence",
        ),
        (&["event", "record", "42", "buy", "--value", "-inf"], "--value"),
        (
            &["assign", "42", "f", "-a", "a=1", "-a", "a=2"],
            "`a` is given twice",
        ),
        (
            &["flag", "create", "f", "--default", "1", "--version", "2"],
            "--version",
        ),
        (&["flag", "list", "-n", "Ünï"], "--namespace"),
        (&["assignments", "e", "--limit", "0"], "--limit"),
    ] {
        refused(args, &[], 2, &[told]).await?;
    }
    Ok(())
}
