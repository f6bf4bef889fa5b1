use assay_platform::Code;
use assay_proto::config::v1 as pb;

use crate::support::{
    Service, fact, invalid,
    make::{self, boolean, mask, number, text, variation},
    refused,
};

async fn update(service: &mut Service, flag: pb::Flag, paths: &[&str]) -> Result<pb::Flag, tonic::Status> {
    let request = pb::UpdateFlagRequest {
        flag: Some(flag),
        update_mask: mask(paths),
    };
    service
        .flags
        .update_flag(request)
        .await
        .map(|response| response.into_inner().flag.unwrap())
}

async fn delete(service: &mut Service, key: &str, version: u64) -> Result<(), tonic::Status> {
    let request = pb::DeleteFlagRequest {
        namespace: String::new(),
        key: key.to_owned(),
        version,
    };
    service.flags.delete_flag(request).await.map(drop)
}

#[tokio::test]
async fn a_flag_is_created_read_changed_and_deleted() {
    let mut service = Service::start().await;
    let created = service
        .flag(pb::Flag {
            version: 9,
            generation: 9,
            ..make::flag("gate")
        })
        .await;
    assert_eq!(
        (created.version, created.generation, created.namespace.as_str()),
        (1, 1, "default")
    );
    assert_eq!(
        (created.r#type(), created.default_value.clone()),
        (pb::FlagType::Boolean, boolean(false))
    );
    assert!(created.created_at.is_some());

    let request = pb::GetFlagRequest {
        namespace: String::new(),
        key: "gate".to_owned(),
    };
    assert_eq!(
        service.flags.get_flag(request).await.unwrap().into_inner().flag,
        Some(created.clone())
    );

    let asked = pb::Flag {
        name: "Gate".to_owned(),
        description: "passed over".to_owned(),
        ..created
    };
    let updated = update(&mut service, asked, &["name"]).await.unwrap();
    assert_eq!(
        (
            updated.version,
            updated.name.as_str(),
            updated.description.as_str()
        ),
        (2, "Gate", "")
    );

    let same = update(&mut service, updated.clone(), &[]).await.unwrap();
    assert_eq!(same, updated, "an edit that changes nothing writes nothing");

    delete(&mut service, "gate", 2).await.unwrap();
    let failure = refused(delete(&mut service, "gate", 2).await, Code::NotFound, "NOT_FOUND");
    assert_eq!(fact(&failure, "resource"), "flag/gate");
}

#[tokio::test]
async fn namespaces_are_apart() {
    let mut service = Service::start().await;
    service.flag(make::flag("gate")).await;
    let request = pb::GetFlagRequest {
        namespace: "shop".to_owned(),
        key: "gate".to_owned(),
    };
    refused(service.flags.get_flag(request).await, Code::NotFound, "NOT_FOUND");
    let flag = pb::Flag {
        namespace: "shop".to_owned(),
        ..make::flag("gate")
    };
    assert_eq!(service.flag(flag).await.generation, 1);
    let request = pb::GetFlagRequest {
        namespace: "-shop".to_owned(),
        key: "gate".to_owned(),
    };
    invalid(
        service.flags.get_flag(request).await,
        &[("namespace", "KEY_CHARACTER")],
    );
}

#[tokio::test]
async fn wrong_fields_are_told_all_at_once() {
    let mut service = Service::start().await;
    let flag = pb::Flag {
        key: "a b".to_owned(),
        variations: vec![variation("", boolean(true)), variation("on", None)],
        ..Default::default()
    };
    let request = pb::CreateFlagRequest { flag: Some(flag) };
    let wrong = [
        ("key", "KEY_CHARACTER"),
        ("variations[0].key", "KEY_REQUIRED"),
        ("variations[1].value", "REQUIRED"),
    ];
    invalid(service.flags.create_flag(request).await, &wrong);

    let request = pb::CreateFlagRequest { flag: None };
    invalid(service.flags.create_flag(request).await, &[("flag", "REQUIRED")]);

    let mixed = vec![variation("a", number(1.0)), variation("b", text("2"))];
    let flag = pb::Flag {
        variations: mixed,
        ..make::flag("mixed")
    };
    let request = pb::CreateFlagRequest { flag: Some(flag) };
    let failure = refused(
        service.flags.create_flag(request).await,
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
    );
    assert_eq!(failure.violations[0].field, "variations[1].value");
}

#[tokio::test]
async fn a_taken_key_is_refused() {
    let mut service = Service::start().await;
    service.flag(make::flag("gate")).await;
    let request = pb::CreateFlagRequest {
        flag: Some(make::flag("gate")),
    };
    let failure = refused(
        service.flags.create_flag(request).await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
    );
    assert!(failure.message.contains("choose another key"), "{failure}");
}

#[tokio::test]
async fn a_write_names_the_version_that_it_has_read() {
    let mut service = Service::start().await;
    let first = service.flag(make::flag("gate")).await;
    let renamed = |flag: &pb::Flag, name: &str| pb::Flag {
        name: name.to_owned(),
        ..flag.clone()
    };
    update(&mut service, renamed(&first, "one"), &["name"])
        .await
        .unwrap();

    let stale = update(&mut service, renamed(&first, "two"), &["name"]).await;
    let failure = refused(stale, Code::Aborted, "VERSION_MISMATCH");
    assert_eq!(
        (
            fact(&failure, "expected_version"),
            fact(&failure, "stored_version")
        ),
        ("1", "2")
    );
    refused(
        delete(&mut service, "gate", 1).await,
        Code::Aborted,
        "VERSION_MISMATCH",
    );

    let unnamed = pb::Flag { version: 0, ..first };
    invalid(
        update(&mut service, unnamed, &["name"]).await,
        &[("version", "REQUIRED")],
    );
    invalid(
        delete(&mut service, "", 0).await,
        &[("key", "KEY_REQUIRED"), ("version", "REQUIRED")],
    );
}

#[tokio::test]
async fn masks_name_fields_that_can_change() {
    let mut service = Service::start().await;
    let flag = service.flag(make::flag("gate")).await;
    for path in ["version", "type", "key", "nmae", "variations.value", "created_at"] {
        let failure = invalid(
            update(&mut service, flag.clone(), &[path]).await,
            &[("update_mask", "UNKNOWN_FIELD")],
        );
        assert!(
            failure.message.contains(path) && failure.message.contains("default_value"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn default_and_first_variation_stay_equal() {
    let mut service = Service::start().await;
    let flag = service.flag(make::flag("gate")).await;
    let on = pb::Flag {
        default_value: boolean(true),
        ..flag
    };
    let on = update(&mut service, on, &["default_value"]).await.unwrap();
    assert_eq!(
        (on.variations[0].key.as_str(), on.default_value.clone()),
        ("on", boolean(true))
    );

    let one = service
        .flag(pb::Flag {
            key: "price".to_owned(),
            default_value: number(1.0),
            ..Default::default()
        })
        .await;
    assert_eq!(
        (one.variations.len(), one.variations[0].key.as_str()),
        (1, "control")
    );
    let two = pb::Flag {
        default_value: number(2.0),
        ..one
    };
    let two = update(&mut service, two, &["default_value"]).await.unwrap();
    assert_eq!(
        (two.variations.len(), two.variations[0].value.clone()),
        (1, number(2.0))
    );

    let variations = vec![variation("low", number(3.0)), variation("high", number(4.0))];
    let three = update(&mut service, pb::Flag { variations, ..two }, &["variations"])
        .await
        .unwrap();
    assert_eq!((three.variations.len(), three.default_value), (2, number(3.0)));
}

#[tokio::test]
async fn the_type_is_fixed() {
    let mut service = Service::start().await;
    let flag = service.flag(make::flag("gate")).await;
    let mut asked = pb::Flag {
        variations: vec![variation("a", text("a"))],
        default_value: text("a"),
        ..flag
    };
    asked.set_type(pb::FlagType::String);
    invalid(update(&mut service, asked, &[]).await, &[("type", "FIXED")]);
}

#[tokio::test]
async fn overrides_name_segments_that_exist_and_hide_no_live_experiment() {
    let mut service = Service::start().await;
    let overridden = |flag: pb::Flag| {
        let hit = pb::SegmentOverride {
            segment_key: "ios".to_owned(),
            value: boolean(true),
        };
        pb::Flag {
            segment_overrides: vec![hit],
            ..flag
        }
    };
    let flag = service.flag(make::flag("gate")).await;
    let missing = update(&mut service, overridden(flag.clone()), &["segment_overrides"]).await;
    invalid(
        missing,
        &[("segment_overrides[0].segment_key", "SEGMENT_NOT_FOUND")],
    );

    service.segment(make::segment("ios", "ios")).await;
    service.metric(make::retention("retention_7")).await;
    let ready = pb::Experiment {
        segment_key: "ios".to_owned(),
        ..make::ready_on("gate-test", "gate")
    };
    let draft = service.experiment(ready).await;
    let running = service.try_start(&draft).await.unwrap().experiment.unwrap();
    assert_eq!(running.segment_version, 1);

    let conflict = update(&mut service, overridden(flag.clone()), &["segment_overrides"]).await;
    let failure = refused(conflict, Code::FailedPrecondition, "OVERRIDE_CONFLICT");
    assert_eq!(
        (fact(&failure, "experiment"), fact(&failure, "segment")),
        ("gate-test", "ios")
    );

    let default = pb::Flag {
        default_value: boolean(true),
        ..flag
    };
    update(&mut service, default, &["default_value"]).await.unwrap();
    assert_eq!(
        service.get("gate-test").await.variants[0].value,
        boolean(false),
        "the control stays pinned"
    );
}

#[tokio::test]
async fn a_flag_in_use_is_kept() {
    let mut service = Service::start().await;
    service.flag(make::flag("gate")).await;
    service
        .experiment(pb::Experiment {
            metrics: Vec::new(),
            ..make::ready_on("a", "gate")
        })
        .await;
    let failure = refused(
        delete(&mut service, "gate", 1).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    assert_eq!(fact(&failure, "by"), "experiment/a");
}

#[tokio::test]
async fn an_override_never_hides_an_experiment_that_starts_meanwhile() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    service.segment(make::segment("ios", "ios")).await;
    let mut won = [0, 0];
    for n in 0..10 {
        let key = format!("f{n}");
        let flag = service.flag(make::flag(&key)).await;
        let hit = pb::SegmentOverride {
            segment_key: "ios".to_owned(),
            value: boolean(true),
        };
        let request = pb::UpdateFlagRequest {
            flag: Some(pb::Flag {
                segment_overrides: vec![hit],
                ..flag
            }),
            update_mask: mask(&["segment_overrides"]),
        };
        let mut flags = service.flags.clone();
        // The experiment does not exist yet when the update is asked for.
        let starting = async {
            let ready = pb::Experiment {
                segment_key: "ios".to_owned(),
                ..make::ready_on(&format!("e{n}"), &key)
            };
            let created = service.try_experiment(ready).await?;
            service.try_start(&created.experiment.unwrap()).await
        };
        let (overridden, started) = tokio::join!(flags.update_flag(request), starting);
        assert!(overridden.is_err() || started.is_err(), "{n}: both have won");
        won[0] += usize::from(overridden.is_ok());
        won[1] += usize::from(started.is_ok());
    }
    assert_eq!(won[0] + won[1], 10, "one of the two wins each time: {won:?}");
}

#[tokio::test]
async fn a_target_path_is_checked_kept_and_cleared() {
    let mut service = Service::start().await;
    let with = |path: &str| pb::Flag {
        target_path: path.to_owned(),
        ..make::flag("gems")
    };
    let wrong = pb::CreateFlagRequest {
        flag: Some(pb::Flag {
            source: pb::FlagSource::Discovered.into(),
            ..with("$.data.gems")
        }),
    };
    let failure = invalid(
        service.flags.create_flag(wrong).await,
        &[("target_path", "TARGET_PATH"), ("source", "RESERVED")],
    );
    assert!(
        failure.violations[0].description.contains("'$' at character 1"),
        "{failure:?}"
    );

    let flag = service.flag(with("data.gems_reward")).await;
    assert_eq!(
        (flag.target_path.as_str(), flag.source()),
        ("data.gems_reward", pb::FlagSource::Manual)
    );
    let other = update(
        &mut service,
        pb::Flag {
            name: "Gems".to_owned(),
            ..flag.clone()
        },
        &["name"],
    )
    .await
    .unwrap();
    assert_eq!(other.target_path, "data.gems_reward");
    let cleared = pb::Flag {
        target_path: String::new(),
        ..other
    };
    let cleared = update(&mut service, cleared, &["target_path"]).await.unwrap();
    assert_eq!((cleared.target_path.as_str(), cleared.version), ("", 3));
}

#[tokio::test]
async fn values_are_of_the_type_of_the_flag() {
    let mut service = Service::start().await;
    let list = Some(prost_types::Value {
        kind: Some(prost_types::value::Kind::ListValue(prost_types::ListValue {
            values: vec![],
        })),
    });
    let of = |r#type: pb::FlagType, value| pb::CreateFlagRequest {
        flag: Some(pb::Flag {
            key: "typed".to_owned(),
            r#type: r#type.into(),
            variations: vec![variation("control", value)],
            ..Default::default()
        }),
    };
    let values = [boolean(true), text("x"), number(1.0), list];
    let types = [
        pb::FlagType::Boolean,
        pb::FlagType::String,
        pb::FlagType::Number,
        pb::FlagType::Json,
    ];
    for (i, value) in values.iter().enumerate() {
        for (j, r#type) in types.into_iter().enumerate() {
            let created = service.flags.create_flag(of(r#type, value.clone())).await;
            if i == j {
                let flag = created.unwrap().into_inner().flag.unwrap();
                delete(&mut service, "typed", flag.version).await.unwrap();
            } else {
                let both = [
                    ("variations[0].value", "TYPE_MISMATCH"),
                    ("default_value", "TYPE_MISMATCH"),
                ];
                invalid(created, &both);
            }
        }
    }
}
