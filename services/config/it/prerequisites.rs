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
