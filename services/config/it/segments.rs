use assay_platform::Code;
use assay_proto::config::v1 as pb;

use crate::support::{
    Service, assert_violations, fact, invalid,
    make::{self, boolean, mask, number, text},
    refused,
};

async fn update(
    service: &mut Service,
    segment: pb::Segment,
    paths: &[&str],
) -> Result<pb::Segment, tonic::Status> {
    let request = pb::UpdateSegmentRequest {
        segment: Some(segment),
        update_mask: mask(paths),
    };
    service
        .segments
        .update_segment(request)
        .await
        .map(|response| response.into_inner().segment.unwrap())
}

async fn delete(service: &mut Service, key: &str, version: u64) -> Result<(), tonic::Status> {
    let request = pb::DeleteSegmentRequest {
        namespace: String::new(),
        key: key.to_owned(),
        version,
    };
    service.segments.delete_segment(request).await.map(drop)
}

/// A running experiment `a` that is targeted at segment `ios`.
async fn targeted(service: &mut Service) -> pb::Experiment {
    service.metric(make::retention("retention_7")).await;
    let draft = service
        .experiment(pb::Experiment {
            segment_key: "ios".to_owned(),
            ..make::ready("a")
        })
        .await;
    service.try_start(&draft).await.unwrap().experiment.unwrap()
}

#[tokio::test]
async fn a_segment_is_created_read_changed_and_deleted() {
    let mut service = Service::start().await;
    let created = service.segment(make::segment("ios", "ios")).await;
    let request = pb::GetSegmentRequest {
        namespace: String::new(),
        key: "ios".to_owned(),
    };
    assert_eq!(
        service
            .segments
            .get_segment(request)
            .await
            .unwrap()
            .into_inner()
            .segment,
        Some(created.clone())
    );
    let rules = make::segment("", "android").rules;
    let updated = update(&mut service, pb::Segment { rules, ..created }, &["rules"])
        .await
        .unwrap();
    assert_eq!(
        (updated.version, updated.rules[0].operands[0].clone()),
        (2, text("android").unwrap())
    );
    refused(
        delete(&mut service, "ios", 1).await,
        Code::Aborted,
        "VERSION_MISMATCH",
    );
    delete(&mut service, "ios", 2).await.unwrap();
}

#[tokio::test]
async fn wrong_rules_are_told_all_at_once() {
    let mut service = Service::start().await;
    let rule = |attribute: &str, operator: pb::Operator, operands: Vec<_>| pb::Rule {
        attribute: attribute.to_owned(),
        operator: operator.into(),
        operands,
        ..Default::default()
    };
    let operand = |n: f64| number(n).unwrap();
    let rules = vec![
        rule("level", pb::Operator::Between, vec![operand(3.0), operand(1.0)]),
        rule("level", pb::Operator::Gt, vec![text("3").unwrap()]),
    ];
    let request = pb::CreateSegmentRequest {
        segment: Some(pb::Segment {
            rules,
            ..make::segment("new", "")
        }),
    };
    let failure = refused(
        service.segments.create_segment(request).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
    assert_violations(
        &failure,
        &[
            ("rules[0].operands", "OPERAND_ORDER"),
            ("rules[1].operands", "OPERAND_TYPE"),
        ],
    );

    let rules = vec![rule("", pb::Operator::Unspecified, Vec::new())];
    let request = pb::CreateSegmentRequest {
        segment: Some(pb::Segment {
            rules,
            ..make::segment("new", "")
        }),
    };
    let failure = refused(
        service.segments.create_segment(request).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
    assert!(
        failure
            .violations
            .iter()
            .any(|v| v.field == "rules[0].attribute" && v.reason == "REQUIRED")
    );
}

#[tokio::test]
async fn the_rules_that_a_live_experiment_has_pinned_are_locked_but_texts_are_not() {
    let mut service = Service::start().await;
    let segment = service.segment(make::segment("ios", "ios")).await;
    let running = targeted(&mut service).await;
    assert_eq!(running.segment_version, 1);

    let rules = make::segment("", "android").rules;
    let changed = pb::Segment {
        rules,
        ..segment.clone()
    };
    let failure = refused(
        update(&mut service, changed.clone(), &["rules"]).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    assert_eq!(
        (fact(&failure, "resource"), fact(&failure, "by")),
        ("segment/ios", "experiment/a")
    );
    assert!(failure.message.contains("create another segment"), "{failure}");

    let named = update(
        &mut service,
        pb::Segment {
            name: "iOS".to_owned(),
            ..segment
        },
        &["name"],
    )
    .await
    .unwrap();
    let request = pb::StopExperimentRequest {
        key: "a".to_owned(),
        version: running.version,
        confirm: true,
        ..Default::default()
    };
    service.experiments.stop_experiment(request).await.unwrap();
    let changed = pb::Segment {
        version: named.version,
        ..changed
    };
    assert_eq!(
        update(&mut service, changed, &["rules"]).await.unwrap().version,
        3
    );
}

#[tokio::test]
async fn a_segment_in_use_is_kept() {
    let mut service = Service::start().await;
    service.segment(make::segment("ios", "ios")).await;
    let hit = pb::SegmentOverride {
        segment_key: "ios".to_owned(),
        value: boolean(true),
    };
    service
        .flag(pb::Flag {
            segment_overrides: vec![hit],
            ..make::flag("gate")
        })
        .await;
    targeted(&mut service).await;
    let failure = refused(
        delete(&mut service, "ios", 1).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    assert_eq!(fact(&failure, "by"), "experiment/a,flag/gate");
    invalid(delete(&mut service, "ios", 0).await, &[("version", "REQUIRED")]);
}

#[tokio::test]
async fn a_start_never_runs_with_rules_that_change_beneath_it() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    for n in 0..10 {
        let key = format!("s{n}");
        let segment = service.segment(make::segment(&key, "ios")).await;
        let ready = pb::Experiment {
            segment_key: key.clone(),
            ..make::ready(&format!("e{n}"))
        };
        let draft = service.experiment(ready).await;
        let mut client = service.segments.clone();
        let changed = pb::Segment {
            rules: make::segment("", "android").rules,
            ..segment
        };
        let request = pb::UpdateSegmentRequest {
            segment: Some(changed),
            update_mask: None,
        };
        let (started, changed) = tokio::join!(service.try_start(&draft), client.update_segment(request));
        let pinned = started.map(|answer| answer.experiment.unwrap().segment_version);
        match (pinned, changed) {
            // The change came first and was pinned.
            (Ok(2), Ok(_)) => {}
            // One of the two has lost.
            (Ok(1), Err(_)) | (Err(_), Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
