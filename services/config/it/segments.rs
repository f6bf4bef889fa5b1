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
        key: "ios".to_owned(),
        ..Default::default()
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
async fn a_used_segment_is_edited_and_the_answer_names_who_uses_it() {
    let mut service = Service::start().await;
    let segment = service.segment(make::segment("ios", "ios")).await;
    let running = targeted(&mut service).await;
    assert_eq!(running.segment_version, 1);
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

    let update = |segment: pb::Segment, paths: &'static [&str]| pb::UpdateSegmentRequest {
        segment: Some(segment),
        update_mask: mask(paths),
    };
    let changed = pb::Segment {
        rules: make::segment("", "android").rules,
        ..segment.clone()
    };
    let request = update(changed.clone(), &["rules"]);
    let answer = service
        .segments
        .update_segment(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.segment.map(|segment| segment.version), Some(2));
    let warnings: Vec<_> = answer
        .warnings
        .iter()
        .map(|w| (w.field.as_str(), w.rule.as_str(), w.message.as_str()))
        .collect();
    let expected = [
        (
            "rules",
            "SEGMENT_IN_USE",
            "is in use; these experiments go on with the version that they have pinned: experiment/a",
        ),
        (
            "rules",
            "SEGMENT_IN_USE",
            "is in use; the overrides of these flags follow the new rules at once: flag/gate",
        ),
    ];
    assert_eq!(warnings, expected);
    assert_eq!(service.get("a").await.segment_version, 1);

    // Texts change nothing for anybody.
    let named = pb::Segment {
        name: "iOS".to_owned(),
        version: 2,
        ..segment.clone()
    };
    let answer = service
        .segments
        .update_segment(update(named, &["name"]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.warnings, []);

    let mut rules = Vec::new();
    for version in [1, 2, 3] {
        let request = pb::GetSegmentRequest {
            key: "ios".to_owned(),
            version,
            ..Default::default()
        };
        let found = service
            .segments
            .get_segment(request)
            .await
            .unwrap()
            .into_inner()
            .segment
            .unwrap();
        assert_eq!(found.version, version);
        rules.push(found.rules);
    }
    assert_eq!(rules, [segment.rules, changed.rules.clone(), changed.rules]);
    let request = pb::GetSegmentRequest {
        key: "ios".to_owned(),
        version: 4,
        ..Default::default()
    };
    refused(
        service.segments.get_segment(request).await,
        Code::NotFound,
        "NOT_FOUND",
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
            // The change came first and was pinned, or it came later and the pinned version stays.
            (Ok(1 | 2), Ok(_)) => {}
            // The change came between what the start has read and what it has written.
            (Err(_), Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
