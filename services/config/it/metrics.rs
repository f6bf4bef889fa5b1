use assay_platform::Code;
use assay_proto::config::v1::{self as pb, metric::Kind};

use crate::support::{
    Service, fact, invalid,
    make::{self, mask},
    refused,
};

async fn update(
    service: &mut Service,
    metric: pb::Metric,
    paths: &[&str],
) -> Result<pb::Metric, tonic::Status> {
    let request = pb::UpdateMetricRequest {
        metric: Some(metric),
        update_mask: mask(paths),
    };
    service
        .metrics
        .update_metric(request)
        .await
        .map(|response| response.into_inner().metric.unwrap())
}

async fn delete(service: &mut Service, key: &str, version: u64) -> Result<(), tonic::Status> {
    let request = pb::DeleteMetricRequest {
        namespace: String::new(),
        key: key.to_owned(),
        version,
    };
    service.metrics.delete_metric(request).await.map(drop)
}

fn scalar(event: &str) -> Option<Kind> {
    Some(Kind::Scalar(pb::ScalarMetric {
        event: event.to_owned(),
        aggregation: 0,
        window: None,
    }))
}

#[tokio::test]
async fn a_metric_is_created_read_changed_and_deleted() {
    let mut service = Service::start().await;
    let created = service.metric(make::retention("retention_7")).await;
    let request = pb::GetMetricRequest {
        namespace: String::new(),
        key: "retention_7".to_owned(),
    };
    assert_eq!(
        service
            .metrics
            .get_metric(request)
            .await
            .unwrap()
            .into_inner()
            .metric,
        Some(created.clone())
    );

    let asked = pb::Metric {
        kind: scalar("purchase"),
        unit: "USD".to_owned(),
        name: "passed over".to_owned(),
        ..created
    };
    let updated = update(&mut service, asked, &["scalar", "unit"]).await.unwrap();
    assert!(matches!(&updated.kind, Some(Kind::Scalar(scalar)) if scalar.event == "purchase"));
    assert_eq!(
        (updated.unit.as_str(), updated.name.as_str(), updated.version),
        ("USD", "", 2)
    );
    delete(&mut service, "retention_7", 2).await.unwrap();
}

#[tokio::test]
async fn wrong_fields_are_refused() {
    let mut service = Service::start().await;
    let kinds = [
        (None, ("kind", "REQUIRED")),
        (scalar(""), ("scalar.event", "REQUIRED")),
        (
            Some(Kind::Retention(pb::RetentionMetric {
                event: String::new(),
                day: 0,
                width_days: 0,
            })),
            ("retention.day", "DAYS_RANGE"),
        ),
    ];
    for (kind, wrong) in kinds {
        let request = pb::CreateMetricRequest {
            metric: Some(pb::Metric {
                kind,
                ..make::retention("m")
            }),
        };
        invalid(service.metrics.create_metric(request).await, &[wrong]);
    }
}

#[tokio::test]
async fn what_an_experiment_measures_is_fixed_and_kept() {
    let mut service = Service::start().await;
    let metric = service.metric(make::retention("retention_7")).await;
    service.experiment(make::ready("a")).await;

    let other = pb::Metric {
        kind: scalar("purchase"),
        ..metric.clone()
    };
    let failure = refused(
        update(&mut service, other, &[]).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
    assert_eq!(fact(&failure, "by"), "experiment/a");
    let named = pb::Metric {
        name: "Day 7".to_owned(),
        ..metric
    };
    assert_eq!(update(&mut service, named, &[]).await.unwrap().version, 2);
    refused(
        delete(&mut service, "retention_7", 2).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
}
