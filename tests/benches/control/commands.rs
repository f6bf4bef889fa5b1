//! Lifecycle commands through gRPC, beside a bare transaction on the same Postgres.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use assay_client::Client;
use assay_proto::{
    config::v1::{self as pb, ExperimentState},
    convert::duration,
};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};

use super::{fill, quantiles};
use crate::report;

const COMMANDS: usize = 400;
/// Commands go round among so many experiments.
const EXPERIMENTS: usize = 20;
const LIMIT_MS: u32 = 50;
const WAIT: Duration = Duration::from_secs(30);

/// An experiment that is paused and resumed in turn.
pub(crate) struct Alternating(pb::Experiment);

impl Alternating {
    /// The `i`th of those that run.
    pub(crate) async fn of(client: &Client, i: usize) -> Result<Self> {
        let request = pb::GetExperimentRequest {
            key: fill::running(i),
            ..Default::default()
        };
        let found = client.experiments().get_experiment(request).await?.into_inner();
        found.experiment.context("no experiment").map(Self)
    }

    /// The next command; with `wait` until it is served.
    pub(crate) async fn command(&mut self, client: &Client, wait: bool) -> Result<Option<pb::Activation>> {
        let (key, version) = (self.0.key.clone(), self.0.version);
        let wait = wait.then(|| duration(WAIT));
        let mut experiments = client.experiments();
        let (changed, activation) = if self.0.state() == ExperimentState::Running {
            let request = pb::PauseExperimentRequest {
                key,
                version,
                wait,
                ..Default::default()
            };
            let done = experiments.pause_experiment(request).await?.into_inner();
            (done.experiment, done.activation)
        } else {
            let request = pb::ResumeExperimentRequest {
                key,
                version,
                wait,
                ..Default::default()
            };
            let done = experiments.resume_experiment(request).await?.into_inner();
            (done.experiment, done.activation)
        };
        self.0 = changed.context("no experiment in the answer")?;
        Ok(activation)
    }
}

pub(crate) async fn measure(client: &Client, postgres: &str) -> Result<()> {
    let bare = sea_orm::Database::connect(postgres).await?;
    bare.execute_unprepared(
        "create table bare (id bigint generated always as identity primary key, document text not null)",
    )
    .await?;
    let mut experiments = Vec::new();
    for i in 0..EXPERIMENTS {
        experiments.push(Alternating::of(client, i).await?);
    }
    let (mut of_bare, mut of_commands) = (Vec::new(), Vec::new());
    for i in 0..COMMANDS {
        let start = Instant::now();
        let transaction = bare.begin().await?;
        transaction
            .execute_unprepared("insert into bare (document) values ('one row')")
            .await?;
        transaction.commit().await?;
        of_bare.push(start.elapsed());

        let start = Instant::now();
        experiments[i % EXPERIMENTS].command(client, false).await?;
        of_commands.push(start.elapsed());
    }
    let (p50, p99) = quantiles(of_bare);
    report(&format!(
        "control: for scale: one insert and its commit on Postgres: p50 {p50:.1} ms, p99 {p99:.1} ms"
    ));
    let (p50, p99) = quantiles(of_commands);
    report(&format!(
        "control: pause and resume, not waiting: p50 {p50:.1} ms, p99 {p99:.1} ms; limit {LIMIT_MS} ms"
    ));
    Ok(())
}
