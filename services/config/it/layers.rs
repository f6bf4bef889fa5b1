//! Layers: who gets which buckets, and what is refused.

use assay_platform::Code;
use assay_proto::config::v1 as pb;
use futures::future::join_all;

use crate::support::{Service, assert_violations, at, fact, invalid, make, refused, until};

const DAY_MICROS: i64 = 86_400_000_000;

async fn create(service: &mut Service, layer: pb::Layer) -> Result<pb::Layer, tonic::Status> {
    let request = pb::CreateLayerRequest { layer: Some(layer) };
    let created = service.layers.create_layer(request).await?;
    Ok(created.into_inner().layer.unwrap())
}

fn layer(key: &str) -> pb::Layer {
    pb::Layer {
        key: key.to_owned(),
        ..Default::default()
    }
}

async fn get(service: &mut Service, key: &str) -> pb::Layer {
    let request = pb::GetLayerRequest {
        namespace: String::new(),
        key: key.to_owned(),
    };
    service
        .layers
        .get_layer(request)
        .await
        .unwrap()
        .into_inner()
        .layer
        .unwrap()
}

/// A draft that asks for `coverage` of the layer `checkout`.
async fn draft(service: &mut Service, key: &str, coverage: u32) -> pb::Experiment {
    let asked = pb::Experiment {
        layer_key: "checkout".to_owned(),
        coverage: Some(coverage),
        ..make::ready(key)
    };
    service.experiment(asked).await
}

async fn running(service: &mut Service, key: &str, coverage: u32) -> pb::Experiment {
    let draft = draft(service, key, coverage).await;
    service.try_start(&draft).await.unwrap().experiment.unwrap()
}

async fn service() -> Service {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    create(&mut service, layer("checkout")).await.unwrap();
    service
}

fn n_buckets(ranges: &[pb::BucketRange]) -> u32 {
    ranges.iter().map(|range| range.end - range.first).sum()
}

async fn stop_and_end(service: &mut Service, experiment: &pb::Experiment) -> pb::Experiment {
    let request = pb::StopExperimentRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        confirm: true,
        ..Default::default()
    };
    let stopped = service.experiments.stop_experiment(request).await.unwrap();
    let stopped = stopped.into_inner().experiment.unwrap();
    assert_eq!(stopped.layer_ranges, experiment.layer_ranges);
    let request = pb::EndExperimentRequest {
        key: stopped.key,
        version: stopped.version,
        ..Default::default()
    };
    service
        .experiments
        .end_experiment(request)
        .await
        .unwrap()
        .into_inner()
        .experiment
        .unwrap()
}

#[tokio::test]
async fn an_experiment_gets_buckets_at_start_and_gives_them_back_after_end() {
    let mut service = service().await;
    let a = running(&mut service, "a", 6_000).await;
    let stored = get(&mut service, "checkout").await;
    assert_eq!(n_buckets(&a.layer_ranges), 600_000);
    assert_eq!((&a.layer_salt, stored.salt.len()), (&stored.salt, 32));
    assert_eq!(stored.allocations[0].ranges, a.layer_ranges);

    let b = draft(&mut service, "b", 5_000).await;
    let failure = refused(
        service.try_start(&b).await,
        Code::FailedPrecondition,
        "VALIDATION_FAILED",
    );
    assert_violations(&failure, &[("layer_key", "LAYER_FULL")]);
    let sentence = &failure.violations[0].description;
    assert!(
        sentence.contains("has 40 % of its buckets free") && sentence.contains("experiment/a (60 %)"),
        "{sentence}"
    );

    stop_and_end(&mut service, &a).await;
    let failure = refused(
        service.try_start(&b).await,
        Code::FailedPrecondition,
        "VALIDATION_FAILED",
    );
    assert!(
        failure.violations[0]
            .description
            .contains("experiment/a (60 %, free at "),
        "{failure}"
    );
    service
        .clock
        .advance(std::time::Duration::from_micros(7 * DAY_MICROS as u64));
    let b = service.try_start(&b).await.unwrap().experiment.unwrap();
    assert_eq!(n_buckets(&b.layer_ranges), 500_000);
}

/// Who is to start later has its buckets from the schedule on: nobody takes them meanwhile, and its start finds them.
#[tokio::test]
async fn a_scheduled_start_has_its_buckets_before() {
    let mut service = service().await;
    let dated = pb::Experiment {
        layer_key: "checkout".to_owned(),
        coverage: Some(5_000),
        start_time: at(3_600),
        end_time: at(30 * 86_400),
        ..make::ready("late")
    };
    let asked = service.experiment(dated).await;
    let waiting = service.try_start(&asked).await.unwrap().experiment.unwrap();
    assert_eq!(n_buckets(&waiting.layer_ranges), 500_000);
    let a = draft(&mut service, "a", 6_000).await;
    let failure = refused(
        service.try_start(&a).await,
        Code::FailedPrecondition,
        "VALIDATION_FAILED",
    );
    assert_violations(&failure, &[("layer_key", "LAYER_FULL")]);
    assert!(
        failure.to_string().contains("experiment/late (50 %)"),
        "{failure}"
    );
    service.clock.advance(std::time::Duration::from_secs(3_600));
    let started = until(&service, "late", |found| {
        found.state() == pb::ExperimentState::Running
    })
    .await;
    assert_eq!(started.layer_ranges, waiting.layer_ranges);
}

#[tokio::test]
async fn coverage_grows_into_free_buckets_and_never_shrinks() {
    let mut service = service().await;
    let a = running(&mut service, "a", 1_000).await;
    running(&mut service, "b", 3_000).await;
    let grow = |a: &pb::Experiment, coverage| pb::UpdateExperimentRequest {
        experiment: Some(pb::Experiment {
            coverage: Some(coverage),
            ..a.clone()
        }),
        update_mask: make::mask(&["coverage"]),
    };
    let grown = service
        .experiments
        .update_experiment(grow(&a, 4_000))
        .await
        .unwrap();
    let grown = grown.into_inner().experiment.unwrap();
    assert_eq!(n_buckets(&grown.layer_ranges), 400_000);
    assert!(
        grown
            .layer_ranges
            .iter()
            .any(|range| a.layer_ranges.contains(range)),
        "{:?}",
        grown.layer_ranges
    );

    let smaller = service.experiments.update_experiment(grow(&grown, 3_999)).await;
    let failure = refused(smaller, Code::FailedPrecondition, "CONFIG_LOCKED");
    assert_eq!(fact(&failure, "field"), "coverage");
    let larger = service.experiments.update_experiment(grow(&grown, 7_001)).await;
    let failure = refused(larger, Code::FailedPrecondition, "LAYER_FULL");
    assert_eq!(fact(&failure, "by"), "experiment/b");
    assert_eq!(fact(&failure, "free_buckets"), "300000");
    assert_eq!(service.get("a").await.coverage, Some(4_000));
}

#[tokio::test]
async fn a_used_layer_is_neither_salted_anew_nor_deleted() {
    let mut service = service().await;
    running(&mut service, "a", 1_000).await;
    let stored = get(&mut service, "checkout").await;
    let update = |layer: pb::Layer| pb::UpdateLayerRequest {
        layer: Some(layer),
        update_mask: None,
    };
    let salted = pb::Layer {
        salt: "another".to_owned(),
        ..stored.clone()
    };
    let failure = refused(
        service.layers.update_layer(update(salted)).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    assert_eq!(fact(&failure, "by"), "experiment/a");
    let named = pb::Layer {
        name: "Checkout".to_owned(),
        salt: String::new(),
        allocations: Vec::new(),
        ..stored.clone()
    };
    let named = service
        .layers
        .update_layer(update(named))
        .await
        .unwrap()
        .into_inner()
        .layer
        .unwrap();
    assert_eq!(
        (&named.salt, &named.allocations),
        (&stored.salt, &stored.allocations)
    );
    let request = pb::DeleteLayerRequest {
        namespace: String::new(),
        key: "checkout".to_owned(),
        version: named.version,
    };
    refused(
        service.layers.delete_layer(request).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
}

#[tokio::test]
async fn of_concurrent_starts_no_two_get_the_same_buckets() {
    let mut service = service().await;
    let mut drafts = Vec::new();
    for key in ["a", "b", "c", "d"] {
        drafts.push(draft(&mut service, key, 4_000).await);
    }
    let starts = drafts.iter().map(|draft| {
        let mut client = service.experiments.clone();
        let request = pb::StartExperimentRequest {
            key: draft.key.clone(),
            version: draft.version,
            confirm: true,
            ..Default::default()
        };
        async move { client.start_experiment(request).await }
    });
    let answers = join_all(starts).await;
    let started = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((1..=2).contains(&started), "{started}");
    let held: Vec<_> = get(&mut service, "checkout")
        .await
        .allocations
        .into_iter()
        .flat_map(|held| held.ranges)
        .collect();
    assert_eq!(n_buckets(&held) as usize, started * 400_000);
    let mut firsts: Vec<_> = held.iter().map(|range| (range.first, range.end)).collect();
    firsts.sort_unstable();
    assert!(firsts.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{firsts:?}");
}

#[tokio::test]
async fn wrong_fields_are_refused() {
    let mut service = Service::start().await;
    let long = pb::Layer {
        cooldown: Some(assay_proto::Duration {
            seconds: 366 * 86_400,
            nanos: 0,
        }),
        ..layer("a")
    };
    invalid(
        create(&mut service, long).await,
        &[("cooldown", "COOLDOWN_RANGE")],
    );
    let nowhere = pb::Experiment {
        layer_key: "nope".to_owned(),
        ..make::draft("a")
    };
    invalid(
        service.try_experiment(nowhere).await,
        &[("layer_key", "LAYER_NOT_FOUND")],
    );
    let forgetful = pb::Experiment {
        eligibility: pb::Eligibility::AtEnrollment.into(),
        ..make::draft("a")
    };
    invalid(
        service.try_experiment(forgetful).await,
        &[("eligibility", "NEEDS_STORED")],
    );
}
