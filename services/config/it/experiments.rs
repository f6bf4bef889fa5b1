//! Writing an experiment: create, update, validate.

use assay_platform::Code;
use assay_proto::config::v1 as pb;
use prost_types::Timestamp;

use crate::support::{
    NOW, Service, invalid,
    make::{self, boolean, number, text, variant, variation},
    refused,
};

async fn get_flag(service: &mut Service, key: &str) -> pb::Flag {
    let request = pb::GetFlagRequest {
        namespace: String::new(),
        key: key.to_owned(),
    };
    service
        .flags
        .get_flag(request)
        .await
        .unwrap()
        .into_inner()
        .flag
        .unwrap()
}

/// A draft with the variations of `flag`.
fn on(key: &str, flag: &str) -> pb::Experiment {
    pb::Experiment {
        metrics: Vec::new(),
        ..make::ready_on(key, flag)
    }
}

#[tokio::test]
async fn without_a_flag_it_gets_one_of_its_own_in_the_same_change() {
    let mut service = Service::start().await;
    let asked = pb::Experiment {
        version: 7,
        salt: "mine".to_owned(),
        state: pb::ExperimentState::Running.into(),
        ..make::draft("gate-test")
    };
    let experiment = service.experiment(asked).await;
    assert_eq!(
        (experiment.version, experiment.generation, experiment.state()),
        (1, 1, pb::ExperimentState::Draft)
    );
    assert_eq!(
        (experiment.flag_key.as_str(), experiment.unit_kind.as_str()),
        ("gate-test", "user")
    );
    assert_eq!((experiment.coverage, experiment.confidence), (Some(10_000), 0.95));
    assert_eq!(
        experiment.variants.iter().map(|v| v.weight).collect::<Vec<_>>(),
        [5_000, 5_000]
    );
    assert!(
        experiment.salt.len() == 32 && experiment.salt.bytes().all(|b| b.is_ascii_hexdigit()),
        "{}",
        experiment.salt
    );

    let flag = get_flag(&mut service, "gate-test").await;
    assert_eq!(
        (flag.generation, flag.r#type(), flag.default_value),
        (1, pb::FlagType::Boolean, boolean(false))
    );
    assert_eq!(
        flag.variations.iter().map(|v| v.key.as_str()).collect::<Vec<_>>(),
        ["off", "on"]
    );
    let actions = [
        pb::LifecycleAction::Start,
        pb::LifecycleAction::Delete,
        pb::LifecycleAction::Duplicate,
    ];
    assert_eq!(experiment.allowed_actions().collect::<Vec<_>>(), actions);
}

#[tokio::test]
async fn it_never_takes_a_flag_by_accident() {
    let mut service = Service::start().await;
    service.flag(make::flag("gate")).await;
    let failure = invalid(
        service.try_experiment(make::draft("gate")).await,
        &[("flag_key", "FLAG_EXISTS")],
    );
    assert!(failure.message.contains("set it to `gate`"), "{failure}");
    let missing = pb::Experiment {
        flag_key: "nope".to_owned(),
        ..make::draft("a")
    };
    invalid(
        service.try_experiment(missing).await,
        &[("flag_key", "FLAG_NOT_FOUND")],
    );
    let bare = pb::Experiment {
        variants: Vec::new(),
        ..make::draft("bare")
    };
    invalid(
        service.try_experiment(bare).await,
        &[("variants", "VARIANT_REQUIRED")],
    );
    service.experiment(make::draft("a")).await;
    refused(
        service
            .try_experiment(pb::Experiment {
                flag_key: "gate".to_owned(),
                ..make::draft("a")
            })
            .await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
    );
}

#[tokio::test]
async fn with_a_flag_it_has_its_variations_and_its_default_is_pinned() {
    let mut service = Service::start().await;
    let variations = vec![
        variation("a", number(1.0)),
        variation("b", number(2.0)),
        variation("c", number(3.0)),
    ];
    service
        .flag(pb::Flag {
            variations,
            ..make::flag("price")
        })
        .await;
    let experiment = service.experiment(on("test", "price")).await;
    let found: Vec<_> = experiment
        .variants
        .iter()
        .map(|v| (v.key.as_str(), v.weight))
        .collect();
    assert_eq!(found, [("a", 3_334), ("b", 3_333), ("c", 3_333)]);

    let own = vec![variant("control", None), variant("dear", number(9.0))];
    let asked = pb::Experiment {
        flag_key: "price".to_owned(),
        variants: own,
        ..make::draft("own")
    };
    let experiment = service.experiment(asked.clone()).await;
    assert_eq!(experiment.variants[0].value, number(1.0));

    let variants = vec![variant("control", number(8.0)), variant("dear", number(9.0))];
    let other = pb::Experiment {
        key: "other".to_owned(),
        variants,
        ..asked
    };
    invalid(
        service.try_experiment(other).await,
        &[("variants[0].value", "CONTROL_PINNED")],
    );
}

#[tokio::test]
async fn a_flag_with_one_variation_needs_variants_of_the_experiments_own() {
    let mut service = Service::start().await;
    service
        .flag(pb::Flag {
            key: "title".to_owned(),
            default_value: text("Hi"),
            ..Default::default()
        })
        .await;
    let bare = on("a", "title");
    let failure = invalid(
        service.try_experiment(bare).await,
        &[("variants", "SINGLE_VARIANT")],
    );
    assert!(failure.message.contains("add a second variation"), "{failure}");
    let own = vec![variant("control", None), variant("warm", text("Hello"))];
    service
        .experiment(pb::Experiment {
            flag_key: "title".to_owned(),
            variants: own,
            ..make::draft("a")
        })
        .await;
}

#[tokio::test]
async fn wrong_fields_are_told_all_at_once() {
    let mut service = Service::start().await;
    let mut asked = pb::Experiment {
        key: "a b".to_owned(),
        confidence: 2.0,
        coverage: Some(10_001),
        ..make::draft("")
    };
    asked.variants[0].weight = 9_000;
    let wrong = [
        ("variants", "WEIGHTS_SUM"),
        ("key", "KEY_CHARACTER"),
        ("coverage", "COVERAGE_RANGE"),
        ("confidence", "CONFIDENCE_RANGE"),
    ];
    invalid(service.try_experiment(asked).await, &wrong);

    let asked = pb::Experiment {
        segment_key: "ios".to_owned(),
        metrics: vec![make::primary("m")],
        ..make::draft("a")
    };
    let wrong = [
        ("segment_key", "SEGMENT_NOT_FOUND"),
        ("metrics[0].metric_key", "METRIC_NOT_FOUND"),
    ];
    invalid(service.try_experiment(asked).await, &wrong);

    let mut imported = make::draft("imported");
    imported.set_assignment_source(pb::AssignmentSource::Imported);
    let wrong = [("start_time", "DATES_REQUIRED"), ("end_time", "DATES_REQUIRED")];
    invalid(service.try_experiment(imported).await, &wrong);
}

#[tokio::test]
async fn an_imported_experiment_runs_beside_others_on_its_flag() {
    let mut service = Service::start().await;
    service.flag(make::flag("gate")).await;
    service.metric(make::retention("retention_7")).await;
    let served = service.experiment(make::ready_on("served", "gate")).await;
    service.try_start(&served).await.unwrap();
    let day = |n: i64| {
        Some(Timestamp {
            seconds: NOW / 1_000_000 + n * 86_400,
            nanos: 0,
        })
    };
    let mut imported = make::ready_on("imported", "gate");
    imported.set_assignment_source(pb::AssignmentSource::Imported);
    let imported = pb::Experiment {
        start_time: day(-30),
        end_time: day(-10),
        ..imported
    };
    let draft = service.experiment(imported).await;
    let running = service.try_start(&draft).await.unwrap().experiment.unwrap();
    assert_eq!(
        (running.state(), running.start_time),
        (pb::ExperimentState::Running, day(-30))
    );
}
