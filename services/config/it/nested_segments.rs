//! Segments within segments: what may be nested, and what a change of a nested one means.

use assay_platform::Code;
use assay_proto::config::v1 as pb;
use tonic::Status;

use crate::support::{Service, eventually, fact, invalid, make, refused};

/// A condition that is segment `key`, in `version` for good or (0) in the latest.
fn nested(key: &str, version: u64) -> pb::Rule {
    pb::Rule {
        segment: Some(pb::SegmentReference {
            key: key.to_owned(),
            version,
            resolved_version: 0,
        }),
        ..Default::default()
    }
}

fn nesting(key: &str, rules: Vec<pb::Rule>) -> pb::Segment {
    pb::Segment {
        key: key.to_owned(),
        rules,
        ..Default::default()
    }
}

async fn create(service: &mut Service, segment: pb::Segment) -> Result<pb::Segment, Status> {
    let request = pb::CreateSegmentRequest {
        segment: Some(segment),
    };
    let answer = service.segments.create_segment(request).await;
    answer.map(|answer| answer.into_inner().segment.unwrap())
}

async fn change(
    service: &mut Service,
    segment: pb::Segment,
    rules: Vec<pb::Rule>,
) -> Result<pb::UpdateSegmentResponse, Status> {
    let request = pb::UpdateSegmentRequest {
        segment: Some(pb::Segment { rules, ..segment }),
        update_mask: make::mask(&["rules"]),
    };
    service
        .segments
        .update_segment(request)
        .await
        .map(tonic::Response::into_inner)
}

async fn get(service: &mut Service, key: &str) -> pb::Segment {
    let request = pb::GetSegmentRequest {
        key: key.to_owned(),
        ..Default::default()
    };
    service
        .segments
        .get_segment(request)
        .await
        .unwrap()
        .into_inner()
        .segment
        .unwrap()
}

/// The versions that its nested segments stand for, in the order of its rules.
fn resolved(segment: &pb::Segment) -> Vec<u64> {
    let references = segment.rules.iter().filter_map(|rule| rule.segment.as_ref());
    references.map(|reference| reference.resolved_version).collect()
}

#[tokio::test]
async fn what_is_nested_must_exist_and_nothing_nests_itself() {
    let mut service = Service::start().await;
    let any = |rules| pb::Rule {
        any_of: rules,
        ..Default::default()
    };
    let wrong = nesting("a", vec![any(vec![nested("b", 0)])]);
    let failure = invalid(
        create(&mut service, wrong).await,
        &[("rules[0].any_of[0].segment", "SEGMENT_NOT_FOUND")],
    );
    assert!(
        failure.message.contains("segment `b`, which does not exist"),
        "{failure}"
    );

    let b = service.segment(make::segment("b", "ios")).await;
    let pinned = nesting("a", vec![nested("b", 7)]);
    invalid(
        create(&mut service, pinned).await,
        &[("rules[0].segment", "SEGMENT_NOT_FOUND")],
    );
    let own = nesting("a", vec![nested("a", 0)]);
    invalid(
        create(&mut service, own).await,
        &[("rules[0].segment", "SEGMENT_CYCLE")],
    );

    service
        .segment(nesting("a", vec![any(vec![nested("b", 0)])]))
        .await;
    let c = service.segment(nesting("c", vec![nested("a", 0)])).await;
    assert_eq!(resolved(&c), [1]);
    let failure = invalid(
        change(&mut service, b, vec![nested("c", 0)]).await,
        &[("rules[0].segment", "SEGMENT_CYCLE")],
    );
    assert!(failure.message.contains("b → c → a → b"), "{failure}");
    assert_eq!(get(&mut service, "b").await.version, 1);
}

#[tokio::test]
async fn a_rule_is_one_condition() {
    let mut service = Service::start().await;
    let both = pb::Rule {
        any_of: make::segment("", "ios").rules,
        ..nested("b", 0)
    };
    let nothing = pb::Rule::default();
    let failure = create(&mut service, nesting("a", vec![both, nothing])).await;
    invalid(
        failure,
        &[
            ("rules[0].segment", "ONE_CONDITION"),
            ("rules[1].attribute", "REQUIRED"),
            ("rules[1].operator", "REQUIRED"),
        ],
    );
}

#[tokio::test]
async fn a_chain_of_segments_ends_at_depth_eight_also_when_the_last_one_grows() {
    let mut service = Service::start().await;
    let s1 = service.segment(make::segment("s1", "ios")).await;
    for i in 2..=8 {
        service
            .segment(nesting(&format!("s{i}"), vec![nested(&format!("s{}", i - 1), 0)]))
            .await;
    }
    let ninth = nesting("s9", vec![nested("s8", 0)]);
    let failure = invalid(create(&mut service, ninth).await, &[("rules", "TOO_DEEP")]);
    assert!(failure.message.contains("s9 → s8 → s7"), "{failure}");
    let deeper = pb::Rule {
        not: Some(Box::new(make::segment("", "ios").rules.remove(0))),
        ..Default::default()
    };
    let failure = invalid(
        change(&mut service, s1, vec![deeper]).await,
        &[("rules", "NESTER_TOO_LARGE")],
    );
    assert!(failure.message.contains("segment `s8`"), "{failure}");
    assert_eq!(get(&mut service, "s8").await.version, 1);
}

#[tokio::test]
async fn a_change_revises_those_that_nest_the_latest_version() {
    let mut service = Service::start().await;
    let inner = service.segment(make::segment("inner", "ios")).await;
    service.segment(nesting("middle", vec![nested("inner", 0)])).await;
    service
        .segment(nesting("outer", vec![nested("middle", 0), nested("inner", 0)]))
        .await;
    service
        .segment(nesting("pinning", vec![nested("inner", 1)]))
        .await;
    service.metric(make::retention("retention_7")).await;
    let ready = pb::Experiment {
        segment_key: "outer".to_owned(),
        ..make::ready("a")
    };
    let draft = service.experiment(ready).await;
    service.try_start(&draft).await.unwrap();

    let rules = make::segment("", "android").rules;
    let answer = change(&mut service, inner, rules.clone()).await.unwrap();
    let updated = answer.segment.unwrap();
    assert_eq!((updated.key.as_str(), updated.version), ("inner", 2));
    assert_eq!(answer.warnings.len(), 1);
    assert!(
        answer.warnings[0].message.ends_with("pinned: experiment/a"),
        "{:?}",
        answer.warnings
    );

    let (middle, outer) = (
        get(&mut service, "middle").await,
        get(&mut service, "outer").await,
    );
    assert_eq!((middle.version, resolved(&middle)), (2, vec![2]));
    assert_eq!((outer.version, resolved(&outer)), (2, vec![2, 2]));
    assert_eq!(
        (middle.generation, outer.generation),
        (updated.generation, updated.generation)
    );
    let pinning = get(&mut service, "pinning").await;
    assert_eq!((pinning.version, resolved(&pinning)), (1, vec![1]));

    // What the running experiment has pinned is published, with all that it nests.
    let expected = [
        "experiment/a",
        "flag/a",
        "segment/inner@1",
        "segment/inner@2",
        "segment/middle@1",
        "segment/middle@2",
        "segment/outer@1",
        "segment/outer@2",
        "segment/pinning@1",
    ];
    let bus = service.bus.clone();
    eventually(|| {
        let bus = bus.clone();
        async move {
            let view = bus.read().await.unwrap();
            let held = view.namespaces.into_values().next().unwrap_or_default();
            let keys: Vec<_> = held.resources.into_keys().collect();
            if keys == expected {
                Ok(())
            } else {
                Err(format!("{keys:?}"))
            }
        }
    })
    .await;

    // A change of texts alone, or to the same rules, revises nobody.
    change(&mut service, updated, rules).await.unwrap();
    assert_eq!(get(&mut service, "outer").await.version, 2);
}

#[tokio::test]
async fn a_nested_segment_is_kept_until_nobody_nests_it() {
    let mut service = Service::start().await;
    service.segment(make::segment("inner", "ios")).await;
    let outer = service.segment(nesting("outer", vec![nested("inner", 1)])).await;
    let delete = |version| pb::DeleteSegmentRequest {
        key: "inner".to_owned(),
        version,
        ..Default::default()
    };
    let failure = refused(
        service.segments.delete_segment(delete(1)).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    assert_eq!(fact(&failure, "by"), "segment/outer");
    change(&mut service, outer, make::segment("", "web").rules)
        .await
        .unwrap();
    service.segments.delete_segment(delete(1)).await.unwrap();
    // Made anew, it goes on with the next version: 1 means what it always has.
    assert_eq!(service.segment(make::segment("inner", "web")).await.version, 2);
}

#[tokio::test]
async fn who_nests_a_segment_while_it_changes_gets_the_changed_one() {
    let mut service = Service::start().await;
    for n in 0..10 {
        let (inner_key, outer_key) = (format!("inner-{n}"), format!("outer-{n}"));
        let inner = service.segment(make::segment(&inner_key, "ios")).await;
        let mut client = service.segments.clone();
        let request = pb::UpdateSegmentRequest {
            segment: Some(pb::Segment {
                rules: make::segment("", "android").rules,
                ..inner
            }),
            update_mask: None,
        };
        let outer = nesting(&outer_key, vec![nested(&inner_key, 0)]);
        let (created, changed) = tokio::join!(create(&mut service, outer), client.update_segment(request));
        changed.unwrap();
        match created {
            Ok(_) => assert_eq!(resolved(&get(&mut service, &outer_key).await), [2]),
            Err(status) => assert_eq!(status.code(), tonic::Code::Aborted, "{status}"),
        }
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Option<prost_types::Struct> {
    let fields = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), make::text(value).unwrap()));
    Some(prost_types::Struct {
        fields: fields.collect(),
    })
}

#[tokio::test]
async fn a_test_says_why_rule_by_rule() {
    use pb::test_segment_request::Subject;
    let mut service = Service::start().await;
    let inner = service.segment(make::segment("inner", "ios")).await;
    let not = pb::Rule {
        not: Some(Box::new(nested("inner", 0))),
        ..Default::default()
    };
    let newer = pb::Rule {
        attribute: "app".to_owned(),
        operator: pb::Operator::SemverGte.into(),
        operands: make::text("2.0").into_iter().collect(),
        ..Default::default()
    };
    service
        .segment(nesting("outer", vec![not.clone(), newer.clone()]))
        .await;
    change(&mut service, inner, make::segment("", "android").rules)
        .await
        .unwrap();

    let ask = |subject, version, attributes| pb::TestSegmentRequest {
        namespace: String::new(),
        subject: Some(subject),
        version,
        attributes,
    };
    let key = || Subject::Key("outer".to_owned());
    let said = |answer: &pb::TestSegmentResponse| {
        let said = answer.conditions.iter();
        said.map(|c| (c.path.clone(), c.outcome(), c.matches))
            .collect::<Vec<_>>()
    };
    use pb::ConditionOutcome::{Matched, Missing, NotMatched, WrongType};
    let ios = attributes(&[("platform", "ios"), ("app", "newest")]);
    let answer = service
        .segments
        .test_segment(ask(key(), 0, ios.clone()))
        .await
        .unwrap()
        .into_inner();
    let expected = [
        ("rules[0]".to_owned(), Matched, true),
        ("rules[0].not".to_owned(), NotMatched, false),
        ("rules[0].not.rules[0]".to_owned(), NotMatched, false),
        ("rules[1]".to_owned(), WrongType, false),
    ];
    assert_eq!(
        (answer.matches, answer.version, said(&answer)),
        (false, 2, expected.to_vec())
    );
    let app = answer.conditions[3].clone();
    assert_eq!(
        (app.attribute.as_str(), app.value, app.operands),
        ("app", make::text("newest"), newer.operands.clone())
    );
    assert_eq!(
        answer.conditions[1].segment.as_ref().map(|s| s.resolved_version),
        Some(2)
    );

    // The version before says what it said then.
    let answer = service
        .segments
        .test_segment(ask(key(), 1, ios))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (answer.matches, answer.version, answer.conditions[2].matches),
        (false, 1, true)
    );

    // One that is not stored, on nobody.
    let given = Subject::Segment(nesting("", vec![not, newer]));
    let answer = service
        .segments
        .test_segment(ask(given, 0, None))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.matches, answer.version), (false, 0));
    assert_eq!(
        said(&answer)[2..],
        [
            ("rules[0].not.rules[0]".into(), Missing, false),
            ("rules[1]".into(), Missing, false)
        ]
    );
    let answer = service
        .segments
        .test_segment(ask(Subject::Segment(nesting("", vec![])), 0, None))
        .await;
    assert!(answer.unwrap().into_inner().matches);

    let missing = ask(Subject::Key("none".to_owned()), 0, None);
    refused(
        service.segments.test_segment(missing).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    refused(
        service.segments.test_segment(ask(key(), 9, None)).await,
        Code::NotFound,
        "NOT_FOUND",
    );
    let given = Subject::Segment(nesting("", vec![nested("none", 0)]));
    invalid(
        service.segments.test_segment(ask(given, 0, None)).await,
        &[("rules[0].segment", "SEGMENT_NOT_FOUND")],
    );
    let nothing = pb::TestSegmentRequest::default();
    invalid(
        service.segments.test_segment(nothing).await,
        &[("key", "REQUIRED")],
    );
}
