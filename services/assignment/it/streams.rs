//! `AssignStream`, `WatchConfig` and `RecordDecisions`.

use std::collections::BTreeMap;

use assay_core::{key::Namespace, lifecycle::State, time::Timestamp};
use assay_platform::{Code, Failure};
use assay_proto::{
    assignment::v1::{self as pb, assign_stream_response::Answer},
    bus::Published,
    convert::timestamp,
    view::View,
};
use futures::StreamExt;
use tokio::sync::mpsc;
use tonic::Streaming;

use crate::{
    fixtures::{experiment, flag, gate},
    support::{NOW, Running, World, attributes, eventually, request, text, unit},
};

fn question(id: u64, unit: &str, key: &str) -> pb::AssignStreamRequest {
    pb::AssignStreamRequest {
        id,
        request: Some(request(unit, &[key])),
    }
}

/// A stream of questions that are asked as they are sent.
async fn open(
    running: &mut Running,
) -> (
    mpsc::UnboundedSender<pb::AssignStreamRequest>,
    Streaming<pb::AssignStreamResponse>,
) {
    let (ask, mut asked) = mpsc::unbounded_channel();
    let questions = futures::stream::poll_fn(move |cx| asked.poll_recv(cx));
    let answers = running.client.assign_stream(questions).await.unwrap();
    (ask, answers.into_inner())
}

#[tokio::test]
async fn answers_come_in_order_and_are_those_of_assign() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let (ask, mut answers) = open(&mut running).await;
    for id in 0..500 {
        ask.send(question(id, &format!("u{id}"), "gate")).unwrap();
    }
    for id in 0..500 {
        let answer = answers.next().await.unwrap().unwrap();
        assert_eq!(answer.id, id);
        let Some(Answer::Response(response)) = answer.answer else {
            panic!("{answer:?}")
        };
        let peek = pb::AssignRequest {
            exposure: pb::Exposure::Peek.into(),
            ..request(&format!("u{id}"), &["gate"])
        };
        assert_eq!(response.assignments, running.assign(peek).await.unwrap());
    }
    drop(ask);
    assert!(answers.next().await.is_none());
    running.stop().await;
    assert_eq!(world.exposed_units(500).await.len(), 500);
}

#[tokio::test]
async fn a_refused_question_leaves_the_stream_open() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let (ask, mut answers) = open(&mut running).await;
    ask.send(question(1, "u1", "")).unwrap();
    ask.send(pb::AssignStreamRequest { id: 2, request: None })
        .unwrap();
    ask.send(question(3, "u1", "gate")).unwrap();
    let refused = answers.next().await.unwrap().unwrap();
    let Some(Answer::Error(error)) = refused.answer else {
        panic!("{refused:?}")
    };
    assert_eq!((refused.id, error.field.as_str()), (1, "flag_keys[0]"));
    assert_eq!(error.code, i32::from(tonic::Code::InvalidArgument));
    let all = answers.next().await.unwrap().unwrap();
    assert!(
        matches!(all.answer, Some(Answer::Response(_))),
        "no keys are all flags: {all:?}"
    );
    assert_eq!(answers.next().await.unwrap().unwrap().id, 3);
    running.stop().await;
}

#[tokio::test]
async fn streams_end_with_the_server_and_hold_nothing_up() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let (ask, mut answers) = open(&mut running).await;
    ask.send(question(1, "u1", "gate")).unwrap();
    answers.next().await.unwrap().unwrap();
    let mut watch = watch(&mut running, pb::ConfigCursor::default()).await;
    watch.next().await.unwrap().unwrap();
    running.stop().await;
    assert!(answers.next().await.is_none_or(|end| end.is_err()));
    assert!(watch.next().await.is_none_or(|end| end.is_err()));
    drop(ask);
}

async fn watch(running: &mut Running, cursor: pb::ConfigCursor) -> Streaming<pb::WatchConfigResponse> {
    let request = pb::WatchConfigRequest {
        cursor: Some(cursor),
        ..Default::default()
    };
    running.client.watch_config(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn what_is_watched_is_what_is_served() {
    let world = World::new().await;
    let broken = assay_core::experiment::Experiment {
        variants: vec![],
        ..experiment("gate", State::Running)
    };
    world.bus.publish("default", 1, &gate()).await;
    let mut running = world.serving(1).await;
    let mut watched = watch(&mut running, pb::ConfigCursor::default()).await;
    let mut view = View::default();
    let whole = watched.next().await.unwrap().unwrap();
    assert!(
        (0, 1, true) == (whole.base, whole.generation, whole.complete),
        "{whole:?}"
    );
    take(&mut view, whole);

    // One resource breaks, another comes: the broken one is served, and handed over, in its last good version.
    let resources = [
        Published::Flag(flag("gate")),
        Published::Flag(flag("banner")),
        Published::Experiment(broken),
    ];
    world.bus.publish("default", 2, &resources).await;
    let change = watched.next().await.unwrap().unwrap();
    let keys: Vec<_> = change.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(
        (change.base, change.generation, keys),
        (1, 2, vec!["flag/banner"])
    );
    take(&mut view, change);
    running.until(2).await;
    let (snapshot, rejected) = view.compile(&Namespace::default());
    assert_eq!(rejected, []);
    for id in 0..50 {
        let id = format!("u{id}");
        let here = assay_core::assign::assign(
            &snapshot,
            "gate",
            Some(&assay_core::key::Unit::user(id.as_str()).unwrap()),
            &BTreeMap::new(),
            Timestamp::from_micros(NOW),
        );
        let there = running.one(&id, "gate").await.unwrap();
        assert_eq!(assay_proto::convert::assignment("gate", &here), there);
    }

    let mut again = watch(
        &mut running,
        pb::ConfigCursor {
            base: 1,
            ..Default::default()
        },
    )
    .await;
    let change = again.next().await.unwrap().unwrap();
    assert_eq!((change.base, change.generation), (1, 2));
    running.stop().await;
}

fn take(view: &mut View, response: pb::WatchConfigResponse) {
    view.generation = response.generation;
    response.entries.into_iter().for_each(|entry| view.apply(entry));
    assert_eq!(response.digest, view.digest());
}

#[tokio::test]
async fn nothing_is_handed_over_before_any_configuration_was_seen() {
    let world = World::new().await;
    world.bus.cut(true);
    let running = world.start().await;
    let request = pb::WatchConfigRequest::default;
    let refused = eventually(
        async || match running.client.clone().watch_config(request()).await {
            Err(status) if Failure::from_status(&status).reason == "NO_CONFIGURATION" => Ok(status),
            other => Err(format!("{other:?}")),
        },
    );
    assert_eq!(refused.await.code(), tonic::Code::Unavailable);
    running.stop().await;
}

fn decision(unit: &str, time: i64) -> pb::Decision {
    pb::Decision {
        experiment_key: "gate-test".into(),
        variant_key: "on".into(),
        cohort: 2,
        generation: 7,
        unit: self::unit(unit),
        time: Some(timestamp(Timestamp::from_micros(time))),
        attributes: attributes(&[("country", text("NL"))]),
    }
}

#[tokio::test]
async fn a_decision_is_recorded_as_one_of_assign() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let request = pb::RecordDecisionsRequest {
        decisions: vec![
            decision("u1", NOW - 5_000_000),
            decision("", NOW),
            decision("u2", NOW + 60_000_000),
            decision("u3", NOW - 73 * 3_600_000_000),
        ],
        ..Default::default()
    };
    let refused = running
        .client
        .record_decisions(request)
        .await
        .unwrap()
        .into_inner()
        .refused;
    let said: Vec<_> = refused
        .iter()
        .map(|refusal| (refusal.index, refusal.field.as_str()))
        .collect();
    assert_eq!(said, [(1, "unit.id"), (3, "time")]);
    assert_eq!(world.exposed_units(2).await, ["u1", "u2"]);
    let mut exposures = world.exposures().await;
    exposures.sort_by_key(|exposure| exposure.unit.id().to_owned());
    let [first, second] = &exposures[..] else {
        panic!("two")
    };
    assert_eq!((first.cohort, first.generation, first.imported), (2, 7, false));
    assert_eq!(
        (first.experiment.as_str(), first.variant.as_str()),
        ("gate-test", "on")
    );
    assert_eq!(
        (first.time.micros(), first.received_at.micros()),
        (NOW - 5_000_000, NOW)
    );
    assert_eq!(first.attributes.len(), 1);
    assert_eq!(second.time.micros(), NOW, "the future is now");

    let nothing = running
        .client
        .record_decisions(pb::RecordDecisionsRequest::default())
        .await;
    let failure = Failure::from_status(&nothing.unwrap_err());
    assert_eq!(
        (failure.code, failure.violations[0].field.as_str()),
        (Code::InvalidArgument, "decisions")
    );
    running.stop().await;
}
