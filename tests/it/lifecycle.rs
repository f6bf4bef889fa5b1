//! The lifecycle by RPC, every state and every command, on SQLite and on Postgres. The tables below are the design's; nothing here reads
//! the table in core.

mod table;

use anyhow::{Context as _, Result, bail};
use assay_config::{Ports, Settings};
use assay_platform::{
    Channel, ChannelOptions, Code, Failure, MockClock, Shutdown, connect_lazy, server::bind,
};
use assay_proto::config::v1::{
    self as pb, ExperimentState as S, LifecycleAction as A,
    experiment_service_client::ExperimentServiceClient, metric_service_client::MetricServiceClient,
};
use assay_storage::{
    access_store::SqlAccessStore, config_bus::EmbeddedConfigBus, config_store::SqlConfigStore, sql::Database,
};
use assay_tests::servers::fresh_database;
use prost_types::Timestamp;
use std::{sync::Arc, time::Duration};
use table::{COMMANDS, Row, TABLE, Then};
use tokio::task::JoinHandle;
use tonic::Status;

/// 2026-09-21T13:46:40Z
const NOW: i64 = 1_790_000_000_000_000;

/// A config service on one database, and a clock.
struct Service {
    experiments: ExperimentServiceClient<Channel>,
    metrics: MetricServiceClient<Channel>,
    clock: MockClock,
    shutdown: Shutdown,
    serving: JoinHandle<Result<(), assay_config::Error>>,
    made: u32,
}

impl Service {
    async fn on(url: &str) -> Result<Self> {
        let database = Database::connect(url, 8).await?;
        database.migrate().await?;
        let ports = Ports {
            store: Arc::new(SqlConfigStore::new(database.clone())),
            bus: Arc::new(EmbeddedConfigBus::new()),
            access: Arc::new(SqlAccessStore::new(database)),
            key_bus: Arc::new(EmbeddedConfigBus::new()),
            analysis: None,
        };
        let settings = Settings {
            schedule_interval: Duration::from_millis(10),
            ..Settings::default()
        };
        let (clock, shutdown) = (MockClock::at(NOW), Shutdown::new());
        let listener = bind("127.0.0.1:0").await?;
        let uri = format!("http://{}", listener.local_addr()?);
        let serving = assay_config::serve(listener, ports, settings, clock.shared(), shutdown.clone());
        let channel = connect_lazy(&uri, &ChannelOptions::default())?;
        let mut service = Self {
            experiments: ExperimentServiceClient::new(channel.clone()),
            metrics: MetricServiceClient::new(channel),
            clock,
            shutdown,
            serving: tokio::spawn(serving),
            made: 0,
        };
        let kind = pb::metric::Kind::Retention(pb::RetentionMetric {
            event: String::new(),
            day: 7,
            width_days: 1,
            ..Default::default()
        });
        let metric = pb::Metric {
            key: "retention".to_owned(),
            kind: Some(kind),
            ..Default::default()
        };
        let request = pb::CreateMetricRequest { metric: Some(metric) };
        service.metrics.create_metric(request).await?;
        Ok(service)
    }

    async fn stop(self) -> Result<()> {
        self.shutdown.trigger();
        Ok(self.serving.await??)
    }

    /// `seconds` from now on the service's clock.
    fn after(&self, seconds: i64) -> Option<Timestamp> {
        let now = assay_platform::Clock::now_micros(&self.clock);
        Some(Timestamp {
            seconds: now / 1_000_000 + seconds,
            nanos: 0,
        })
    }

    /// A new draft on a flag of its own that can be started.
    async fn draft(
        &mut self,
        start_time: Option<Timestamp>,
        end_time: Option<Timestamp>,
        sticky: pb::Sticky,
    ) -> Result<pb::Experiment> {
        self.made += 1;
        let variant = |key: &str, on| pb::Variant {
            key: key.to_owned(),
            value: Some(prost_types::Value {
                kind: Some(prost_types::value::Kind::BoolValue(on)),
            }),
            ..Default::default()
        };
        let experiment = pb::Experiment {
            key: format!("e{}", self.made),
            hypothesis: "it helps".to_owned(),
            variants: vec![variant("off", false), variant("on", true)],
            metrics: vec![pb::ExperimentMetric {
                metric_key: "retention".to_owned(),
                role: pb::MetricRole::Primary.into(),
                ..Default::default()
            }],
            start_time,
            end_time,
            sticky: sticky.into(),
            ..Default::default()
        };
        let request = pb::CreateExperimentRequest {
            experiment: Some(experiment),
            ..Default::default()
        };
        let answer = self.experiments.create_experiment(request).await?;
        answer.into_inner().experiment.context("an experiment")
    }

    async fn get(&mut self, key: &str) -> Result<pb::Experiment, Status> {
        let request = pb::GetExperimentRequest {
            key: key.to_owned(),
            ..Default::default()
        };
        let answer = self.experiments.get_experiment(request).await?;
        Ok(answer.into_inner().experiment.unwrap_or_default())
    }

    /// A new experiment in the state that `row` is about.
    async fn make(&mut self, row: &Row) -> Result<pb::Experiment> {
        let (hour, day) = (3_600, 86_400);
        let sticky = match row.name.contains("remembered") {
            true => pb::Sticky::Stored,
            false => pb::Sticky::HashOnly,
        };
        let mut made = match row.reached_by.first() {
            Some(A::Start) if row.name == "SCHEDULED" => {
                let start = self.after(1_000 * day);
                self.draft(start, None, sticky).await?
            }
            _ if row.name == "COMPLETED(PENDING)" => {
                let end = self.after(hour);
                self.draft(None, end, sticky).await?
            }
            _ => self.draft(None, None, sticky).await?,
        };
        for command in row.reached_by {
            made = self.give(&made, *command).await?;
        }
        if row.name == "COMPLETED(PENDING)" {
            self.clock.advance(Duration::from_secs(3_600));
            made = self.until_completed(&made.key).await?;
        }
        if row.wait > 0 {
            self.clock.advance(Duration::from_secs(row.wait));
            made = self.get(&made.key).await?;
        }
        Ok(made)
    }

    async fn until_completed(&mut self, key: &str) -> Result<pb::Experiment> {
        for _ in 0..500 {
            let found = self.get(key).await?;
            if found.state() == S::Completed {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("{key} has not ended")
    }

    /// Gives `command`; after Delete there is a default experiment, after Duplicate the copy.
    async fn give(&mut self, to: &pb::Experiment, command: A) -> Result<pb::Experiment, Status> {
        let (key, version) = (to.key.clone(), to.version);
        let client = &mut self.experiments;
        macro_rules! plain {
            ($call:ident, $request:ident { $($field:ident: $value:expr),* }) => {{
                #[allow(clippy::needless_update, reason = "some of these messages have more fields")]
                let request = pb::$request { key, version, $($field: $value,)* ..Default::default() };
                client.$call(request).await?.into_inner().experiment
            }};
        }
        let experiment = match command {
            A::Start => plain!(start_experiment, StartExperimentRequest { confirm: true }),
            A::Unschedule => plain!(unschedule_experiment, UnscheduleExperimentRequest {}),
            A::Pause => plain!(pause_experiment, PauseExperimentRequest {}),
            A::Resume => plain!(resume_experiment, ResumeExperimentRequest {}),
            A::Stop => plain!(stop_experiment, StopExperimentRequest { confirm: true }),
            A::DeclareWinner => plain!(
                declare_winner,
                DeclareWinnerRequest {
                    variant_key: "on".to_owned(),
                    reason: "it won".to_owned(),
                    force: true
                }
            ),
            A::Undo => plain!(undo_experiment, UndoExperimentRequest {}),
            A::End => plain!(end_experiment, EndExperimentRequest {}),
            A::Archive => plain!(archive_experiment, ArchiveExperimentRequest {}),
            A::Unarchive => plain!(unarchive_experiment, UnarchiveExperimentRequest {}),
            A::Delete => {
                let request = pb::DeleteExperimentRequest {
                    key,
                    version,
                    ..Default::default()
                };
                client.delete_experiment(request).await?;
                None
            }
            A::Duplicate => {
                let request = pb::DuplicateExperimentRequest {
                    key,
                    ..Default::default()
                };
                client
                    .duplicate_experiment(request)
                    .await?
                    .into_inner()
                    .experiment
            }
            A::AddCohort => plain!(
                add_cohort,
                AddCohortRequest {
                    weights: vec![1_000, 9_000]
                }
            ),
            A::Unspecified => return Err(Status::internal("no command")),
        };
        Ok(experiment.unwrap_or_default())
    }
}

/// `RUNNING`, `COMPLETED(WINNER)`, …
fn standing(experiment: &pb::Experiment) -> String {
    let short = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_owned();
    let state = short(experiment.state().as_str_name(), "EXPERIMENT_STATE_");
    match experiment.outcome() {
        pb::Outcome::Unspecified => state,
        outcome => format!("{state}({})", short(outcome.as_str_name(), "OUTCOME_")),
    }
}

fn names(actions: impl Iterator<Item = A>) -> String {
    let names = actions.map(|action| {
        action
            .as_str_name()
            .trim_start_matches("LIFECYCLE_ACTION_")
            .to_owned()
    });
    names.collect::<Vec<_>>().join(",")
}

/// What is wrong with the answer to `command` in the state of `row`, if anything.
async fn check(service: &mut Service, row: &Row, command: A, then: Then) -> Result<()> {
    let made = service.make(row).await?;
    let what = format!("{command:?} in {}", row.name);
    anyhow::ensure!(
        names(made.allowed_actions()) == row.allowed,
        "{what}: allowed {}",
        names(made.allowed_actions())
    );
    let answer = service.give(&made, command).await;
    match then {
        Then::Is(state) => {
            let after = answer.with_context(|| what.clone())?;
            anyhow::ensure!(standing(&after) == state, "{what} leads to {}", standing(&after));
            anyhow::ensure!(after.version == made.version + 1, "{what} is one write");
        }
        Then::Gone => {
            answer.with_context(|| what.clone())?;
            let gone = service.get(&made.key).await.err().map(|status| status.code());
            anyhow::ensure!(gone == Some(tonic::Code::NotFound), "{what}: {gone:?}");
        }
        Then::Beside => {
            let copy = answer.with_context(|| what.clone())?;
            anyhow::ensure!(
                copy.state() == S::Draft && copy.key == format!("{}-copy", made.key),
                "{what}: {copy:?}"
            );
            anyhow::ensure!(
                uncounted(service.get(&made.key).await?) == uncounted(made.clone()),
                "{what} leaves the original alone"
            );
        }
        Then::No(reason, words) => {
            let Err(status) = answer else {
                bail!("{what} is not refused")
            };
            let failure = Failure::from_status(&status);
            let fact = |name: &str| {
                failure
                    .metadata
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value.as_str())
            };
            anyhow::ensure!(
                failure.code == Code::FailedPrecondition && failure.reason == reason,
                "{what}: {failure:?}"
            );
            anyhow::ensure!(
                fact("allowed_actions") == Some(row.allowed),
                "{what}: {failure:?}"
            );
            anyhow::ensure!(
                failure.message.contains(words),
                "{what}: {} lacks {words:?}",
                failure.message
            );
            if reason == "INVALID_TRANSITION" {
                anyhow::ensure!(
                    fact("state") == row.name.split(['(', ',']).next(),
                    "{what}: {failure:?}"
                );
            }
            anyhow::ensure!(
                uncounted(service.get(&made.key).await?) == uncounted(made.clone()),
                "{what}: a refusal changes nothing"
            );
        }
    }
    Ok(())
}

async fn every_state_and_command(url: &str) -> Result<()> {
    let mut service = Service::on(url).await?;
    for row in TABLE {
        for (command, then) in COMMANDS.into_iter().zip(row.then) {
            check(&mut service, row, command, then).await?;
        }
    }
    service.stop().await
}

#[tokio::test]
async fn sqlite_obeys_the_table() -> Result<()> {
    every_state_and_command("sqlite::memory:").await
}

#[tokio::test]
async fn postgres_obeys_the_table() -> Result<()> {
    every_state_and_command(&fresh_database().await?).await
}

/// Without the fence of its start, which becomes known in between.
fn uncounted(experiment: pb::Experiment) -> pb::Experiment {
    pb::Experiment {
        counting_from: None,
        counting_awaited: false,
        ..experiment
    }
}
