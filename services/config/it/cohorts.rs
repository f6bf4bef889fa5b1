//! Cohorts: announced, and open when every replica of assignment has settled. The replicas are played here.

use std::{collections::BTreeMap, time::Duration};

use assay_core::{key::Namespace, time::Timestamp};
use assay_platform::Code;
use assay_proto::config::v1 as pb;
use assay_storage::config_bus::{Replica, Served};
use tonic::Status;

use crate::support::{
    NOW, Service, eventually, fact, invalid,
    make::{self, boolean},
    refused,
};

const WAIT: Duration = Duration::from_secs(10);

/// Replica `id` serves `generation`, and has settled all before `settled`.
async fn serves(service: &Service, id: &str, generation: u64, settled: u64) {
    let served = Served {
        generation,
        since: Timestamp::from_micros(NOW),
        settled,
    };
    let replica = Replica {
        id: id.to_owned(),
        served: BTreeMap::from([(Namespace::default(), served)]),
    };
    service.bus.acknowledge(&replica).await.unwrap();
}

/// A running experiment of three variants that remembers its units.
async fn remembering(service: &mut Service) -> pb::Experiment {
    service.metric(make::retention("retention_7")).await;
    let draft = pb::Experiment {
        sticky: pb::Sticky::Stored.into(),
        variants: vec![
            make::variant("off", boolean(false)),
            make::variant("on", boolean(true)),
            make::variant("also", boolean(true)),
        ],
        ..make::ready("a")
    };
    let draft = service.experiment(draft).await;
    service.try_start(&draft).await.unwrap().experiment.unwrap()
}

fn to(experiment: &pb::Experiment, weights: &[u32]) -> pb::AddCohortRequest {
    pb::AddCohortRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        weights: weights.to_vec(),
        ..Default::default()
    }
}

fn closing(experiment: &pb::Experiment, variant: &str) -> pb::AddCohortRequest {
    pb::AddCohortRequest {
        closed_variant_key: variant.to_owned(),
        ..to(experiment, &[])
    }
}

async fn add(service: &mut Service, request: pb::AddCohortRequest) -> Result<pb::Experiment, Status> {
    let answer = service.experiments.add_cohort(request).await?;
    Ok(answer.into_inner().experiment.unwrap())
}

/// The experiment once it has this many cohorts.
async fn with_cohorts(service: &Service, n: usize) -> pb::Experiment {
    let read = || async {
        let request = pb::GetExperimentRequest {
            key: "a".to_owned(),
            ..Default::default()
        };
        let answer = service.experiments.clone().get_experiment(request).await;
        answer.unwrap().into_inner().experiment.unwrap()
    };
    eventually(|| async {
        match read().await.cohorts.len() {
            found if found == n => Ok(()),
            found => Err(format!("{found} cohorts")),
        }
    })
    .await;
    read().await
}

#[tokio::test]
async fn a_cohort_opens_when_every_replica_has_settled_and_not_before() {
    let mut service = Service::start().await;
    let running = remembering(&mut service).await;
    let before = running.generation;
    serves(&service, "one", before, before).await;
    serves(&service, "two", before, before).await;
    let announced = add(&mut service, to(&running, &[5_000, 2_000, 3_000]))
        .await
        .unwrap();
    let opening = announced.cohort_opening.clone().unwrap();
    assert_eq!(
        (opening.weights, opening.since_generation),
        (vec![5_000, 2_000, 3_000], before)
    );
    assert_eq!(announced.cohorts.len(), 1);
    let second = add(&mut service, closing(&announced, "also")).await;
    let failure = refused(second, Code::FailedPrecondition, "COHORT_OPENING");
    assert_eq!(
        fact(&failure, "allowed_actions"),
        "PAUSE,STOP,DECLARE_WINNER,DUPLICATE"
    );

    let generation = announced.generation;
    serves(&service, "one", generation, generation).await;
    serves(&service, "two", generation, before).await;
    // However often the clock and a second config look.
    let mut other = service.replica().await;
    let request = pb::WaitForGenerationRequest {
        generation,
        wait: Some(assay_proto::convert::duration(WAIT)),
        ..Default::default()
    };
    let held = service
        .activations
        .wait_for_generation(request)
        .await
        .unwrap()
        .into_inner();
    assert!(
        held.activation.unwrap().fence_time.is_some(),
        "it is served everywhere"
    );
    let touched = service.get("a").await;
    assert_eq!(
        (touched.cohorts.len(), touched.version),
        (1, announced.version),
        "not settled everywhere"
    );
    service.stop().await;

    serves(&other, "two", generation, generation).await;
    let opened = with_cohorts(&other, 2).await;
    let cohort = opened.cohorts.last().unwrap();
    assert_eq!(
        (cohort.number, cohort.weights.clone()),
        (2, vec![5_000, 2_000, 3_000])
    );
    assert!(
        cohort.generation > generation && opened.cohort_opening.is_none(),
        "{opened:?}"
    );
    assert_eq!(opened.version, announced.version + 1, "once, whoever looks");
    assert!(
        opened
            .allowed_actions()
            .any(|action| action == pb::LifecycleAction::AddCohort)
    );
    other.stop().await;
}

#[tokio::test]
async fn with_a_wait_the_answer_has_the_cohort_open() {
    let mut service = Service::start().await;
    let running = remembering(&mut service).await;
    let request = pb::AddCohortRequest {
        wait: Some(assay_proto::convert::duration(WAIT)),
        ..closing(&running, "also")
    };
    let answer = service
        .experiments
        .add_cohort(request)
        .await
        .unwrap()
        .into_inner();
    let opened = answer.experiment.unwrap();
    assert_eq!(opened.cohorts.last().unwrap().weights, [5_001, 4_999, 0]);
    assert_eq!(answer.activation.unwrap().generation, opened.generation);
    let again = add(&mut service, closing(&opened, "also")).await;
    invalid(again, &[("closed_variant_key", "ALREADY_CLOSED")]);
    service.stop().await;
}

#[tokio::test]
async fn what_is_no_cohort_is_refused_by_field() {
    let mut service = Service::start().await;
    let running = remembering(&mut service).await;
    let both = pb::AddCohortRequest {
        closed_variant_key: "on".to_owned(),
        ..to(&running, &[1, 2, 9_997])
    };
    let cases = [
        (to(&running, &[]), ("weights", "REQUIRED")),
        (both, ("closed_variant_key", "ONE_OF")),
        (to(&running, &[6_000, 5_000, 0]), ("weights", "WEIGHTS_SUM")),
        (to(&running, &[5_000, 5_000]), ("weights", "WEIGHTS_COUNT")),
        (
            to(&running, &[3_334, 3_333, 3_333]),
            ("weights", "WEIGHTS_UNCHANGED"),
        ),
        (closing(&running, "off"), ("closed_variant_key", "CONTROL_CLOSED")),
        (
            closing(&running, "gone"),
            ("closed_variant_key", "UNKNOWN_VARIANT"),
        ),
    ];
    for (request, rule) in cases {
        let status = add(&mut service, request).await;
        invalid(status, &[rule]);
    }
    let plain = service.running("plain").await;
    let status = add(&mut service, to(&plain, &[1_000, 9_000])).await;
    let failure = refused(status, Code::FailedPrecondition, "NEEDS_STORED");
    assert_eq!(fact(&failure, "resource"), "experiment/plain");
    assert_eq!(
        service.get("a").await.version,
        running.version,
        "nothing is stored"
    );
    service.stop().await;
}

#[tokio::test]
async fn another_systems_hash_gets_only_weights_that_it_can_divide_by() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    let variants = vec![
        make::variant("off", boolean(false)),
        make::variant("on", boolean(true)),
    ];
    let unleash = pb::UnleashHash {
        rollout_group: "r".to_owned(),
        variant_group: "v".to_owned(),
    };
    let hashing = pb::Hashing {
        algorithm: Some(pb::hashing::Algorithm::Unleash(unleash)),
        ..Default::default()
    };
    let draft = pb::Experiment {
        sticky: pb::Sticky::Stored.into(),
        variants,
        hashing: Some(hashing.clone()),
        ..make::ready("a")
    };
    let draft = service.experiment(draft).await;
    assert_eq!(draft.hashing, Some(hashing.clone()));
    let running = service.try_start(&draft).await.unwrap().experiment.unwrap();
    let finer = add(&mut service, to(&running, &[3_335, 6_665])).await;
    invalid(finer, &[("weights", "HASH_SHARE")]);
    let announced = add(&mut service, to(&running, &[3_330, 6_670])).await.unwrap();
    assert_eq!(announced.cohort_opening.unwrap().weights, [3_330, 6_670]);

    let ranges = [("off", 0, 1), ("on", 1, 3)].map(|(variant, first, end)| pb::VariantRange {
        variant_key: variant.to_owned(),
        buckets: Some(pb::HashRange { first, end }),
    });
    let fixed = pb::Experiment {
        variants: vec![
            pb::Variant {
                weight: 3_333,
                ..make::variant("off", boolean(false))
            },
            pb::Variant {
                weight: 6_667,
                ..make::variant("on", boolean(true))
            },
        ],
        hashing: Some(pb::Hashing {
            buckets: 3,
            ranges: ranges.to_vec(),
            ..hashing
        }),
        sticky: pb::Sticky::Stored.into(),
        ..make::ready("b")
    };
    let fixed = service.experiment(fixed).await;
    let fixed = service.try_start(&fixed).await.unwrap().experiment.unwrap();
    let refused = add(&mut service, to(&fixed, &[5_000, 5_000])).await;
    invalid(refused, &[("weights", "RANGES_FIX_WEIGHTS")]);
}
