//! Fences: from when a change holds everywhere, whoever asks and whoever is restarted meanwhile. The replicas of assignment are played here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use assay_core::{key::Namespace, time::Timestamp};
use assay_platform::{Channel, Code};
use assay_proto::{
    config::v1::{self as pb, experiment_service_client::ExperimentServiceClient},
    convert::timestamp,
};
use assay_storage::config_bus::{EmbeddedConfigBus, LEASE, Replica, Served};

use crate::support::{NOW, Service, bus::HandBus, eventually, invalid, make, refused, store};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_micros(NOW).plus(Duration::from_millis(millis))
}

/// Replica `id` serves `generation` since `millis` after the beginning.
async fn serves(service: &Service, id: &str, generation: u64, millis: u64) {
    let served = Served {
        generation,
        since: at(millis),
        settled: 0,
    };
    let replica = Replica {
        id: id.to_owned(),
        served: BTreeMap::from([(Namespace::default(), served)]),
    };
    service.bus.acknowledge(&replica).await.unwrap();
}

/// A draft that can be started.
async fn draft(service: &mut Service) -> pb::Experiment {
    service.metric(make::retention("retention_7")).await;
    service.experiment(make::ready("a")).await
}

async fn start(
    experiments: &mut ExperimentServiceClient<Channel>,
    draft: &pb::Experiment,
    wait: Duration,
) -> pb::StartExperimentResponse {
    let request = pb::StartExperimentRequest {
        key: draft.key.clone(),
        version: draft.version,
        confirm: true,
        wait: Some(assay_proto::convert::duration(wait)),
        ..Default::default()
    };
    experiments.start_experiment(request).await.unwrap().into_inner()
}

/// The experiment once it counts.
async fn counting(service: &Service) -> pb::Experiment {
    let found = std::sync::Mutex::new(None);
    eventually(|| async {
        let request = pb::GetExperimentRequest {
            key: "a".to_owned(),
            ..Default::default()
        };
        let answer = service.experiments.clone().get_experiment(request).await.unwrap();
        let experiment = answer.into_inner().experiment.unwrap();
        match experiment.counting_from {
            Some(_) => {
                *found.lock().unwrap() = Some(experiment);
                Ok(())
            }
            None => Err(format!("awaited: {}", experiment.counting_awaited)),
        }
    })
    .await;
    found.into_inner().unwrap().unwrap()
}

#[tokio::test]
async fn the_fence_is_the_last_acknowledgement_of_all_replicas() {
    let mut service = Service::start().await;
    let draft = draft(&mut service).await;
    serves(&service, "one", 1, 0).await;
    serves(&service, "two", 1, 0).await;
    let generation = draft.generation + 1;
    let (answer, ()) = {
        let mut starter = service.experiments.clone();
        let play = async {
            serves(&service, "one", generation, 7).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            serves(&service, "two", generation, 40).await;
        };
        tokio::join!(start(&mut starter, &draft, Duration::from_secs(10)), play)
    };
    let activation = answer.activation.unwrap();
    assert_eq!((activation.generation, activation.replicas), (generation, 2));
    assert_eq!(activation.unconfirmed, [""; 0]);
    assert_eq!(activation.fence_time, Some(timestamp(at(40))));
    assert_eq!(
        activation.slowest,
        Some(assay_proto::convert::duration(Duration::from_millis(40)))
    );
    let experiment = answer.experiment.unwrap();
    assert_eq!(experiment.counting_from, Some(timestamp(at(40))));
    assert!(!experiment.counting_awaited && experiment.unconfirmed_replicas.is_empty());
    assert_eq!(counting(&service).await, experiment);
    service.stop().await;
}

#[tokio::test]
async fn what_has_not_answered_after_one_lease_is_unconfirmed() {
    let mut service = Service::start().await;
    let draft = draft(&mut service).await;
    let generation = draft.generation + 1;
    serves(&service, "quick", generation, 3).await;
    serves(&service, "slow", 1, 0).await;
    let answer = start(&mut service.experiments, &draft, Duration::from_millis(100)).await;
    let activation = answer.activation.unwrap();
    assert_eq!(
        (activation.replicas, activation.fence_time),
        (1, None),
        "not known yet"
    );
    assert_eq!(activation.unconfirmed, ["slow"]);
    let experiment = answer.experiment.unwrap();
    assert!(experiment.counting_awaited && experiment.counting_from.is_none());

    service.clock.advance(LEASE);
    let experiment = counting(&service).await;
    assert_eq!(experiment.counting_from, Some(timestamp(at(0).plus(LEASE))));
    assert_eq!(experiment.unconfirmed_replicas, ["slow"]);
    // Too late to change anything.
    serves(&service, "slow", generation, 9_000).await;
    let request = pb::WaitForGenerationRequest {
        generation,
        ..Default::default()
    };
    let known = service
        .activations
        .wait_for_generation(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(known.activation.unwrap().unconfirmed, ["slow"]);
    service.stop().await;
}

#[tokio::test]
async fn a_replica_that_leaves_is_waited_for_no_longer() {
    let mut service = Service::start().await;
    let draft = draft(&mut service).await;
    let generation = draft.generation + 1;
    serves(&service, "stays", generation, 3).await;
    serves(&service, "leaves", 1, 0).await;
    service.try_start(&draft).await.unwrap();
    eventually(|| async {
        match service
            .store
            .fence(&Namespace::default(), generation)
            .await
            .unwrap()
        {
            Some(_) => Ok(()),
            None => Err("not published".to_owned()),
        }
    })
    .await;
    service.bus.leave("leaves").await.unwrap();
    let experiment = counting(&service).await;
    assert_eq!(experiment.counting_from, Some(timestamp(at(3))));
    assert_eq!(experiment.unconfirmed_replicas, ["leaves"]);
    service.stop().await;
}

#[tokio::test]
async fn a_fence_outlives_a_restart_and_is_the_same_for_everyone() {
    let mut first = Service::start().await;
    let draft = draft(&mut first).await;
    let generation = draft.generation + 1;
    serves(&first, "slow", 1, 0).await;
    first.try_start(&draft).await.unwrap();
    first.stop().await;
    let mut second = Service::start_on(first.store.clone(), first.bus.clone()).await;
    let mut third = Service::start_on(first.store.clone(), first.bus.clone()).await;
    serves(&second, "slow", generation, 2_000).await;
    let experiment = counting(&second).await;
    assert_eq!(experiment.counting_from, Some(timestamp(at(2_000))));
    assert_eq!(counting(&third).await, experiment);
    second.stop().await;
    third.stop().await;
}

#[tokio::test]
async fn without_replicas_it_counts_from_publishing() {
    let mut service = Service::start().await;
    service.running("a").await;
    let experiment = counting(&service).await;
    assert_eq!(experiment.counting_from, Some(timestamp(at(0))));
    service.stop().await;
}

#[tokio::test]
async fn nothing_counts_before_it_is_published() {
    let bus = HandBus::default();
    let mut service = Service::start_on(store().await, Arc::new(bus.clone())).await;
    let draft = draft(&mut service).await;
    bus.set_away(true);
    let answer = start(&mut service.experiments, &draft, Duration::from_millis(300)).await;
    assert!(answer.experiment.unwrap().counting_awaited);
    assert_eq!(answer.activation.unwrap().fence_time, None);
    service.clock.advance(LEASE * 10);
    bus.set_away(false);
    assert_eq!(
        counting(&service).await.counting_from,
        Some(timestamp(at(0).plus(LEASE * 10))),
        "an outage of the bus moves the beginning"
    );
    service.stop().await;
}

#[tokio::test]
async fn replicas_are_listed_with_state_and_age() {
    let bus = Arc::new(EmbeddedConfigBus::new());
    let mut service = Service::start_on(store().await, bus).await;
    let newest = service.flag(make::flag("gate")).await.generation;
    let newest = newest.max(service.flag(make::flag("other")).await.generation);
    // The age of what is behind is that of what it lacks, which must be published before the clock moves.
    eventually(|| async {
        let known = service.store.fence(&Namespace::default(), newest).await.unwrap();
        known.map(drop).ok_or_else(|| "not published".to_owned())
    })
    .await;
    serves(&service, "ahead", newest, 1).await;
    serves(&service, "behind", newest - 1, 0).await;
    serves(&service, "gone", newest, 1).await;
    let list = |service: &Service| {
        let mut client = service.activations.clone();
        async move {
            let answer = client.list_replicas(pb::ListReplicasRequest::default()).await;
            answer.unwrap().into_inner()
        }
    };
    let listed = list(&service).await;
    assert_eq!((listed.generation, listed.replicas.len()), (newest, 3));
    service.bus.leave("gone").await.unwrap();
    service.clock.advance(Duration::from_secs(4));
    let listed = list(&service).await.replicas;
    let seen: Vec<_> = listed
        .iter()
        .map(|r| (r.id.as_str(), r.generation, r.state(), r.age.unwrap().seconds))
        .collect();
    assert_eq!(
        seen,
        [
            ("ahead", newest, pb::ReplicaState::Current, 0),
            ("behind", newest - 1, pb::ReplicaState::Behind, 4),
            ("gone", newest, pb::ReplicaState::Silent, 4),
        ]
    );
    service.stop().await;
}

#[tokio::test]
async fn a_wait_that_cannot_be_is_refused_before_anything_is_done() {
    let mut service = Service::start().await;
    let draft = draft(&mut service).await;
    let request = pb::StartExperimentRequest {
        key: draft.key.clone(),
        version: draft.version,
        confirm: true,
        wait: Some(assay_proto::convert::duration(Duration::from_millis(30_001))),
        ..Default::default()
    };
    invalid(
        service.experiments.start_experiment(request).await,
        &[("wait", "RANGE")],
    );
    assert_eq!(service.get("a").await.state(), pb::ExperimentState::Draft);
    for generation in [0, draft.generation + 1] {
        let request = pb::WaitForGenerationRequest {
            generation,
            ..Default::default()
        };
        let refusal = service.activations.wait_for_generation(request).await;
        refused(refusal, Code::InvalidArgument, "INVALID_ARGUMENT");
    }
    service.stop().await;
}
