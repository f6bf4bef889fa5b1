//! What a tenant has: something of everything.

use anyhow::{Result, ensure};
use assay_proto::{
    assignment::v1 as assignment,
    common::v1::Unit,
    config::v1::{self as pb, metric::Kind},
    ingest::v1 as ingest,
};
use assay_tests::eventually;
use prost::Message;
use prost_types::{Value, value::Kind as Plain};
use tonic::Code;

use super::{DEADLINE, Guarded};

/// How many units are exposed.
pub(super) const UNITS: i64 = 20;

/// What blue's keys begin with, and all else; for another namespace both are its name.
fn words(namespace: &str) -> (&str, &str) {
    match namespace {
        "blue" => ("canary", "hidden"),
        own => (own, own),
    }
}

pub(super) fn text(value: &str) -> Option<Value> {
    Some(Value {
        kind: Some(Plain::StringValue(value.to_owned())),
    })
}

pub(super) fn unit(id: &str) -> Option<Unit> {
    Some(Unit {
        kind: String::new(),
        id: id.to_owned(),
    })
}

/// A flag of two texts.
pub(super) fn flag(namespace: &str, key: &str) -> pb::Flag {
    let (_, hidden) = words(namespace);
    let variation = |key: &str| pb::Variation {
        key: key.to_owned(),
        name: format!("{hidden} variation"),
        value: text(&format!("{hidden} value {key}")),
    };
    pb::Flag {
        namespace: namespace.to_owned(),
        key: key.to_owned(),
        name: format!("{hidden} name"),
        description: format!("{hidden} description"),
        variations: vec![variation("a"), variation("b")],
        ..Default::default()
    }
}

fn segment(namespace: &str, key: &str) -> pb::Segment {
    let (_, hidden) = words(namespace);
    pb::Segment {
        namespace: namespace.to_owned(),
        key: key.to_owned(),
        name: format!("{hidden} name"),
        rules: vec![pb::Rule {
            attribute: format!("{hidden}_attribute"),
            operator: pb::Operator::Neq.into(),
            operands: text(&format!("{hidden} operand")).into_iter().collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn metric(namespace: &str, key: &str) -> pb::Metric {
    let (_, hidden) = words(namespace);
    pb::Metric {
        namespace: namespace.to_owned(),
        key: key.to_owned(),
        name: format!("{hidden} name"),
        kind: Some(Kind::Conversion(pb::ConversionMetric {
            event: format!("{hidden}-event"),
            ..Default::default()
        })),
        ..Default::default()
    }
}

fn experiment(namespace: &str, key: &str, flag: &str) -> pb::Experiment {
    let (canary, hidden) = words(namespace);
    pb::Experiment {
        namespace: namespace.to_owned(),
        key: key.to_owned(),
        name: format!("{hidden} name"),
        description: format!("{hidden} description"),
        hypothesis: format!("{hidden} hypothesis"),
        owner: format!("{hidden} owner"),
        tags: vec![format!("{hidden}-tag")],
        flag_key: flag.to_owned(),
        metrics: vec![pb::ExperimentMetric {
            metric_key: format!("{canary}-metric"),
            role: pb::MetricRole::Primary.into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Writes something of every kind down in `namespace`, starts an experiment there, and lets units come and act.
pub(in crate::access) async fn write_down(guarded: &Guarded, key: &str, namespace: &str) -> Result<()> {
    for (name, request) in resources(namespace) {
        let method = format!("assay.config.v1.{name}");
        let answer = guarded.call(Some(key), &method, request).await?;
        ensure!(answer.code == Code::Ok, "{method}: {answer:?}");
    }
    for n in 0..UNITS {
        come(guarded, key, namespace, n).await?;
    }
    Ok(())
}

fn resources(namespace: &str) -> Vec<(&'static str, Vec<u8>)> {
    let (canary, hidden) = words(namespace);
    let of = |kind: &str| format!("{canary}-{kind}");
    let layer = pb::Layer {
        namespace: namespace.to_owned(),
        key: of("layer"),
        name: format!("{hidden} name"),
        ..Default::default()
    };
    let holdout = pb::Holdout {
        namespace: namespace.to_owned(),
        key: of("holdout"),
        name: format!("{hidden} name"),
        share: 100,
        layer_keys: vec![of("layer")],
        ..Default::default()
    };
    let flag = |key: &str| {
        let flag = Some(flag(namespace, &of(key)));
        pb::CreateFlagRequest { flag }.encode_to_vec()
    };
    let experiment = |key: &str, flag: &str, start: bool| {
        let request = pb::CreateExperimentRequest {
            experiment: Some(experiment(namespace, &of(key), &of(flag))),
            start,
            ..Default::default()
        };
        request.encode_to_vec()
    };
    let segment = Some(segment(namespace, &of("segment")));
    let metric = Some(metric(namespace, &of("metric")));
    let (layer, holdout) = (Some(layer), Some(holdout));
    vec![
        ("FlagService/CreateFlag", flag("flag")),
        ("FlagService/CreateFlag", flag("gate")),
        (
            "SegmentService/CreateSegment",
            pb::CreateSegmentRequest { segment }.encode_to_vec(),
        ),
        (
            "MetricService/CreateMetric",
            pb::CreateMetricRequest { metric }.encode_to_vec(),
        ),
        (
            "LayerService/CreateLayer",
            pb::CreateLayerRequest { layer }.encode_to_vec(),
        ),
        (
            "HoldoutService/CreateHoldout",
            pb::CreateHoldoutRequest { holdout }.encode_to_vec(),
        ),
        (
            "ExperimentService/CreateExperiment",
            experiment("experiment", "flag", true),
        ),
        (
            "ExperimentService/CreateExperiment",
            experiment("draft", "gate", false),
        ),
    ]
}

/// The unit of number `n` is exposed, and acts.
async fn come(guarded: &Guarded, key: &str, namespace: &str, n: i64) -> Result<()> {
    let (canary, hidden) = words(namespace);
    let id = format!("{hidden}-unit-{n}");
    let asks = assignment::AssignRequest {
        namespace: namespace.to_owned(),
        unit: unit(&id),
        flag_keys: vec![format!("{canary}-flag")],
        ..Default::default()
    };
    eventually(DEADLINE, async || {
        let method = "assay.assignment.v1.AssignmentService/Assign";
        let answer = guarded.call(Some(key), method, asks.encode_to_vec()).await?;
        ensure!(answer.code == Code::Ok, "{answer:?}");
        let answers = assignment::AssignResponse::decode(&*answer.bytes)?.assignments;
        let is_split = answers
            .iter()
            .all(|got| got.reason() == assignment::Reason::Split);
        ensure!(is_split && answers.len() == 1, "{answers:?}");
        anyhow::Ok(())
    })
    .await?;
    let event = ingest::Event {
        event_id: format!("{hidden}-event-{n}"),
        unit: unit(&id),
        name: format!("{hidden}-event"),
        ..Default::default()
    };
    let request = ingest::RecordEventsRequest {
        namespace: namespace.to_owned(),
        events: vec![event],
        ..Default::default()
    };
    let method = "assay.ingest.v1.IngestService/RecordEvents";
    let answer = guarded.call(Some(key), method, request.encode_to_vec()).await?;
    ensure!(answer.code == Code::Ok, "{answer:?}");
    Ok(())
}
