use assay_platform::Code;
use assay_proto::config::v1 as pb;

use crate::support::{
    Service, invalid,
    make::{self, boolean, mask},
    refused,
};

async fn duplicate(service: &mut Service, key: &str, new_key: &str) -> Result<pb::Experiment, tonic::Status> {
    let request = pb::DuplicateExperimentRequest {
        namespace: String::new(),
        key: key.to_owned(),
        new_key: new_key.to_owned(),
    };
    service
        .experiments
        .duplicate_experiment(request)
        .await
        .map(|response| response.into_inner().experiment.unwrap())
}

#[tokio::test]
async fn copies_are_drafts_with_names_of_their_own() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    let original = service
        .experiment(pb::Experiment {
            name: "Gate".to_owned(),
            ..make::ready("gate")
        })
        .await;
    let original = service.try_start(&original).await.unwrap().experiment.unwrap();
    let copy = duplicate(&mut service, "gate", "").await.unwrap();
    assert_eq!(
        (copy.key.as_str(), copy.name.as_str()),
        ("gate-copy", "Gate (Copy)")
    );
    assert_eq!((copy.state(), copy.version), (pb::ExperimentState::Draft, 1));
    assert_eq!(
        (&copy.flag_key, &copy.metrics, &copy.variants),
        (&original.flag_key, &original.metrics, &original.variants)
    );
    assert!(copy.salt != original.salt && copy.start_time.is_none() && copy.end_time.is_none());

    let second = duplicate(&mut service, "gate", "").await.unwrap();
    assert_eq!(
        (second.key.as_str(), second.name.as_str()),
        ("gate-copy-2", "Gate (Copy 2)")
    );
    assert_eq!(duplicate(&mut service, "gate", "mine").await.unwrap().key, "mine");
    refused(
        duplicate(&mut service, "gate", "mine").await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
    );
    refused(
        duplicate(&mut service, "nope", "").await,
        Code::NotFound,
        "NOT_FOUND",
    );
    invalid(
        duplicate(&mut service, "gate", "a b").await,
        &[("new_key", "KEY_CHARACTER")],
    );
}

#[tokio::test]
async fn concurrent_copies_all_get_a_key() {
    let mut service = Service::start().await;
    service.experiment(make::draft("gate")).await;
    let copies = (0..6).map(|_| {
        let mut client = service.experiments.clone();
        let request = pb::DuplicateExperimentRequest {
            key: "gate".to_owned(),
            ..Default::default()
        };
        async move {
            client
                .duplicate_experiment(request)
                .await
                .unwrap()
                .into_inner()
                .experiment
                .unwrap()
                .key
        }
    });
    let mut keys = futures::future::join_all(copies).await;
    keys.sort();
    assert_eq!(
        keys,
        [
            "gate-copy",
            "gate-copy-2",
            "gate-copy-3",
            "gate-copy-4",
            "gate-copy-5",
            "gate-copy-6"
        ]
    );
}

#[tokio::test]
async fn the_control_of_a_copy_is_pinned_anew() {
    let mut service = Service::start().await;
    let flag = service.flag(make::flag("gate")).await;
    service
        .experiment(pb::Experiment {
            metrics: Vec::new(),
            ..make::ready_on("a", "gate")
        })
        .await;
    let flag = pb::Flag {
        default_value: boolean(true),
        ..flag
    };
    let request = pb::UpdateFlagRequest {
        flag: Some(flag),
        update_mask: mask(&["default_value"]),
    };
    service.flags.update_flag(request).await.unwrap();
    assert_eq!(service.get("a").await.variants[0].value, boolean(false));
    let request = pb::DuplicateExperimentRequest {
        key: "a".to_owned(),
        ..Default::default()
    };
    let answer = service.experiments.duplicate_experiment(request).await.unwrap();
    let answer = answer.into_inner();
    let copy = answer.experiment.unwrap();
    assert_eq!(copy.variants[0].value, boolean(true));
    let same = answer
        .warnings
        .iter()
        .find(|finding| finding.rule == "SAME_VALUE");
    assert_eq!(
        same.map(|finding| finding.field.as_str()),
        Some("variants[1].value"),
        "its second variant has served `true` all along: {:?}",
        answer.warnings
    );
}

#[tokio::test]
async fn a_long_name_is_cut() {
    let mut service = Service::start().await;
    service
        .experiment(pb::Experiment {
            name: "ä".repeat(128),
            ..make::draft("a")
        })
        .await;
    let copy = duplicate(&mut service, "a", "").await.unwrap();
    assert!(
        copy.name.len() <= 256 && copy.name.ends_with("ä (Copy)"),
        "{}",
        copy.name
    );
}
