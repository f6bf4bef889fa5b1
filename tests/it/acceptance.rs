//! What a person can expect of experiments, by command line against a running cluster with three replicas of assignment. Each check works in
//! a namespace of its own; one that fails does not hide the others. What needs a clock that is moved is in `lifecycle`, the death of processes
//! in `cluster` and `cohorts`, files and rollback in `gitops`.

mod decisions;
mod drafts;
mod serving;
mod traffic;

use std::{collections::BTreeMap, ops::Range, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use assay_client::{Client, Endpoints};
use assay_core::{
    key::{Namespace, Unit},
    value::{Attribute, Attributes},
};
use assay_proto::{
    assignment::v1::{Assignment, Exposure, Reason},
    convert::json_from,
};
use assay_tests::{
    cli::Cli,
    processes::{Processes, StoreUrls},
    servers::{Etcd, Postgres, Redis},
};
use serde_json::Value;

use crate::cluster::stores;

const DEADLINE: Duration = Duration::from_secs(30);

/// The command line, and a client of each replica.
struct World {
    cli: Cli,
    replicas: Vec<Client>,
}

impl World {
    async fn of(cluster: &mut Processes) -> Result<Self> {
        let endpoints = cluster.endpoints();
        let mut replicas = vec![Client::connect(&endpoints)?];
        for replica in ["assignment-1", "assignment-2"] {
            let assignment = cluster.add(replica).await?;
            replicas.push(Client::connect(&Endpoints {
                assignment,
                ..endpoints.clone()
            })?);
        }
        let cli = Cli::on(&endpoints);
        Ok(Self { cli, replicas })
    }

    /// The world as it is seen from `namespace`, which has a metric `bought`.
    async fn shop(&self, namespace: &str) -> Result<Shop<'_>> {
        let shop = Shop {
            world: self,
            namespace: Namespace::new(namespace)?,
        };
        shop.ok("metric create bought --conversion purchase --window 1d")
            .await?;
        Ok(shop)
    }
}

/// A namespace.
struct Shop<'w> {
    world: &'w World,
    namespace: Namespace,
}

/// What units got.
type Given = BTreeMap<usize, Assignment>;

impl Shop<'_> {
    async fn ok(&self, line: &str) -> Result<String> {
        self.world.cli.ok(&format!("-n {} {line}", self.namespace)).await
    }

    async fn json(&self, line: &str) -> Result<Value> {
        self.world
            .cli
            .json(&format!("-n {} {line}", self.namespace))
            .await
    }

    /// Why `line` is refused; it must say all of `words`.
    async fn refused(&self, line: &str, words: &[&str]) -> Result<String> {
        let said = self
            .world
            .cli
            .run(&format!("-n {} {line}", self.namespace))
            .await?;
        ensure!(said.code != 0, "{line} is not refused: {said:?}");
        for word in words {
            ensure!(said.err.contains(word), "{line}: {word:?} in {}", said.err);
        }
        Ok(said.err)
    }

    /// Puts a document of a file.
    async fn apply(&self, document: &str) -> Result<()> {
        let line = format!("-n {} apply -f - --wait", self.namespace);
        let said = self.world.cli.run_with(&line, document).await?;
        ensure!(said.code == 0, "{document}: {said:?}");
        Ok(())
    }

    /// Starts an experiment `key` of the variants A (the control) and B on a flag of its key, and waits until it is served everywhere.
    async fn start(&self, key: &str, options: &str) -> Result<()> {
        self.draft(key, options).await?;
        self.ok(&format!("experiment start {key} --wait")).await.map(drop)
    }

    async fn draft(&self, key: &str, options: &str) -> Result<()> {
        let line = format!(
            "experiment create {key} --hypothesis 'B sells more' --variant a=A --variant b=B --metric bought:primary {options}"
        );
        self.ok(&line).await.map(drop)
    }

    /// What the numbered units get for `flag`, asked of the replicas in turn.
    async fn assign(&self, flag: &str, units: Range<usize>, exposure: Exposure) -> Result<Given> {
        self.assign_as(flag, units, &Attributes::default(), exposure)
            .await
    }

    async fn assign_as(
        &self,
        flag: &str,
        units: Range<usize>,
        attributes: &Attributes,
        exposure: Exposure,
    ) -> Result<Given> {
        let mut given = Given::new();
        let ids: Vec<usize> = units.collect();
        for (i, batch) in ids.chunks(1_000).enumerate() {
            let replica = &self.world.replicas[i % self.world.replicas.len()];
            let units = batch
                .iter()
                .map(|id| Ok((Unit::user(format!("u{id}"))?, attributes.clone())));
            let units = units.collect::<Result<Vec<_>>>()?;
            let answers = replica
                .assign_batch(&self.namespace, &units, &[flag.to_owned()], exposure)
                .await?;
            for (id, answer) in batch.iter().zip(answers) {
                given.insert(*id, answer.assignments.into_iter().next().context("an answer")?);
            }
        }
        Ok(given)
    }

    async fn peek(&self, flag: &str, units: Range<usize>) -> Result<Given> {
        self.assign(flag, units, Exposure::Peek).await
    }
}

fn variants(given: &Given) -> BTreeMap<usize, String> {
    given
        .iter()
        .map(|(id, answer)| (*id, answer.variant_key.clone()))
        .collect()
}

fn value(answer: &Assignment) -> Value {
    json_from(answer.value.clone(), "value").unwrap_or(Value::Null)
}

/// All of `given` were answered `value` for `reason`.
fn all(given: &Given, reason: Reason, expected: &str) -> Result<()> {
    for (id, answer) in given {
        ensure!(
            answer.reason() == reason && value(answer) == expected,
            "unit {id} got {answer:?}, not {expected} for {reason:?}"
        );
    }
    Ok(())
}

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Attribute::from(*value)));
    pairs.collect()
}

macro_rules! checks {
    ($world:expr, $($module:ident::$check:ident),+ $(,)?) => {{
        let mut failed = Vec::new();
        $(if let Err(error) = $module::$check($world).await {
            failed.push(format!("{}: {error:#}", stringify!($check)));
        })+
        failed
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_does_what_people_expect() -> Result<()> {
    let mut cluster = Processes::start(stores().await?).await?;
    let world = World::of(&mut cluster).await?;
    let failed = checks!(
        &world,
        drafts::weights_sum_to_the_whole,
        drafts::only_a_draft_is_deleted,
        drafts::a_copy_is_a_draft_of_its_own,
        drafts::a_start_that_cannot_be_says_why,
        drafts::a_running_experiment_is_locked,
        drafts::two_primaries_are_a_warning,
        drafts::of_two_writers_one_wins,
        serving::a_pause_serves_the_default_and_a_resume_the_variants,
        serving::who_comes_in_a_pause_gets_a_variant_afterwards,
        serving::an_override_is_served_in_a_pause,
        serving::a_start_in_the_future_comes_in_time,
        serving::created_and_started_it_serves_at_once,
        serving::the_control_keeps_its_pinned_value,
        serving::an_ended_experiment_answers_an_old_client,
        decisions::a_stop_is_final,
        decisions::a_winner_is_served_to_everyone,
        decisions::a_winner_needs_a_signal_or_force,
        decisions::an_end_keeps_results_and_an_archive_assignments,
        decisions::an_undo_restores_everything,
        traffic::a_segment_is_exact_at_its_bounds,
        traffic::operators_match_miss_and_do_without,
        traffic::an_override_on_a_live_segment_is_refused,
        traffic::a_split_is_even,
        traffic::growing_coverage_moves_nobody,
        traffic::layers_exclude_within_and_overlap_between,
    );
    if !failed.is_empty() {
        bail!("{} checks fail:\n{}", failed.len(), failed.join("\n"));
    }
    cluster.stop_all().await
}

/// With etcd, Redis and Postgres away, one unit has one variant on every replica, 100,000 times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_has_one_variant_whatever_is_away() -> Result<()> {
    let (mut etcd, mut redis, mut postgres) =
        tokio::try_join!(Etcd::start(), Redis::start(), Postgres::start())?;
    let urls = StoreUrls::of(&postgres, &etcd, &redis, "away");
    let mut cluster = Processes::start(urls).await?;
    let world = World::of(&mut cluster).await?;
    let shop = world.shop("default").await?;
    shop.start("page", "").await?;
    etcd.stop().await?;
    redis.stop().await?;
    postgres.stop().await?;
    let unit = (Unit::user("42")?, Attributes::default());
    let batch = vec![unit; 1_000];
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..100 {
        let replica = &world.replicas[i % world.replicas.len()];
        let answers = replica
            .assign_batch(&shop.namespace, &batch, &["page".to_owned()], Exposure::Record)
            .await?;
        ensure!(answers.len() == 1_000);
        for answer in answers {
            let answer = answer.assignments.into_iter().next().context("an answer")?;
            seen.insert((answer.variant_key.clone(), answer.reason().as_str_name()));
        }
    }
    ensure!(
        seen.len() == 1 && seen.iter().all(|(_, reason)| *reason == "REASON_SPLIT"),
        "{seen:?}"
    );
    etcd.restart().await?;
    redis.restart().await?;
    postgres.restart().await?;
    cluster.stop_all().await
}
