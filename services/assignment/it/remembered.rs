//! Experiments that remember their units.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use assay_core::{
    experiment::{Cohort, Experiment},
    key::{ExperimentKey, Namespace, Unit},
    lifecycle::{PauseMode, State},
    traffic::{Eligibility, Sticky},
    weights::Weights,
};
use assay_proto::{
    assignment::v1::{self as pb, Reason},
    bus::Published,
};
use assay_storage::unit_store::{Place, UnitStore};

use crate::{
    fixtures,
    support::{Running, World, eventually, request},
};

const UNITS: usize = 100;

/// `gate` with its experiment, which remembers, changed by `change`.
fn stored(change: impl FnOnce(&mut Experiment)) -> Vec<Published> {
    let mut experiment = fixtures::experiment("gate", State::Running);
    experiment.traffic.sticky = Sticky::Stored;
    change(&mut experiment);
    vec![
        Published::Flag(fixtures::flag("gate")),
        Published::Experiment(experiment),
    ]
}

fn closed(experiment: &mut Experiment) {
    experiment.cohorts.push(Cohort {
        number: 2,
        weights: Weights::new(vec![10_000, 0]).unwrap(),
        generation: 2,
    });
}

fn place(unit: &str) -> Place {
    Place {
        namespace: Namespace::default(),
        unit: Unit::user(unit).unwrap(),
        experiment: ExperimentKey::new("gate-test").unwrap(),
    }
}

/// The answer for `unit`; a slow machine may need more than one look.
async fn ask(running: &mut Running, unit: &str) -> pb::Assignment {
    for _ in 0..100 {
        let answer = running.one(unit, "gate").await.unwrap();
        if answer.reason() != Reason::Degraded {
            return answer;
        }
    }
    panic!("the store answers within 20 ms at last");
}

async fn until_remembered(world: &World, units: impl Iterator<Item = String>) {
    let places: Vec<_> = units.map(|unit| place(&unit)).collect();
    eventually(async || match world.units.get(&places).await.unwrap() {
        found if found.iter().all(Option::is_some) => Ok(()),
        found => Err(format!("{} of {}", found.iter().flatten().count(), found.len())),
    })
    .await;
}

#[tokio::test]
async fn another_cohort_moves_no_unit_seen_before() {
    let world = World::new().await;
    world.bus.publish("default", 1, &stored(|_| {})).await;
    let mut running = world.serving(1).await;
    let mut before = Vec::new();
    for n in 0..UNITS {
        let answer = running.one(&format!("u{n}"), "gate").await.unwrap();
        assert_eq!(
            (answer.reason(), answer.cohort, answer.remembered),
            (Reason::Split, 1, false)
        );
        before.push(answer.variant_key);
    }
    assert!(before.contains(&"on".to_owned()));
    until_remembered(&world, (0..UNITS).map(|n| format!("u{n}"))).await;

    world.bus.publish("default", 2, &stored(closed)).await;
    // Another replica, which has seen none of them, too.
    let mut other = world.serving_beside(2).await;
    running.until(2).await;
    for (n, variant) in before.iter().enumerate() {
        for replica in [&mut running, &mut other] {
            let answer = ask(replica, &format!("u{n}")).await;
            assert_eq!(
                (&answer.variant_key, answer.cohort, answer.remembered),
                (variant, 1, true)
            );
        }
        let new = ask(&mut running, &format!("new{n}")).await;
        assert_eq!((new.variant_key.as_str(), new.cohort), ("off", 2));
    }
    assert!(
        world.units.get(&[place("new0")]).await.unwrap()[0].is_some(),
        "remembered before the answer"
    );
}

#[tokio::test]
async fn a_peek_leaves_no_trace() {
    let world = World::new().await;
    world.bus.publish("default", 1, &stored(closed)).await;
    let mut running = world.serving(1).await;
    let peek = pb::AssignRequest {
        exposure: pb::Exposure::Peek.into(),
        ..request("u1", &["gate"])
    };
    let answer = running.assign(peek).await.unwrap().remove(0);
    assert!(
        matches!(answer.reason(), Reason::Split | Reason::Degraded),
        "{answer:?}"
    );
    assert_eq!(world.units.get(&[place("u1")]).await.unwrap(), [None]);
}

#[tokio::test]
async fn held_enrollment_serves_whom_it_knows() {
    let world = World::new().await;
    world.bus.publish("default", 1, &stored(|_| {})).await;
    let mut running = world.serving(1).await;
    let known = running.one("known", "gate").await.unwrap();
    until_remembered(&world, ["known".to_owned()].into_iter()).await;
    let held = stored(|e| e.state = State::Paused(PauseMode::HoldEnrollment));
    world.bus.publish("default", 2, &held).await;
    running.until(2).await;
    let again = ask(&mut running, "known").await;
    assert_eq!(
        (again.reason(), &again.variant_key),
        (Reason::Split, &known.variant_key)
    );
    let new = ask(&mut running, "new").await;
    assert_eq!(
        (new.reason(), new.variant_key.as_str()),
        (Reason::EnrollmentHeld, "")
    );
}

#[tokio::test]
async fn a_store_out_of_reach_degrades_only_what_needs_it() {
    let world = World::new().await;
    let mut resources = stored(|e| e.traffic.eligibility = Eligibility::AtEnrollment);
    resources.push(Published::Flag(fixtures::flag("other")));
    resources.push(Published::Experiment(fixtures::experiment(
        "other",
        State::Running,
    )));
    world.bus.publish("default", 1, &resources).await;
    let mut running = world.serving(1).await;
    world.units.hangs.store(true, Ordering::Release);
    let begun = Instant::now();
    let answers = running.assign(request("u1", &["gate", "other"])).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(
        (answers[0].reason(), answers[0].variant_key.as_str()),
        (Reason::Degraded, "")
    );
    assert_eq!(answers[1].reason(), Reason::Split);
    running.one("u1", "gate").await.unwrap();
    world.units.hangs.store(false, Ordering::Release);
    assert_eq!(ask(&mut running, "u2").await.reason(), Reason::Split);
    running.stop().await;
    let units: Vec<_> = world
        .exposures()
        .await
        .into_iter()
        .map(|e| e.unit.id().to_owned())
        .collect();
    assert_eq!(units, ["u2"], "what is degraded is no exposure");
}
