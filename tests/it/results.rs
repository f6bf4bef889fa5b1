//! Results through the doors of a platform in one process, on a clock that the test moves.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use assay_client::Client;
use assay_platform::{Code, Failure, MockClock};
use assay_proto::{
    analysis::v1::{GetResultsRequest, ListAssignmentsRequest, MetricResult},
    common::v1::Unit,
    config::v1 as config,
    ingest::v1::{Event, Exposure, RecordEventsRequest, RecordExposuresRequest},
};
use assay_tests::{cluster::Cluster, eventually};
use prost_types::{Timestamp, Value, value::Kind};

const DEADLINE: Duration = Duration::from_secs(30);
/// 2026-03-01T00:00:00Z, in seconds.
const START: i64 = 1_772_323_200;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn unit(id: &str) -> Option<Unit> {
    Some(Unit {
        kind: String::new(),
        id: id.into(),
    })
}

/// A running imported experiment `gate` on retention of day 1.
async fn imported(client: &Client) -> Result<()> {
    let kind = config::metric::Kind::Retention(config::RetentionMetric {
        day: 1,
        ..Default::default()
    });
    let metric = config::Metric {
        key: "retention_1".into(),
        kind: Some(kind),
        ..Default::default()
    };
    imported_on(client, vec![metric]).await
}

/// The same on `metrics`, of which the first is the primary one.
async fn imported_on(client: &Client, metrics: Vec<config::Metric>) -> Result<()> {
    let mut measured = Vec::new();
    for metric in metrics {
        let role = if measured.is_empty() {
            config::MetricRole::Primary
        } else {
            config::MetricRole::Secondary
        };
        measured.push(config::ExperimentMetric {
            metric_key: metric.key.clone(),
            role: role.into(),
            ..Default::default()
        });
        let request = config::CreateMetricRequest { metric: Some(metric) };
        client.metrics().create_metric(request).await?;
    }
    let variant = |key: &str, value: f64| config::Variant {
        key: key.into(),
        value: Some(Value {
            kind: Some(Kind::NumberValue(value)),
        }),
        ..Default::default()
    };
    let experiment = config::Experiment {
        key: "gate".into(),
        hypothesis: "A later gate keeps players.".into(),
        assignment_source: config::AssignmentSource::Imported.into(),
        variants: vec![variant("gate_30", 30.0), variant("gate_40", 40.0)],
        metrics: measured,
        start_time: at(START - 10 * DAY),
        end_time: at(START + 10 * DAY),
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
    let version = draft.version;
    let request = config::StartExperimentRequest {
        key: draft.key,
        version,
        confirm: true,
        ..Default::default()
    };
    client.experiments().start_experiment(request).await?;
    Ok(())
}

async fn expose(client: &Client, id: &str, variant: &str, seconds: i64) -> Result<()> {
    let exposure = Exposure {
        experiment_key: "gate".into(),
        variant_key: variant.into(),
        unit: unit(id),
        time: at(seconds),
        attributes: None,
    };
    let request = RecordExposuresRequest {
        namespace: String::new(),
        exposures: vec![exposure],
    };
    client.ingest().record_exposures(request).await?;
    Ok(())
}

async fn visit(client: &Client, id: &str, seconds: i64) -> Result<()> {
    let event = Event {
        event_id: format!("{id}-{seconds}"),
        unit: unit(id),
        name: "visit".into(),
        time: at(seconds),
        ..Default::default()
    };
    let request = RecordEventsRequest {
        events: vec![event],
        imported: true,
        ..Default::default()
    };
    client.ingest().record_events(request).await?;
    Ok(())
}

/// A purchase whose price is a property.
async fn buy(client: &Client, id: &str, n: usize, price: f64) -> Result<()> {
    let price = Value {
        kind: Some(Kind::NumberValue(price)),
    };
    let event = Event {
        event_id: format!("{id}-bought-{n}"),
        unit: unit(id),
        name: "bought".into(),
        time: at(START - HOUR),
        properties: Some(prost_types::Struct {
            fields: [("price".to_owned(), price)].into(),
        }),
        ..Default::default()
    };
    let request = RecordEventsRequest {
        events: vec![event],
        imported: true,
        ..Default::default()
    };
    client.ingest().record_events(request).await?;
    Ok(())
}

/// The metric's figures once they are as `expected`: (counted, successes, pending) of each variant.
async fn figures(client: &Client, expected: [(i64, i64, i64); 2]) -> Result<MetricResult> {
    eventually(DEADLINE, async || {
        let request = GetResultsRequest {
            namespace: String::new(),
            experiment_key: "gate".into(),
        };
        let result = client
            .analysis()
            .get_results(request)
            .await?
            .into_inner()
            .result
            .context("no result")?;
        let metric = result.metrics.into_iter().next().context("no metric")?;
        let found: Vec<_> = metric
            .variants
            .iter()
            .map(|v| (v.units, v.nonzero_units, v.pending_units))
            .collect();
        ensure!(found == expected, "found {found:?}, wanted {expected:?}");
        Ok(metric)
    })
    .await
}

#[tokio::test]
async fn windows_close_with_the_clock_and_a_unit_in_two_variants_is_set_aside() -> Result<()> {
    let clock = MockClock::at(START * 1_000_000);
    let cluster = Cluster::start(clock.shared()).await?;
    let client = cluster.client()?;
    imported(&client).await?;
    expose(&client, "a", "gate_30", START - DAY).await?;
    expose(&client, "b", "gate_30", START - HOUR).await?;
    expose(&client, "c", "gate_40", START - 3 * DAY).await?;
    visit(&client, "c", START - 2 * DAY + HOUR).await?;
    clock.advance(Duration::from_secs(60));
    figures(&client, [(0, 0, 2), (1, 1, 0)]).await?;

    visit(&client, "a", START + 30).await?;
    clock.advance(Duration::from_secs(DAY.unsigned_abs()));
    figures(&client, [(1, 1, 1), (1, 1, 0)]).await?;
    clock.advance(Duration::from_secs(DAY.unsigned_abs()));
    figures(&client, [(2, 1, 0), (1, 1, 0)]).await?;

    expose(&client, "a", "gate_40", START).await?;
    clock.advance(Duration::from_secs(60));
    figures(&client, [(1, 0, 0), (1, 1, 0)]).await?;
    let request = ListAssignmentsRequest {
        experiment_key: "gate".into(),
        page_size: 2,
        ..Default::default()
    };
    let first = client
        .analysis()
        .list_assignments(request.clone())
        .await?
        .into_inner();
    let second = ListAssignmentsRequest {
        page_token: first.next_page_token,
        ..request
    };
    let second = client.analysis().list_assignments(second).await?.into_inner();
    let all = first.assignments.into_iter().chain(second.assignments);
    let all: Vec<_> = all
        .map(|a| (a.unit.unwrap_or_default().id, a.variant_key, a.set_aside))
        .collect();
    let expected = [
        ("a", "gate_30", true),
        ("b", "gate_30", false),
        ("c", "gate_40", false),
    ];
    ensure!(
        all == expected.map(|(id, variant, aside)| (id.to_owned(), variant.to_owned(), aside)),
        "{all:?}"
    );
    cluster.stop().await
}

/// By hand: what a unit counts with above the cap is cut off, and a ratio is that of the sums.
#[tokio::test]
async fn caps_cut_off_and_ratios_are_those_of_sums() -> Result<()> {
    let clock = MockClock::at(START * 1_000_000);
    let cluster = Cluster::start(clock.shared()).await?;
    let client = cluster.client()?;
    let bought = config::Quantity {
        event: "bought".into(),
        value_property: "price".into(),
        ..Default::default()
    };
    let visits = config::Quantity {
        event: "visit".into(),
        aggregation: config::Aggregation::Count.into(),
        ..Default::default()
    };
    let spend = config::ScalarMetric {
        event: "bought".into(),
        value_property: "price".into(),
        ..Default::default()
    };
    let per_visit = config::RatioMetric {
        numerator: Some(bought),
        denominator: Some(visits),
        window: None,
    };
    let metrics = vec![
        config::Metric {
            key: "spend".into(),
            kind: Some(config::metric::Kind::Scalar(spend)),
            cap: Some(50.0),
            ..Default::default()
        },
        config::Metric {
            key: "per_visit".into(),
            kind: Some(config::metric::Kind::Ratio(per_visit)),
            ..Default::default()
        },
    ];
    imported_on(&client, metrics).await?;
    let units: [(&str, &str, &[f64], i64); 6] = [
        ("a", "gate_30", &[30.0, 40.0], 2),
        ("b", "gate_30", &[10.0], 1),
        ("c", "gate_30", &[], 1),
        ("d", "gate_40", &[100.0], 4),
        ("e", "gate_40", &[5.0], 1),
        ("f", "gate_40", &[], 0),
    ];
    for (id, variant, prices, visits) in units {
        expose(&client, id, variant, START - DAY).await?;
        for visited in 0..visits {
            visit(&client, id, START - HOUR + visited).await?;
        }
        for (i, price) in prices.iter().enumerate() {
            buy(&client, id, i, *price).await?;
        }
    }
    clock.advance(Duration::from_secs(60));
    let found = eventually(DEADLINE, async || {
        let request = GetResultsRequest {
            namespace: String::new(),
            experiment_key: "gate".into(),
        };
        let answer = client.analysis().get_results(request).await?.into_inner();
        let found: Vec<_> = answer
            .result
            .context("no result")?
            .metrics
            .iter()
            .flat_map(|metric| metric.variants.clone())
            .map(|variant| (variant.units, variant.capped_units, variant.mean))
            .collect();
        let units: i64 = found.iter().map(|(units, ..)| units).sum();
        ensure!(units == 12 && found[1].1 == 1, "{found:?}");
        Ok(found)
    })
    .await?;
    let expected = [
        (3, 1, Some(60.0 / 3.0)),
        (3, 1, Some(55.0 / 3.0)),
        (3, 0, Some(80.0 / 4.0)),
        (3, 0, Some(105.0 / 5.0)),
    ];
    ensure!(found == expected, "{found:?}");
    cluster.stop().await
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_a_reason() -> Result<()> {
    let cluster = Cluster::start(MockClock::at(START * 1_000_000).shared()).await?;
    let client = cluster.client()?;
    let get = async |key: &str| {
        let request = GetResultsRequest {
            namespace: String::new(),
            experiment_key: key.into(),
        };
        client
            .analysis()
            .get_results(request)
            .await
            .map(|_| ())
            .map_err(|status| Failure::from_status(&status))
    };
    let missing = get("nobody").await.err().context("a result of nothing")?;
    ensure!(missing.code == Code::NotFound, "{missing:?}");
    let malformed = get("a b").await.err().context("a result of a malformed key")?;
    ensure!(
        malformed.violations.iter().any(|v| v.field == "experiment_key"),
        "{malformed:?}"
    );
    let variant = |key: &str, value: bool| config::Variant {
        key: key.into(),
        value: Some(Value {
            kind: Some(Kind::BoolValue(value)),
        }),
        ..Default::default()
    };
    let draft = config::Experiment {
        key: "draft".into(),
        variants: vec![variant("a", false), variant("b", true)],
        ..Default::default()
    };
    client
        .experiments()
        .create_experiment(config::CreateExperimentRequest {
            experiment: Some(draft),
            ..Default::default()
        })
        .await?;
    let draft = get("draft").await.err().context("a result of a draft")?;
    ensure!(
        (draft.code, &*draft.reason) == (Code::FailedPrecondition, "NOT_STARTED"),
        "{draft:?}"
    );
    let request = ListAssignmentsRequest {
        experiment_key: "draft".into(),
        page_size: 10_001,
        ..Default::default()
    };
    let page = client
        .analysis()
        .list_assignments(request)
        .await
        .err()
        .context("a page too large")?;
    let page = Failure::from_status(&page);
    ensure!(page.violations.iter().any(|v| v.field == "page_size"), "{page:?}");
    cluster.stop().await
}
