//! Every reason that can be reached, and one generation in one response.

use assay_core::{
    experiment::{Experiment, QaOverride},
    key::{SegmentKey, Unit, VariantKey},
    lifecycle::{Outcome, PauseMode, State},
    weights::Coverage,
};
use assay_proto::{
    assignment::v1::{self as pb, Reason},
    bus::Published,
};
use prost_types::value::Kind;

use crate::{
    fixtures::{experiment, flag, overridden, overridden_for, segment},
    support::{World, attributes, request, text, unit},
};

fn states() -> Vec<(&'static str, State, Reason)> {
    let winner = || Outcome::Winner(VariantKey::new("on").unwrap());
    vec![
        ("draft", State::Draft, Reason::NoExperiment),
        ("scheduled", State::Scheduled, Reason::Scheduled),
        ("running", State::Running, Reason::Split),
        ("paused", State::Paused(PauseMode::ServeDefault), Reason::Paused),
        (
            "held",
            State::Paused(PauseMode::HoldEnrollment),
            Reason::EnrollmentHeld,
        ),
        ("winner", State::Completed(winner()), Reason::Winner),
        ("stopped", State::Completed(Outcome::NoWinner), Reason::Completed),
        ("pending", State::Completed(Outcome::Pending), Reason::Completed),
        ("ended", State::Ended(winner()), Reason::Ended),
        (
            "archived",
            State::Archived {
                outcome: Outcome::NoWinner,
                ended: false,
            },
            Reason::Archived,
        ),
    ]
}

/// A flag and an experiment for each reason.
fn everything() -> (Vec<Published>, Vec<(&'static str, Reason)>) {
    let mut published = vec![
        Published::Segment(segment("dutch")),
        Published::Flag(flag("bare")),
        Published::Flag(overridden("for-unit", "u1")),
        Published::Flag(overridden_for("for-segment", "dutch")),
    ];
    let mut expected = vec![
        ("bare", Reason::NoExperiment),
        ("for-unit", Reason::Override),
        ("for-segment", Reason::Override),
        ("nowhere", Reason::UnknownFlag),
        ("no key at all!", Reason::UnknownFlag),
    ];
    let mut add = |experiment: Experiment, reason| {
        let name = experiment.flag.as_str().to_owned();
        published.extend([Published::Flag(flag(&name)), Published::Experiment(experiment)]);
        expected.push((String::leak(name), reason));
    };
    for (name, state, reason) in states() {
        add(experiment(name, state), reason);
    }
    let targeted = |name| Experiment {
        segment: Some(SegmentKey::new("dutch").unwrap()),
        segment_version: Some(1),
        ..experiment(name, State::Running)
    };
    add(targeted("targeted"), Reason::Split);
    add(
        Experiment {
            coverage: Coverage::new(0).unwrap(),
            ..experiment("uncovered", State::Running)
        },
        Reason::NotInCoverage,
    );
    let on = VariantKey::new("on").unwrap();
    let qa = vec![QaOverride {
        unit: Unit::user("u1").unwrap(),
        variant: on,
    }];
    add(
        Experiment {
            qa_overrides: qa,
            ..experiment("tried", State::Scheduled)
        },
        Reason::Override,
    );
    let device = assay_core::key::UnitKind::new("device").unwrap();
    add(
        Experiment {
            unit_kind: device,
            ..experiment("devices", State::Running)
        },
        Reason::NoUnit,
    );
    (published, expected)
}

#[tokio::test]
async fn every_reason_is_reached_in_assign_and_in_a_batch() {
    let (published, expected) = everything();
    let world = World::new().await;
    world.bus.publish("default", 7, &published).await;
    let mut running = world.serving(7).await;
    let keys: Vec<_> = expected.iter().map(|(key, _)| *key).collect();
    let asked = pb::AssignRequest {
        attributes: attributes(&[("country", text("NL"))]),
        ..request("u1", &keys)
    };
    let answers = running.assign(asked.clone()).await.unwrap();
    let reasons: Vec<_> = answers
        .iter()
        .map(|answer| (answer.flag_key.as_str(), answer.reason()))
        .collect();
    assert_eq!(reasons, expected);
    assert!(answers.iter().all(|answer| answer.generation == 7));
    for answer in &answers {
        let is_unknown = answer.reason() == Reason::UnknownFlag;
        assert_eq!(answer.value.is_none(), is_unknown, "{answer:?}");
        assert_eq!(answer.cohort == 1, answer.reason() == Reason::Split, "{answer:?}");
    }
    let item = pb::AssignBatchItem {
        unit: asked.unit,
        attributes: asked.attributes,
    };
    let batch = pb::AssignBatchRequest {
        items: vec![item],
        flag_keys: asked.flag_keys,
        ..Default::default()
    };
    let results = running
        .client
        .assign_batch(batch)
        .await
        .unwrap()
        .into_inner()
        .results;
    assert_eq!(results[0].assignments, answers);
    running.stop().await;
}

#[tokio::test]
async fn who_does_not_match_or_has_no_id_gets_the_default() {
    let (published, _) = everything();
    let world = World::new().await;
    world.bus.publish("default", 1, &published).await;
    let mut running = world.serving(1).await;
    let answer = running.one("u2", "targeted").await.unwrap();
    assert_eq!(
        (answer.reason(), answer.variant_key.as_str()),
        (Reason::NotInSegment, "")
    );
    assert_eq!(
        answer.value.and_then(|value| value.kind),
        Some(Kind::BoolValue(false))
    );
    let nobody = pb::AssignRequest {
        unit: None,
        ..request("", &["running"])
    };
    assert_eq!(running.assign(nobody).await.unwrap()[0].reason(), Reason::NoUnit);
    assert_eq!(running.one("", "running").await.unwrap().reason(), Reason::NoUnit);
    running.stop().await;
    assert_eq!(world.exposures().await, [], "none of these is an exposure");
}

#[tokio::test]
async fn an_experiment_is_found_by_its_own_key() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let by_flag = running.one("u1", "gate").await.unwrap();
    let by_experiment = running.one("u1", "gate-test").await.unwrap();
    assert_eq!(by_flag.experiment_key, "gate-test");
    assert_eq!(
        by_experiment,
        pb::Assignment {
            flag_key: "gate-test".into(),
            ..by_flag
        }
    );
}

#[tokio::test]
async fn a_namespace_without_configuration_knows_no_flag() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let elsewhere = pb::AssignRequest {
        namespace: "elsewhere".into(),
        ..request("u1", &["gate"])
    };
    let answer = running.assign(elsewhere).await.unwrap().remove(0);
    assert_eq!(
        (answer.reason(), answer.generation, answer.value),
        (Reason::UnknownFlag, 0, None)
    );
}

#[tokio::test]
async fn a3_a_batch_is_answered_from_one_generation() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let publisher = async {
        for generation in 2..60 {
            world
                .bus
                .publish("default", generation, &crate::fixtures::gate())
                .await;
            tokio::task::yield_now().await;
        }
    };
    let asker = async {
        let items = (0..200)
            .map(|n| pb::AssignBatchItem {
                unit: unit(&n.to_string()),
                attributes: None,
            })
            .collect();
        let request = pb::AssignBatchRequest {
            items,
            flag_keys: vec!["gate".into(), "x".into()],
            ..Default::default()
        };
        let mut last = 0;
        for _ in 0..30 {
            let results = running
                .client
                .assign_batch(request.clone())
                .await
                .unwrap()
                .into_inner()
                .results;
            let mut generations: Vec<_> = results
                .iter()
                .flat_map(|r| &r.assignments)
                .map(|a| a.generation)
                .collect();
            generations.dedup();
            assert_eq!(generations.len(), 1);
            assert!(generations[0] >= last);
            last = generations[0];
        }
    };
    tokio::join!(publisher, asker);
}
