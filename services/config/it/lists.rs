use assay_proto::config::v1 as pb;

use crate::support::{Service, invalid, make};

async fn flags(
    service: &mut Service,
    page_size: i32,
    page_token: &str,
) -> Result<(Vec<String>, String), tonic::Status> {
    let request = pb::ListFlagsRequest {
        namespace: String::new(),
        page_size,
        page_token: page_token.to_owned(),
    };
    let page = service.flags.list_flags(request).await?.into_inner();
    Ok((
        page.flags.into_iter().map(|flag| flag.key).collect(),
        page.next_page_token,
    ))
}

#[tokio::test]
async fn pages_follow_each_other_in_order_of_key() {
    let mut service = Service::start().await;
    for key in ["c", "a", "e", "b", "d"] {
        service.flag(make::flag(key)).await;
    }
    let (first, token) = flags(&mut service, 2, "").await.unwrap();
    let (second, token) = flags(&mut service, 2, &token).await.unwrap();
    let (third, end) = flags(&mut service, 2, &token).await.unwrap();
    assert_eq!(
        (first, second, third, end.as_str()),
        (
            vec!["a".into(), "b".into()],
            vec!["c".into(), "d".into()],
            vec!["e".into()],
            ""
        )
    );
    assert_eq!(flags(&mut service, 0, "").await.unwrap().0.len(), 5);
    assert_eq!(flags(&mut service, 1_000, "").await.unwrap().0.len(), 5);
}

#[tokio::test]
async fn wrong_pages_are_refused() {
    let mut service = Service::start().await;
    service.flag(make::flag("a")).await;
    service.flag(make::flag("b")).await;
    for size in [-1, 1_001, i32::MIN] {
        invalid(flags(&mut service, size, "").await, &[("page_size", "PAGE_SIZE")]);
    }
    let (_, token) = flags(&mut service, 1, "").await.unwrap();
    for bad in ["x", "a", &token[1..]] {
        invalid(flags(&mut service, 1, bad).await, &[("page_token", "PAGE_TOKEN")]);
    }
    let request = pb::ListSegmentsRequest {
        page_token: token,
        ..Default::default()
    };
    invalid(
        service.segments.list_segments(request).await,
        &[("page_token", "PAGE_TOKEN")],
    );
}

async fn experiments(service: &mut Service, states: &[pb::ExperimentState], flag: &str) -> Vec<String> {
    let request = pb::ListExperimentsRequest {
        states: states.iter().map(|state| *state as i32).collect(),
        flag_key: flag.to_owned(),
        ..Default::default()
    };
    let page = service
        .experiments
        .list_experiments(request)
        .await
        .unwrap()
        .into_inner();
    page.experiments
        .into_iter()
        .map(|experiment| experiment.key)
        .collect()
}

#[tokio::test]
async fn experiments_are_filtered_by_state_and_flag() {
    use pb::ExperimentState::{Draft, Running};
    let mut service = Service::start().await;
    service.running("a").await;
    service.experiment(make::ready("b")).await;
    assert_eq!(experiments(&mut service, &[], "").await, ["a", "b"]);
    assert_eq!(experiments(&mut service, &[Running], "").await, ["a"]);
    assert_eq!(experiments(&mut service, &[Draft, Running], "b").await, ["b"]);
    assert!(experiments(&mut service, &[Draft], "a").await.is_empty());

    let request = pb::ListExperimentsRequest {
        states: vec![1, 99],
        ..Default::default()
    };
    invalid(
        service.experiments.list_experiments(request).await,
        &[("states[1]", "UNKNOWN_VALUE")],
    );
}

#[tokio::test]
async fn other_resources_are_listed_too() {
    let mut service = Service::start().await;
    service.segment(make::segment("ios", "ios")).await;
    service.metric(make::retention("retention_7")).await;
    let segments = service
        .segments
        .list_segments(pb::ListSegmentsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let metrics = service
        .metrics
        .list_metrics(pb::ListMetricsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (segments.segments[0].key.as_str(), metrics.metrics[0].key.as_str()),
        ("ios", "retention_7")
    );
}
