//! Changing and validating an experiment.

use assay_platform::Code;
use assay_proto::config::v1 as pb;

use crate::support::{
    Service, assert_violations, fact, invalid,
    make::{self, boolean, mask},
    refused,
};

async fn update(
    service: &mut Service,
    experiment: pb::Experiment,
    paths: &[&str],
) -> Result<pb::UpdateExperimentResponse, tonic::Status> {
    let request = pb::UpdateExperimentRequest {
        experiment: Some(experiment),
        update_mask: mask(paths),
    };
    service
        .experiments
        .update_experiment(request)
        .await
        .map(tonic::Response::into_inner)
}

fn rules(findings: &[pb::Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.rule.as_str()).collect()
}

#[tokio::test]
async fn a_draft_can_change_in_all_but_its_key_and_control() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    let draft = service.experiment(make::ready("a")).await;
    let mut asked = pb::Experiment {
        hypothesis: "it hurts".to_owned(),
        coverage: Some(2_500),
        ..draft.clone()
    };
    (asked.variants[0].weight, asked.variants[1].weight) = (9_000, 1_000);
    asked.variants[0].value = None;
    let updated = update(&mut service, asked, &[])
        .await
        .unwrap()
        .experiment
        .unwrap();
    assert_eq!(
        (updated.version, updated.coverage, updated.hypothesis.as_str()),
        (2, Some(2_500), "it hurts")
    );
    assert_eq!(updated.cohorts[0].weights, [9_000, 1_000]);
    assert_eq!(
        (updated.variants[0].value.clone(), &updated.salt),
        (boolean(false), &draft.salt)
    );

    let stale = update(&mut service, draft, &["name"]).await;
    assert_eq!(
        fact(
            &refused(stale, Code::Aborted, "VERSION_MISMATCH"),
            "stored_version"
        ),
        "2"
    );

    let mut other = updated.clone();
    other.variants[0].value = boolean(true);
    invalid(
        update(&mut service, other, &["variants"]).await,
        &[("variants[0].value", "CONTROL_PINNED")],
    );
    for path in ["state", "salt", "version", "winner", "nope"] {
        invalid(
            update(&mut service, updated.clone(), &[path]).await,
            &[("update_mask", "UNKNOWN_FIELD")],
        );
    }
}

#[tokio::test]
async fn choosing_another_flag_pins_the_control_anew_and_says_so() {
    let mut service = Service::start().await;
    let draft = service.experiment(make::draft("a")).await;
    service
        .flag(pb::Flag {
            default_value: boolean(true),
            variations: Vec::new(),
            ..make::flag("gate")
        })
        .await;
    let asked = pb::Experiment {
        flag_key: "gate".to_owned(),
        ..draft
    };
    let answer = update(&mut service, asked, &["flag_key"]).await.unwrap();
    let updated = answer.experiment.unwrap();
    assert_eq!(
        (updated.flag_key.as_str(), updated.variants[0].value.clone()),
        ("gate", boolean(true))
    );
    assert_eq!(rules(&answer.warnings), ["CONTROL_REPINNED", "SAME_VALUE"]);

    let nowhere = pb::Experiment {
        flag_key: "nope".to_owned(),
        ..updated
    };
    invalid(
        update(&mut service, nowhere, &["flag_key"]).await,
        &[("flag_key", "FLAG_NOT_FOUND")],
    );
}

#[tokio::test]
async fn what_runs_is_locked_but_for_texts_and_growth() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    let asked = pb::Experiment {
        hypothesis: "other".to_owned(),
        confidence: 0.9,
        ..running.clone()
    };
    let failure = refused(
        update(&mut service, asked, &[]).await,
        Code::FailedPrecondition,
        "CONFIG_LOCKED",
    );
    assert_violations(
        &failure,
        &[("hypothesis", "CONFIG_LOCKED"), ("confidence", "CONFIG_LOCKED")],
    );
    assert_eq!(fact(&failure, "field"), "hypothesis,confidence");

    let asked = pb::Experiment {
        name: "A".to_owned(),
        ..running
    };
    let updated = update(&mut service, asked, &[])
        .await
        .unwrap()
        .experiment
        .unwrap();
    assert_eq!(
        (updated.name.as_str(), updated.state()),
        ("A", pb::ExperimentState::Running)
    );
}

#[tokio::test]
async fn validation_says_what_start_would_refuse_without_writing() {
    let mut service = Service::start().await;
    service.experiment(make::draft("a")).await;
    let stored = pb::ValidateExperimentRequest {
        key: "a".to_owned(),
        ..Default::default()
    };
    let found = service
        .experiments
        .validate_experiment(stored)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        rules(&found.errors),
        ["HYPOTHESIS_REQUIRED", "PRIMARY_METRIC_REQUIRED"]
    );
    assert_eq!(found.errors[0].step(), pb::ExperimentStep::Details);

    let sketch = pb::Experiment {
        flag_key: "nope".to_owned(),
        ..make::ready("b")
    };
    let unstored = pb::ValidateExperimentRequest {
        experiment: Some(sketch),
        ..Default::default()
    };
    let found = service
        .experiments
        .validate_experiment(unstored)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(rules(&found.errors), ["FLAG_NOT_FOUND", "METRIC_NOT_FOUND"]);

    let nothing = pb::ValidateExperimentRequest::default();
    invalid(
        service.experiments.validate_experiment(nothing).await,
        &[("experiment", "REQUIRED")],
    );
    let request = pb::GetExperimentRequest {
        key: "b".to_owned(),
        ..Default::default()
    };
    refused(
        service.experiments.get_experiment(request).await,
        Code::NotFound,
        "NOT_FOUND",
    );
}
