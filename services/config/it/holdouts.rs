//! Holdouts: whom experiments leave alone, and what these keep.

use assay_platform::Code;
use assay_proto::config::v1 as pb;

use crate::support::{Service, fact, invalid, make, refused};

async fn create(service: &mut Service, key: &str, layers: &[&str]) -> Result<pb::Holdout, tonic::Status> {
    let holdout = pb::Holdout {
        key: key.to_owned(),
        share: 500,
        layer_keys: layers.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    let request = pb::CreateHoldoutRequest {
        holdout: Some(holdout),
    };
    let created = service.holdouts.create_holdout(request).await?;
    Ok(created.into_inner().holdout.unwrap())
}

async fn delete(service: &mut Service, holdout: &pb::Holdout) -> Result<(), tonic::Status> {
    let request = pb::DeleteHoldoutRequest {
        namespace: String::new(),
        key: holdout.key.clone(),
        version: holdout.version,
    };
    service.holdouts.delete_holdout(request).await.map(drop)
}

async fn update(service: &mut Service, holdout: pb::Holdout) -> Result<pb::Holdout, tonic::Status> {
    let request = pb::UpdateHoldoutRequest {
        holdout: Some(holdout),
        update_mask: None,
    };
    let updated = service.holdouts.update_holdout(request).await?;
    Ok(updated.into_inner().holdout.unwrap())
}

async fn win(service: &mut Service, experiment: &pb::Experiment) -> pb::DeclareWinnerResponse {
    let request = pb::DeclareWinnerRequest {
        key: experiment.key.clone(),
        version: experiment.version,
        reason: "it helps".to_owned(),
        variant_key: "on".to_owned(),
        force: true,
        ..Default::default()
    };
    service
        .experiments
        .declare_winner(request)
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn an_experiment_pins_the_holdouts_that_cover_it_when_it_starts() {
    let mut service = Service::start().await;
    let layer = pb::Layer {
        key: "checkout".to_owned(),
        ..Default::default()
    };
    service
        .layers
        .create_layer(pb::CreateLayerRequest { layer: Some(layer) })
        .await
        .unwrap();
    create(&mut service, "all", &[]).await.unwrap();
    create(&mut service, "layered", &["checkout"]).await.unwrap();
    let outside = service.running("outside").await;
    assert_eq!(outside.holdout_keys, ["all"]);
    let inside = pb::Experiment {
        layer_key: "checkout".to_owned(),
        ..make::ready("inside")
    };
    let inside = service.experiment(inside).await;
    assert_eq!(inside.holdout_keys, [""; 0]);
    let inside = service.try_start(&inside).await.unwrap().experiment.unwrap();
    assert_eq!(inside.holdout_keys, ["all", "layered"]);
    create(&mut service, "late", &[]).await.unwrap();
    assert_eq!(service.get("outside").await.holdout_keys, ["all"]);
}

#[tokio::test]
async fn whom_a_holdout_holds_is_fixed_while_experiments_rely_on_it() {
    let mut service = Service::start().await;
    let holdout = create(&mut service, "h", &[]).await.unwrap();
    service.running("a").await;
    let wider = pb::Holdout {
        share: 1_000,
        ..holdout.clone()
    };
    let failure = refused(
        update(&mut service, wider).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    assert_eq!(fact(&failure, "by"), "experiment/a");
    refused(
        delete(&mut service, &holdout).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    let named = pb::Holdout {
        name: "2026".to_owned(),
        ..holdout
    };
    assert_eq!(update(&mut service, named).await.unwrap().version, 2);
}

#[tokio::test]
async fn a_winner_leaves_the_old_default_to_the_holdout_until_it_is_deleted() {
    let mut service = Service::start().await;
    let holdout = create(&mut service, "h", &[]).await.unwrap();
    let running = service.running("a").await;
    let won = win(&mut service, &running).await;
    let flag = won.flag.unwrap();
    assert_eq!(
        (flag.default_value, flag.held_defaults.len()),
        (make::boolean(true), 1)
    );
    assert_eq!(flag.held_defaults[0].value, make::boolean(false));

    // Undo brings that back, too.
    let completed = won.experiment.unwrap();
    let request = pb::UndoExperimentRequest {
        key: completed.key,
        version: completed.version,
        ..Default::default()
    };
    let undone = service
        .experiments
        .undo_experiment(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(undone.flag.unwrap().held_defaults, []);
    win(&mut service, &undone.experiment.unwrap()).await;

    let wider = pb::Holdout {
        share: 1_000,
        ..holdout.clone()
    };
    let failure = refused(
        update(&mut service, wider).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    assert_eq!(fact(&failure, "by"), "experiment/a,flag/a");
    // Undo would need it as it was.
    refused(
        delete(&mut service, &holdout).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    service.clock.advance(std::time::Duration::from_secs(61));
    delete(&mut service, &holdout).await.unwrap();
    let request = pb::GetFlagRequest {
        namespace: String::new(),
        key: "a".to_owned(),
    };
    let flag = service
        .flags
        .get_flag(request)
        .await
        .unwrap()
        .into_inner()
        .flag
        .unwrap();
    assert_eq!(flag.held_defaults, []);
}

#[tokio::test]
async fn wrong_fields_are_refused() {
    let mut service = Service::start().await;
    invalid(
        create(&mut service, "h", &["nope"]).await,
        &[("layer_keys[0]", "LAYER_NOT_FOUND")],
    );
    let request = |share| pb::CreateHoldoutRequest {
        holdout: Some(pb::Holdout {
            key: "h".to_owned(),
            share,
            ..Default::default()
        }),
    };
    for share in [0, 10_000, 10_001] {
        invalid(
            service.holdouts.create_holdout(request(share)).await,
            &[("share", "SHARE_RANGE")],
        );
    }
}
