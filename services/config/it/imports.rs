//! Whole namespaces: out, and in again, in one change or none.

use assay_platform::Code;
use assay_proto::config::v1::{self as pb, DifferenceKind};
use tonic::Status;

use crate::support::{Service, make, refused};

async fn export(service: &Service, namespace: &str) -> (u64, pb::NamespaceContents) {
    let request = pb::ExportNamespaceRequest {
        namespace: namespace.to_owned(),
    };
    let answer = service.generations.clone().export_namespace(request).await;
    let answer = answer.unwrap().into_inner();
    (answer.generation, answer.contents.unwrap())
}

async fn import(
    service: &Service,
    request: pb::ImportNamespaceRequest,
) -> Result<pb::ImportNamespaceResponse, Status> {
    let answer = service.generations.clone().import_namespace(request).await?;
    Ok(answer.into_inner())
}

fn of(contents: &pb::NamespaceContents) -> pb::ImportNamespaceRequest {
    pb::ImportNamespaceRequest {
        contents: Some(contents.clone()),
        ..Default::default()
    }
}

/// `added flag/gate`, …
fn told(answer: &pb::ImportNamespaceResponse) -> Vec<String> {
    let one = |difference: &pb::ResourceDifference| {
        let kind = match difference.kind() {
            DifferenceKind::Added => "added",
            DifferenceKind::Removed => "removed",
            DifferenceKind::Changed => "changed",
            DifferenceKind::Unspecified => "?",
        };
        let fields = difference.fields.join(",");
        format!("{kind} {} {fields}", difference.resource)
            .trim_end()
            .to_owned()
    };
    answer.differences.iter().map(one).collect()
}

fn nested(key: &str) -> pb::Rule {
    pb::Rule {
        segment: Some(pb::SegmentReference {
            key: key.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn nesting(key: &str, nests: &str) -> pb::Segment {
    pb::Segment {
        key: key.to_owned(),
        rules: vec![nested(nests)],
        ..Default::default()
    }
}

/// Everything at once: what refers stands before what it refers to.
fn shop() -> pb::NamespaceContents {
    let flag = pb::Flag {
        segment_overrides: vec![pb::SegmentOverride {
            segment_key: "top".to_owned(),
            value: make::boolean(true),
        }],
        ..make::flag("gate")
    };
    let experiment = pb::Experiment {
        flag_key: "checkout".to_owned(),
        layer_key: "page".to_owned(),
        segment_key: "low".to_owned(),
        prerequisites: vec![pb::Prerequisite {
            flag_key: "gate".to_owned(),
            value: make::boolean(true),
        }],
        ..make::ready("a")
    };
    pb::NamespaceContents {
        layers: vec![pb::Layer {
            key: "page".to_owned(),
            ..Default::default()
        }],
        segments: vec![
            nesting("top", "middle"),
            nesting("middle", "low"),
            make::segment("low", "ios"),
        ],
        metrics: vec![make::retention("retention_7")],
        flags: vec![flag, make::flag("checkout")],
        holdouts: vec![pb::Holdout {
            key: "never".to_owned(),
            share: 100,
            layer_keys: vec!["page".to_owned()],
            ..Default::default()
        }],
        experiments: vec![experiment],
    }
}

async fn segment(service: &Service, key: &str) -> pb::Segment {
    let request = pb::GetSegmentRequest {
        key: key.to_owned(),
        ..Default::default()
    };
    let answer = service.segments.clone().get_segment(request).await;
    answer.unwrap().into_inner().segment.unwrap()
}

#[tokio::test]
async fn what_comes_out_goes_in_elsewhere_and_again_changes_nothing() {
    let mut service = Service::start().await;
    let made = import(&service, of(&shop())).await.unwrap();
    assert_eq!((made.generation, told(&made).len()), (1, 9), "{made:?}");
    let (generation, contents) = export(&service, "").await;
    assert_eq!(generation, 1);
    let again = import(&service, of(&contents)).await.unwrap();
    assert_eq!((again.generation, told(&again)), (1, Vec::new()));

    let elsewhere = pb::ImportNamespaceRequest {
        namespace: "staging".to_owned(),
        ..of(&contents)
    };
    assert_eq!(import(&service, elsewhere).await.unwrap().differences.len(), 9);
    assert_eq!(export(&service, "staging").await, (1, contents));
    service.stop().await;
}

#[tokio::test]
async fn a_change_of_many_is_one_generation_and_nested_versions_fit() {
    let mut service = Service::start().await;
    import(&service, of(&shop())).await.unwrap();
    let (_, mut contents) = export(&service, "").await;
    for segment in &mut contents.segments {
        match segment.key.as_str() {
            "low" => segment.rules = make::segment("low", "android").rules,
            "middle" => segment.rules.extend(make::segment("x", "web").rules),
            _ => {}
        }
    }
    contents.flags[0].description = "what it is for".to_owned();
    let changed = import(&service, of(&contents)).await.unwrap();
    assert_eq!(
        (changed.generation, told(&changed)),
        (
            2,
            vec![
                "changed flag/checkout description".to_owned(),
                "changed segment/low rules".to_owned(),
                "changed segment/middle rules".to_owned(),
                "changed segment/top rules".to_owned(),
            ]
        )
    );
    assert!(
        changed.warnings.iter().any(|w| w.rule == "SEGMENT_IN_USE"),
        "{changed:?}"
    );
    let (top, middle, low) = (
        segment(&service, "top").await,
        segment(&service, "middle").await,
        segment(&service, "low").await,
    );
    let resolved = |segment: &pb::Segment| segment.rules[0].segment.clone().unwrap().resolved_version;
    assert_eq!((top.version, middle.version, low.version), (2, 2, 2));
    assert_eq!((resolved(&top), resolved(&middle)), (middle.version, low.version));
    service.stop().await;
}

#[tokio::test]
async fn all_that_is_wrong_is_told_by_path_and_nothing_is_written() {
    let mut service = Service::start().await;
    let mut contents = shop();
    contents.metrics.push(make::retention("Bad key"));
    let status = import(&service, of(&contents)).await;
    let failure = refused(status, Code::InvalidArgument, "INVALID_ARGUMENT");
    assert_eq!(failure.violations[0].field, "metrics[1].key");

    let mut contents = shop();
    contents.flags.push(make::flag("gate"));
    let failure = refused(
        import(&service, of(&contents)).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
    assert_eq!(
        (&*failure.violations[0].field, &*failure.violations[0].reason),
        ("flags[2].key", "DUPLICATE")
    );

    let mut contents = shop();
    contents.segments[0].rules = vec![nested("gone")];
    contents.flags[1].variations.clear();
    contents.experiments[0].metrics[0].metric_key = "unmeasured".to_owned();
    let failure = refused(
        import(&service, of(&contents)).await,
        Code::FailedPrecondition,
        "CANNOT_IMPORT",
    );
    let fields: Vec<_> = failure.violations.iter().map(|v| v.field.as_str()).collect();
    for path in [
        "segments[0].",
        "flags[0].segment_overrides[0]",
        "flags[1].",
        "experiments[0].",
    ] {
        assert!(
            fields.iter().any(|field| field.starts_with(path)),
            "{path} in {fields:?}"
        );
    }
    assert_eq!(export(&service, "").await, (0, pb::NamespaceContents::default()));
    service.stop().await;
}

#[tokio::test]
async fn it_is_made_of_what_was_planned_or_not_at_all() {
    let mut service = Service::start().await;
    let planned = pb::ImportNamespaceRequest {
        dry_run: true,
        ..of(&shop())
    };
    let plan = import(&service, planned).await.unwrap();
    assert_eq!((plan.generation, plan.differences.len()), (0, 9));
    assert_eq!(export(&service, "").await.0, 0, "a plan writes nothing");

    service.flag(make::flag("meanwhile")).await;
    let stale = pb::ImportNamespaceRequest {
        expected_generation: Some(plan.generation),
        ..of(&shop())
    };
    refused(
        import(&service, stale.clone()).await,
        Code::Aborted,
        "VERSION_MISMATCH",
    );
    let fresh = pb::ImportNamespaceRequest {
        expected_generation: Some(1),
        ..stale
    };
    assert_eq!(import(&service, fresh).await.unwrap().generation, 2);
    service.stop().await;
}

#[tokio::test]
async fn what_has_begun_is_neither_changed_nor_pruned() {
    let mut service = Service::start().await;
    let running = service.running("live").await;
    service.experiment(make::ready("draft")).await;
    service.segment(make::segment("unused", "ios")).await;
    let (_, contents) = export(&service, "").await;

    let mut other = contents.clone();
    let live = other.experiments.iter_mut().find(|e| e.key == "live").unwrap();
    live.variants[0].weight = 1_000;
    live.variants[1].weight = 9_000;
    let at = other.experiments.iter().position(|e| e.key == "live").unwrap();
    let failure = refused(
        import(&service, of(&other)).await,
        Code::FailedPrecondition,
        "CANNOT_IMPORT",
    );
    let violation = &failure.violations[0];
    assert!(
        violation
            .field
            .starts_with(&format!("experiments[{at}].variants")),
        "{violation:?}"
    );

    let nothing = pb::ImportNamespaceRequest {
        prune: true,
        ..of(&pb::NamespaceContents::default())
    };
    let pruned = import(&service, nothing).await.unwrap();
    assert_eq!(
        told(&pruned),
        [
            "removed flag/draft",
            "removed segment/unused",
            "removed experiment/draft"
        ]
    );
    let kept: Vec<_> = pruned.warnings.iter().map(|w| (&*w.field, &*w.rule)).collect();
    for field in ["experiment/live", "flag/live", "metric/retention_7"] {
        assert!(kept.contains(&(field, "NOT_PRUNED")), "{field} in {kept:?}");
    }
    assert_eq!(service.get("live").await.version, running.version);
    service.stop().await;
}

/// What was pinned in one namespace stays so in another, though the flag's default has moved since.
#[tokio::test]
async fn a_namespace_with_a_winner_can_go_elsewhere() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    let running = service.running("a").await;
    let request = pb::DeclareWinnerRequest {
        key: running.key,
        version: running.version,
        reason: "it helps".to_owned(),
        variant_key: "on".to_owned(),
        force: true,
        ..Default::default()
    };
    service.experiments.declare_winner(request).await.unwrap();
    let (_, contents) = export(&service, "").await;
    let request = pb::ImportNamespaceRequest {
        namespace: "elsewhere".to_owned(),
        ..of(&contents)
    };
    import(&service, request).await.unwrap();
    let (_, copied) = export(&service, "elsewhere").await;
    assert_eq!(copied, contents);
    assert_eq!(copied.experiments[0].variants[0].value, make::boolean(false));
    assert_eq!(copied.flags[0].default_value, make::boolean(true));
}

/// A version means the same units for ever, and elsewhere it may mean others.
#[tokio::test]
async fn versions_of_segments_are_not_carried_elsewhere() {
    let service = Service::start().await;
    let pinning = |version| pb::Segment {
        key: "top".to_owned(),
        rules: vec![pb::Rule {
            segment: Some(pb::SegmentReference {
                key: "low".to_owned(),
                version,
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    };
    let contents = |version| pb::NamespaceContents {
        segments: vec![make::segment("low", "ios"), pinning(version)],
        ..Default::default()
    };
    let failure = refused(
        import(&service, of(&contents(1))).await,
        Code::FailedPrecondition,
        "CANNOT_IMPORT",
    );
    assert_eq!(failure.violations[0].field, "segments[1].rules", "{failure}");
    import(&service, of(&contents(0))).await.unwrap();
    // Here there is a version 1 now.
    import(&service, of(&contents(1))).await.unwrap();
}
