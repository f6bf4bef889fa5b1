//! Lists of experiments: by owner, tags and text; stable while others write; and what they say of drift.

use assay_proto::config::v1 as pb;

use crate::support::{
    Service, invalid,
    make::{self, boolean, mask},
};

async fn list(
    service: &mut Service,
    request: pb::ListExperimentsRequest,
) -> Result<(Vec<String>, String), tonic::Status> {
    let page = service.experiments.list_experiments(request).await?.into_inner();
    Ok((
        page.experiments.into_iter().map(|e| e.key).collect(),
        page.next_page_token,
    ))
}

#[tokio::test]
async fn experiments_are_found_by_owner_tags_and_text() {
    let mut service = Service::start().await;
    let make = |key: &str, owner: &str, tags: &[&str]| pb::Experiment {
        owner: owner.to_owned(),
        tags: tags.iter().map(ToString::to_string).collect(),
        description: format!("About {key}s"),
        ..make::draft(key)
    };
    service.experiment(make("gate", "ann", &["q4", "gates"])).await;
    service.experiment(make("price", "ann", &["q4"])).await;
    service.experiment(make("title", "bob", &[])).await;
    let mut find = async |owner: &str, tags: &[&str], text: &str| {
        let request = pb::ListExperimentsRequest {
            owner: owner.to_owned(),
            tags: tags.iter().map(ToString::to_string).collect(),
            text: text.to_owned(),
            ..Default::default()
        };
        list(&mut service, request).await.unwrap().0
    };
    assert_eq!(find("ann", &[], "").await, ["gate", "price"]);
    assert_eq!(find("ann", &["gates"], "").await, ["gate"]);
    assert_eq!(find("", &[], "about PRI").await, ["price"]);
    assert!(find("bob", &["q4"], "").await.is_empty());

    let long = pb::ListExperimentsRequest {
        tags: vec![String::new(); 9],
        text: "a-b-c-d-e-f-g-h-i".to_owned(),
        ..Default::default()
    };
    let wrong = [("tags", "TOO_MANY"), ("text", "TEXT_TOO_LONG")];
    invalid(list(&mut service, long).await, &wrong);
}

#[tokio::test]
async fn pages_are_stable_while_others_write_and_go_on_with_their_own_list_only() {
    let mut service = Service::start().await;
    for key in ["b", "d", "f", "h"] {
        service.experiment(make::draft(key)).await;
    }
    let request = pb::ListExperimentsRequest {
        page_size: 2,
        ..Default::default()
    };
    let (first, page_token) = list(&mut service, request.clone()).await.unwrap();
    assert_eq!(first, ["b", "d"]);
    for key in ["a", "c", "g"] {
        service.experiment(make::draft(key)).await;
    }
    let next = pb::ListExperimentsRequest {
        page_token,
        ..request
    };
    let (second, _) = list(&mut service, next.clone()).await.unwrap();
    assert_eq!(second, ["f", "g"], "nothing twice, nothing left out");
    let other = pb::ListExperimentsRequest {
        text: "x".to_owned(),
        ..next
    };
    invalid(list(&mut service, other).await, &[("page_token", "PAGE_TOKEN")]);
}

#[tokio::test]
async fn a_default_that_moved_is_seen_as_drift_of_the_control() {
    let mut service = Service::start().await;
    let running = service.running("a").await;
    assert_eq!(service.get("a").await.control_drift, None);
    let request = pb::GetFlagRequest {
        key: "a".to_owned(),
        ..Default::default()
    };
    let flag = service
        .flags
        .get_flag(request)
        .await
        .unwrap()
        .into_inner()
        .flag
        .unwrap();
    let request = pb::UpdateFlagRequest {
        flag: Some(pb::Flag {
            default_value: boolean(true),
            ..flag
        }),
        update_mask: mask(&["default_value"]),
    };
    service.flags.update_flag(request).await.unwrap();
    let drift = pb::ControlDrift {
        pinned_value: boolean(false),
        default_value: boolean(true),
    };
    let found = service.get("a").await;
    assert_eq!(
        (&found.control_drift, &found.variants),
        (&Some(drift.clone()), &running.variants)
    );
    let request = pb::ListExperimentsRequest::default();
    let listed = service
        .experiments
        .list_experiments(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.experiments[0].control_drift, Some(drift));
}
