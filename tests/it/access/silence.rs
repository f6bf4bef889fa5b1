//! S11: what is away is told by code and reason, never by where it is or what its driver says.

use anyhow::{Result, ensure};
use assay_tests::{
    cli::Cli,
    processes::StoreUrls,
    raw::Answer,
    servers::{Etcd, Postgres, Redis},
};
use futures::future::try_join_all;
use sea_orm::{ConnectionTrait as _, Database};
use tonic::Code;

use super::{
    Guarded,
    tenants::{blue, probes, tenant},
};

/// What tells of the inside: names of stores and of their drivers, words of SQL, hosts, paths, and where in the source.
const INSIDE: [&str; 20] = [
    "postgres",
    "database",
    "pool",
    "connection",
    "sqlx",
    "sea_orm",
    "sqlstate",
    "select ",
    "insert ",
    "relation",
    "audit_log",
    "redis",
    "xadd",
    "etcd",
    "127.0.0.1",
    "localhost",
    "http://",
    "/tmp",
    ".rs:",
    "os error",
];

/// What every method answers to blue, each with its name.
async fn all(guarded: &Guarded, key: &str) -> Result<Vec<(String, Answer)>> {
    let asked = probes::all("blue").into_iter().map(async |probe| {
        let answer = guarded.call(Some(key), &probe.method, probe.request).await?;
        anyhow::Ok((probe.method, answer))
    });
    try_join_all(asked).await
}

/// Nothing is told of the inside, whoever fails says why by a reason, and of the methods in `away` some answer that something is.
fn check(answers: &[(String, Answer)], away: &[(&str, &str)]) -> Result<()> {
    for (method, answer) in answers.iter().filter(|(_, answer)| answer.code != Code::Ok) {
        let told = format!("{answer:?}").to_lowercase();
        let inside = INSIDE.iter().find(|word| told.contains(*word));
        ensure!(inside.is_none(), "{method} tells of {inside:?}: {answer:?}");
        ensure!(!answer.reason.is_empty(), "{method} gives no reason: {answer:?}");
    }
    for (of, reason) in away {
        let found = answers.iter().find(|(method, _)| method.ends_with(of));
        ensure!(
            found.is_some_and(|(_, answer)| answer.reason == *reason),
            "{of} does not answer {reason}, but {found:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s11_what_is_away_is_not_told_where() -> Result<()> {
    let (mut etcd, mut redis, mut postgres) =
        tokio::try_join!(Etcd::start(), Redis::start(), Postgres::start())?;
    let urls = StoreUrls::of(&postgres, &etcd, &redis, "silence");
    let mut guarded = Guarded::start_on(urls, &[]).await?;
    let key = guarded.make(tenant("blue-keeper", "blue")).await?;
    guarded.settle(&key, true).await?;
    blue::write_down(&guarded, &key, "blue").await?;

    analysis_away(&mut guarded, &key).await?;
    statement_refused(&guarded, &key, &postgres).await?;
    redis.stop().await?;
    let log = ("IngestService/RecordEvents", "LOG_UNAVAILABLE");
    check(&all(&guarded, &key).await?, &[log])?;
    etcd.stop().await?;
    check(&all(&guarded, &key).await?, &[log])?;
    postgres.stop().await?;
    let truth = "STORE_UNAVAILABLE";
    let away = [
        log,
        ("FlagService/GetFlag", truth),
        ("ExperimentService/PauseExperiment", truth),
        ("AuditService/ListAudit", truth),
        ("ActivationService/ListReplicas", truth),
        ("AnalysisService/ListCallers", truth),
        ("AnalysisService/GetResults", "CONFIG_UNAVAILABLE"),
    ];
    check(&all(&guarded, &key).await?, &away)?;
    guarded.cluster.kill("config")?;
    let answers = all(&guarded, &key).await?;
    let (_, others): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|(method, _)| method.starts_with("assay.config."));
    check(&others, &[("AnalysisService/GetResults", "CONFIG_UNAVAILABLE")])
}

/// Config asks analysis before an experiment ends, and does not say where that is.
async fn analysis_away(guarded: &mut Guarded, key: &str) -> Result<()> {
    let cli = Cli::on(&guarded.cluster.endpoints()).with("ASSAY__CLIENT__API_KEY", key);
    cli.ok("-n blue experiment stop canary-experiment --reason enough")
        .await?;
    guarded.cluster.kill("analysis")?;
    let said = cli
        .run("-n blue experiment end canary-experiment --reason over")
        .await?;
    ensure!(
        said.code != 0 && said.err.contains("analysis did not answer"),
        "{said:?}"
    );
    let inside = INSIDE.iter().find(|word| said.err.contains(*word));
    ensure!(inside.is_none(), "{inside:?}: {said:?}");
    guarded.cluster.begin("analysis").await?;
    guarded.settle(key, true).await
}

/// A statement that the database refuses is a bug or a hand in it; what it says of its tables stays inside.
async fn statement_refused(guarded: &Guarded, key: &str, postgres: &Postgres) -> Result<()> {
    let database = Database::connect(postgres.url()).await?;
    database
        .execute_unprepared("alter table audit_log rename to elsewhere")
        .await?;
    let internal = ("AuditService/ListAudit", "INTERNAL");
    check(&all(guarded, key).await?, &[internal])?;
    database
        .execute_unprepared("alter table elsewhere rename to audit_log")
        .await?;
    Ok(())
}
