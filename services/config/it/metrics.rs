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
        ..Default::default()
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
                ..Default::default()
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
async fn what_a_started_experiment_measures_is_fixed_and_kept() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    let running = service.running("a").await;
    assert_eq!(running.metrics[0].metric_key, "retention_7");
    let metric = stored(&mut service, "retention_7").await;

    let changes = [
        pb::Metric {
            kind: scalar("purchase"),
            ..metric.clone()
        },
        pb::Metric {
            direction: pb::Direction::Decrease.into(),
            ..metric.clone()
        },
    ];
    for other in changes {
        let failure = refused(
            update(&mut service, other, &[]).await,
            Code::FailedPrecondition,
            "IN_USE",
        );
        assert_eq!(fact(&failure, "by"), "experiment/a");
    }
    let named = pb::Metric {
        name: "Day 7".to_owned(),
        ..metric.clone()
    };
    let named = update(&mut service, named, &[]).await.unwrap();
    assert_eq!(named.version, metric.version + 1);
    refused(
        delete(&mut service, "retention_7", named.version).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
}

#[tokio::test]
async fn what_a_draft_measures_can_still_be_changed() {
    let mut service = Service::start().await;
    let metric = service.metric(make::retention("retention_7")).await;
    service.experiment(make::ready("a")).await;
    let other = pb::Metric {
        kind: scalar("purchase"),
        cap: Some(99.5),
        ..metric
    };
    let updated = update(&mut service, other, &[]).await.unwrap();
    assert_eq!((updated.version, updated.cap), (2, Some(99.5)));
    refused(
        delete(&mut service, "retention_7", 2).await,
        Code::FailedPrecondition,
        "IN_USE",
    );
}

async fn stored(service: &mut Service, key: &str) -> pb::Metric {
    let request = pb::GetMetricRequest {
        namespace: String::new(),
        key: key.to_owned(),
    };
    let answer = service.metrics.get_metric(request).await.unwrap();
    answer.into_inner().metric.unwrap()
}

fn quantity(event: &str, aggregation: pb::Aggregation) -> Option<pb::Quantity> {
    Some(pb::Quantity {
        event: event.to_owned(),
        aggregation: aggregation.into(),
        ..Default::default()
    })
}

#[tokio::test]
async fn ratios_and_quantiles_are_kept_as_they_were_given() {
    let mut service = Service::start().await;
    let filter = make::segment("s", "ios").rules.remove(0);
    let mut numerator = quantity("purchase", pb::Aggregation::Sum);
    numerator.as_mut().unwrap().filters = vec![filter];
    numerator.as_mut().unwrap().value_property = "amount".to_owned();
    let kinds = [
        Kind::Ratio(pb::RatioMetric {
            numerator,
            denominator: quantity("visit", pb::Aggregation::Count),
            window: None,
        }),
        Kind::Quantile(pb::QuantileMetric {
            quantity: quantity("load", pb::Aggregation::Max),
            quantile: 0.95,
            window: None,
        }),
    ];
    for (i, kind) in kinds.into_iter().enumerate() {
        let metric = pb::Metric {
            key: format!("m{i}"),
            kind: Some(kind.clone()),
            unit: "USD".to_owned(),
            ..Default::default()
        };
        service.metric(metric).await;
        let stored = stored(&mut service, &format!("m{i}")).await;
        assert_eq!(stored.kind, Some(kind));
        assert_eq!(stored.source(), pb::MetricSource::Stream);
    }
}

#[tokio::test]
async fn options_that_say_nothing_about_the_kind_are_refused_all_at_once() {
    let mut service = Service::start().await;
    let mut create = async |metric| {
        let request = pb::CreateMetricRequest { metric: Some(metric) };
        service.metrics.create_metric(request).await
    };
    let share = pb::Metric {
        unit: "USD".to_owned(),
        cap: Some(5.0),
        ..make::retention("m")
    };
    let expected = [("unit", "UNIT_NOT_APPLICABLE"), ("cap", "CAP_NOT_APPLICABLE")];
    invalid(create(share).await, &expected);
    let counted = Kind::Scalar(pb::ScalarMetric {
        event: "purchase".to_owned(),
        aggregation: pb::Aggregation::Count.into(),
        value_property: "amount".to_owned(),
        ..Default::default()
    });
    let counted = pb::Metric {
        kind: Some(counted),
        cap: Some(0.0),
        ..make::retention("m")
    };
    let expected = [
        ("scalar.value_property", "VALUE_PROPERTY_NOT_APPLICABLE"),
        ("cap", "CAP_RANGE"),
    ];
    invalid(create(counted).await, &expected);
    let elsewhere = pb::Metric {
        source: pb::MetricSource::Warehouse.into(),
        ..make::retention("m")
    };
    invalid(create(elsewhere).await, &[("source", "SOURCE_NOT_SUPPORTED")]);
    let group = pb::Rule {
        all_of: make::segment("s", "ios").rules,
        ..Default::default()
    };
    let grouped = Kind::Conversion(pb::ConversionMetric {
        event: "purchase".to_owned(),
        filters: vec![group],
        ..Default::default()
    });
    let grouped = pb::Metric {
        kind: Some(grouped),
        ..make::retention("m")
    };
    invalid(
        create(grouped).await,
        &[("conversion.filters[0]", "FILTER_IS_COMPARISON")],
    );
}

#[tokio::test]
async fn a_margin_is_kept_with_a_guardrail_and_refused_with_others() {
    let mut service = Service::start().await;
    service.metric(make::retention("retention_7")).await;
    let listed = |role: pb::MetricRole, margin| pb::Experiment {
        metrics: vec![pb::ExperimentMetric {
            role: role.into(),
            margin: Some(margin),
            ..make::primary("retention_7")
        }],
        ..make::ready("a")
    };
    let refusals = [
        (pb::MetricRole::Primary, 0.02, "MARGIN_NOT_APPLICABLE"),
        (pb::MetricRole::Guardrail, 1.0, "MARGIN_RANGE"),
    ];
    for (role, margin, rule) in refusals {
        invalid(
            service.try_experiment(listed(role, margin)).await,
            &[("metrics[0].margin", rule)],
        );
    }
    let kept = service.experiment(listed(pb::MetricRole::Guardrail, 0.02)).await;
    assert_eq!(kept.metrics[0].margin, Some(0.02));
}
