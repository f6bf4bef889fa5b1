//! Prerequisites: what other flags must serve, and where that leads.

use assay_platform::Code;
use assay_proto::config::v1 as pb;

use crate::support::{Service, invalid, make, refused};

fn requires(experiment: pb::Experiment, flag: &str, value: Option<prost_types::Value>) -> pb::Experiment {
    let prerequisite = pb::Prerequisite {
        flag_key: flag.to_owned(),
        value,
    };
    pb::Experiment {
        prerequisites: vec![prerequisite],
        ..experiment
    }
}

#[tokio::test]
async fn a_prerequisite_names_a_flag_that_exists_and_a_value_of_its_type() {
    let mut service = Service::start().await;
    let nowhere = requires(make::draft("a"), "nope", make::boolean(true));
    invalid(
        service.try_experiment(nowhere).await,
        &[("prerequisites[0].flag_key", "FLAG_NOT_FOUND")],
    );
    service.flag(make::flag("b")).await;
    let mistyped = requires(make::draft("a"), "b", make::number(1.0));
    invalid(
        service.try_experiment(mistyped).await,
        &[("prerequisites[0].value", "TYPE_MISMATCH")],
    );
    let made = service
        .experiment(requires(make::draft("a"), "b", make::boolean(true)))
        .await;
    assert_eq!(made.prerequisites.len(), 1);

    let request = pb::DeleteFlagRequest {
        namespace: String::new(),
        key: "b".to_owned(),
        version: 1,
    };
    refused(
        service.flags.delete_flag(request).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
}

#[tokio::test]
async fn a_circle_is_refused_and_named() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    for key in ["a", "b", "c"] {
        service.flag(make::flag(key)).await;
    }
    service
        .experiment(requires(make::ready_on("of-a", "a"), "b", make::boolean(true)))
        .await;
    service
        .experiment(requires(make::ready_on("of-b", "b"), "c", make::boolean(true)))
        .await;
    let closing = requires(make::ready_on("of-c", "c"), "a", make::boolean(true));
    let failure = invalid(
        service.try_experiment(closing).await,
        &[("prerequisites", "PREREQUISITE_CYCLE")],
    );
    assert!(
        failure.violations[0].description.contains("c → a → b → c"),
        "{failure}"
    );
}

/// Of two that close a circle at the same time one is refused: each has read what the other was not in yet.
#[tokio::test]
async fn two_at_once_do_not_close_a_circle() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    for key in ["a", "b"] {
        service.flag(make::flag(key)).await;
    }
    for round in 0..10 {
        let create = |of: &str, needs: &str| {
            let sketch = requires(
                make::ready_on(&format!("of-{of}-{round}"), of),
                needs,
                make::boolean(true),
            );
            let request = pb::CreateExperimentRequest {
                experiment: Some(sketch),
                ..Default::default()
            };
            let mut client = service.experiments.clone();
            async move { client.create_experiment(request).await }
        };
        let both = tokio::join!(create("a", "b"), create("b", "a"));
        let both = [both.0, both.1];
        let made: Vec<_> = both.into_iter().flatten().collect();
        assert!(made.len() < 2, "round {round}");
        for created in made {
            let created = created.into_inner().experiment.unwrap();
            let request = pb::DeleteExperimentRequest {
                key: created.key,
                version: created.version,
                ..Default::default()
            };
            service.experiments.delete_experiment(request).await.unwrap();
        }
    }
}

/// What others have saved is no reason to refuse another text.
#[tokio::test]
async fn a_way_that_stands_is_no_reason_to_refuse_a_text() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    for i in 0..7 {
        service.flag(make::flag(&format!("f{i}"))).await;
    }
    for i in 0..5 {
        let own = make::ready_on(&format!("e{i}"), &format!("f{i}"));
        service
            .experiment(requires(own, &format!("f{}", i + 1), make::boolean(true)))
            .await;
    }
    let last = requires(make::ready_on("e5", "f5"), "f6", make::boolean(true));
    let failure = invalid(
        service.try_experiment(last).await,
        &[("prerequisites", "PREREQUISITE_DEPTH")],
    );
    assert!(failure.violations[0].description.contains("f0 → f1"), "{failure}");
    let first = service.get("e0").await;
    let renamed = pb::UpdateExperimentRequest {
        experiment: Some(pb::Experiment {
            name: "another name".to_owned(),
            ..first
        }),
        update_mask: make::mask(&["name"]),
    };
    service.experiments.update_experiment(renamed).await.unwrap();
}
