//! `Explain`, and `Assign` for all flags.

use assay_core::lifecycle::State;
use assay_platform::{Code, Failure};
use assay_proto::{
    assignment::v1::{self as pb, GateKind, GateVerdict, Reason},
    bus::Published,
};

use crate::{
    fixtures::{experiment, flag, gate, overridden, segment},
    support::{Running, World, attributes, request, text, unit},
};

async fn explain(running: &mut Running, request: pb::ExplainRequest) -> pb::ExplainResponse {
    running.client.explain(request).await.unwrap().into_inner()
}

fn about(key: &str, id: &str) -> pb::ExplainRequest {
    pb::ExplainRequest {
        unit: unit(id),
        flag_key: key.to_owned(),
        ..Default::default()
    }
}

/// The gate that gave the answer.
fn decider(explained: &pb::ExplainResponse) -> &pb::Gate {
    let mut deciders = explained
        .gates
        .iter()
        .filter(|gate| gate.depth == 0 && gate.verdict() == GateVerdict::Decided);
    let decider = deciders.next().unwrap();
    assert_eq!(deciders.next(), None);
    decider
}

#[tokio::test]
async fn it_says_what_assign_says_and_why() {
    let world = World::new().await;
    let targeted = assay_core::experiment::Experiment {
        segment: Some(segment("dutch").key),
        segment_version: Some(1),
        ..experiment("gate", State::Running)
    };
    let resources = [
        Published::Flag(flag("gate")),
        Published::Flag(overridden("banner", "ada")),
        Published::Segment(segment("dutch")),
        Published::Experiment(targeted),
    ];
    world.bus.publish("default", 1, &resources).await;
    let mut running = world.serving(1).await;

    let dutch = attributes(&[("country", text("NL"))]);
    let inside = pb::ExplainRequest {
        attributes: dutch.clone(),
        ..about("gate", "ada")
    };
    let explained = explain(&mut running, inside).await;
    let asked = pb::AssignRequest {
        attributes: dutch,
        exposure: pb::Exposure::Peek.into(),
        ..request("ada", &["gate"])
    };
    let assigned = running.assign(asked).await.unwrap();
    assert_eq!(explained.assignment.as_ref(), assigned.first());
    let split = decider(&explained);
    assert_eq!(split.kind(), GateKind::Split);
    let (bucket, range) = (split.bucket.unwrap(), split.ranges[0]);
    assert!((range.first..range.end).contains(&bucket), "{split:?}");
    assert!(split.detail.contains(&format!("bucket {bucket}")), "{split:?}");
    let targeting = explained
        .gates
        .iter()
        .find(|gate| gate.kind() == GateKind::Segment)
        .unwrap();
    assert_eq!((targeting.key.as_str(), targeting.segment_version), ("dutch", 1));
    assert!(targeting.conditions[0].matches);

    let outside = explain(&mut running, about("gate", "ada")).await;
    assert_eq!(
        outside.assignment.as_ref().unwrap().reason(),
        Reason::NotInSegment
    );
    assert_eq!(decider(&outside).kind(), GateKind::Segment);
    let unknown = explain(&mut running, about("nothing", "ada")).await;
    assert_eq!(decider(&unknown).kind(), GateKind::Flag);
    let fixed = explain(&mut running, about("banner", "ada")).await;
    assert_eq!(decider(&fixed).kind(), GateKind::UnitOverride);
    running.stop().await;
    assert_eq!(world.exposures().await, [], "looking is no exposure");
}

#[tokio::test]
async fn another_generation_and_bad_input_are_refused_with_the_way_out() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let served = pb::ExplainRequest {
        generation: 1,
        ..about("gate", "ada")
    };
    assert_eq!(
        explain(&mut running, served.clone())
            .await
            .assignment
            .unwrap()
            .generation,
        1
    );
    let other = pb::ExplainRequest {
        generation: 2,
        ..served
    };
    let refused = running.client.explain(other).await.unwrap_err();
    let failure = Failure::from_status(&refused);
    assert_eq!(
        (failure.code, &*failure.reason),
        (Code::FailedPrecondition, "GENERATION_NOT_SERVED")
    );
    assert!(failure.message.contains("ExplainGeneration"), "{failure}");
    let refused = running.client.explain(about("", "ada")).await.unwrap_err();
    let failure = Failure::from_status(&refused);
    assert_eq!(failure.violations[0].field, "flag_key");
    running.stop().await;
}

#[tokio::test]
async fn no_key_means_all_flags_and_that_is_no_exposure_unless_asked() {
    let world = World::new().await;
    let mut resources = gate();
    resources.push(Published::Flag(flag("banner")));
    world.bus.publish("default", 1, &resources).await;
    let mut running = world.serving(1).await;
    let keys = |answers: &[pb::Assignment]| -> Vec<String> {
        answers.iter().map(|answer| answer.flag_key.clone()).collect()
    };
    let answers = running.assign(request("ada", &[])).await.unwrap();
    assert_eq!(keys(&answers), ["banner", "gate"]);
    let batch = pb::AssignBatchRequest {
        items: vec![pb::AssignBatchItem {
            unit: unit("ada"),
            ..Default::default()
        }],
        exposure: pb::Exposure::Record.into(),
        ..Default::default()
    };
    let results = running
        .client
        .assign_batch(batch)
        .await
        .unwrap()
        .into_inner()
        .results;
    assert_eq!(keys(&results[0].assignments), ["banner", "gate"]);
    let nobody = pb::AssignRequest {
        namespace: "empty".to_owned(),
        ..request("ada", &[])
    };
    assert_eq!(running.assign(nobody).await.unwrap(), []);
    running.stop().await;
    let exposed: Vec<_> = world.exposures().await;
    assert_eq!(exposed.len(), 1, "the batch alone asked for it: {exposed:?}");
}
