//! Records counted by analysis, beside a bulk insert of the same rows into a table with the same key.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use assay_client::Client;
use assay_core::{
    bucketing,
    key::{ExperimentKey, Namespace, Unit, VariantKey},
    record::{Event, Exposure},
    time::Timestamp,
    value::Attributes,
};
use assay_platform::SystemClock;
use assay_proto::{
    config::v1 as config,
    convert::duration,
    stream::{self, Batch, Records},
};
use assay_storage::event_log::{Append, EventLog, Topic};
use assay_tests::{
    cluster::{Cluster, PARTITIONS, Stores},
    eventually,
};
use sea_orm::{ConnectionTrait as _, DatabaseBackend, Statement, TransactionTrait as _};

use crate::{per_second, report};

const UNITS: usize = 50_000;
const RECORDS_PER_ENTRY: usize = 512;
const ROWS_PER_STATEMENT: usize = 1_000;

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let dir = tempfile::tempdir()?;
        let limit = bulk_insert(&format!("sqlite://{}/limit.db?mode=rwc", dir.path().display())).await?;
        report(&format!("analysis: limit: bulk insert of the same rows into SQLite: {limit:>9.0} records/s"));
        let counted = count(dir.path()).await?;
        report(&format!(
            "analysis: exposures and events read, folded and committed:   {counted:>9.0} records/s, ratio {:.2}",
            counted / limit
        ));
        Ok(())
    })
}

/// Inserts an exposure row and an event row for each unit, in one transaction for every 20 statements.
async fn bulk_insert(url: &str) -> Result<f64> {
    let database = sea_orm::Database::connect(url).await?;
    let execute = async |sql: &str| database.execute_unprepared(sql).await.map(|_| ());
    execute("pragma journal_mode = wal").await?;
    execute("pragma synchronous = normal").await?;
    execute("create table exposures (experiment text, unit text, variant text, time integer, primary key (unit, experiment))").await?;
    execute("create table events (unit text, id text, name text, time integer, value integer, hash blob, primary key (unit, id))").await?;
    let start = Instant::now();
    for chunk in 0..UNITS / ROWS_PER_STATEMENT {
        let transaction = database.begin().await?;
        let units = (0..ROWS_PER_STATEMENT).map(|i| format!("unit-{:08}", chunk * ROWS_PER_STATEMENT + i));
        let (mut exposures, mut events) = (Vec::new(), Vec::new());
        for unit in units {
            exposures.extend::<[sea_orm::Value; 4]>([
                "gate".into(),
                unit.clone().into(),
                "control".into(),
                1_i64.into(),
            ]);
            events.extend::<[sea_orm::Value; 6]>([
                unit.into(),
                "buy-1".into(),
                "buy".into(),
                1_i64.into(),
                1_000_000_i64.into(),
                vec![7_u8; 32].into(),
            ]);
        }
        let insert = |table: &str, columns: usize, values| {
            let row = format!("({})", vec!["?"; columns].join(","));
            let sql = format!(
                "insert into {table} values {}",
                vec![row; ROWS_PER_STATEMENT].join(",")
            );
            Statement::from_sql_and_values(DatabaseBackend::Sqlite, sql, values)
        };
        transaction.execute_raw(insert("exposures", 4, exposures)).await?;
        transaction.execute_raw(insert("events", 6, events)).await?;
        transaction.commit().await?;
    }
    Ok(per_second(2 * UNITS, start.elapsed()))
}

/// Appends the same records to the log and waits until analysis has counted all of them.
async fn count(dir: &std::path::Path) -> Result<f64> {
    let stores = Stores::open(
        &format!("sqlite://{}/assay.db", dir.display()),
        &format!("sqlite://{}/log.db", dir.display()),
    )
    .await?;
    let log = stores.log.clone();
    let cluster = Cluster::start_on(stores, SystemClock::shared()).await?;
    let client = cluster.client()?;
    let generation = start_experiment(&client).await?;
    let appends = entries(generation)?;
    let start = Instant::now();
    for result in log.append(appends).await {
        result?;
    }
    let expected = i64::try_from(UNITS)?;
    eventually(Duration::from_secs(300), async || {
        let result = client.results(&Namespace::default(), "gate").await?;
        let metric = result.metrics.first().context("no metric")?;
        let bought: i64 = metric.variants.iter().map(|v| v.nonzero_units).sum();
        ensure!(bought == expected, "{bought} of {expected} counted");
        anyhow::Ok(())
    })
    .await?;
    let counted = per_second(2 * UNITS, start.elapsed());
    cluster.stop().await?;
    Ok(counted)
}

/// Starts an experiment and waits until exposures count; the answer is the generation that it runs in.
async fn start_experiment(client: &Client) -> Result<u64> {
    let kind = config::metric::Kind::Conversion(config::ConversionMetric {
        event: "buy".into(),
        window: None,
        ..Default::default()
    });
    let metric = config::Metric {
        key: "bought".into(),
        kind: Some(kind),
        ..Default::default()
    };
    client
        .metrics()
        .create_metric(config::CreateMetricRequest { metric: Some(metric) })
        .await?;
    let variant = |key: &str, value: bool| config::Variant {
        key: key.into(),
        value: Some(prost_types::Value {
            kind: Some(prost_types::value::Kind::BoolValue(value)),
        }),
        ..Default::default()
    };
    let experiment = config::Experiment {
        key: "gate".into(),
        hypothesis: "measured".into(),
        variants: vec![variant("control", false), variant("treatment", true)],
        metrics: vec![config::ExperimentMetric {
            metric_key: "bought".into(),
            role: config::MetricRole::Primary.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let request = config::CreateExperimentRequest {
        experiment: Some(experiment),
        ..Default::default()
    };
    let draft = client
        .experiments()
        .create_experiment(request)
        .await?
        .into_inner()
        .experiment
        .context("no draft")?;
    let request = config::StartExperimentRequest {
        key: draft.key,
        version: draft.version,
        confirm: true,
        wait: Some(duration(Duration::from_secs(30))),
        ..Default::default()
    };
    let started = client.experiments().start_experiment(request).await?.into_inner();
    let activation = started.activation.context("no activation")?;
    ensure!(
        activation.fence_time.is_some(),
        "the experiment does not count yet: {activation:?}"
    );
    Ok(activation.generation)
}

/// The packed entries of an exposure, in `generation`, and an event for each unit.
fn entries(generation: u64) -> Result<Vec<Append>> {
    let mut exposures = vec![Vec::new(); PARTITIONS as usize];
    let mut events = vec![Vec::new(); PARTITIONS as usize];
    let now = Timestamp::from_micros(std::time::UNIX_EPOCH.elapsed()?.as_micros() as i64);
    let namespace = Namespace::default();
    for i in 0..UNITS {
        let unit = Unit::user(format!("unit-{i:08}"))?;
        let partition = bucketing::partition(&namespace, &unit, PARTITIONS) as usize;
        exposures[partition].push(Exposure {
            namespace: namespace.clone(),
            experiment: ExperimentKey::new("gate")?,
            variant: VariantKey::new(if i % 2 == 0 { "control" } else { "treatment" })?,
            cohort: 1,
            unit: unit.clone(),
            time: now,
            received_at: now,
            generation,
            attributes: Attributes::new(),
            imported: false,
        });
        events[partition].push(Event {
            namespace: namespace.clone(),
            unit,
            event_id: "buy-1".into(),
            name: "buy".into(),
            time: now,
            received_at: now,
            value_micros: Some(1_000_000),
            properties: Attributes::new(),
            clamped: false,
            late: false,
            imported: false,
        });
    }
    let mut appends = Vec::new();
    for (partition, (exposures, events)) in (0..).zip(exposures.into_iter().zip(events)) {
        let batches = exposures
            .chunks(RECORDS_PER_ENTRY)
            .map(|c| (Topic::Exposures, Records::Exposures(c.to_vec())));
        let batches = batches.chain(
            events
                .chunks(RECORDS_PER_ENTRY)
                .map(|c| (Topic::Events, Records::Events(c.to_vec()))),
        );
        for (sequence, (topic, records)) in (1..).zip(batches) {
            let batch = Batch {
                producer: "bench".into(),
                epoch: 1,
                sequence,
                traceparent: String::new(),
                records,
            };
            appends.push(Append {
                partition,
                topic,
                payload: stream::encode(&batch).into(),
            });
        }
    }
    Ok(appends)
}
