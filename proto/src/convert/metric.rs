use std::time::Duration;

use assay_core::{
    key::MetricKey,
    metric::{Aggregation, Direction, Metric, MetricKind},
};

use super::{duration, duration_from, enum_from, key_from, meta_from, meta_time, namespace_from, required};
use crate::{analysis::v1 as analysis, config::v1 as pb, field::FieldErrors};

impl TryFrom<pb::Metric> for Metric {
    type Error = FieldErrors;

    fn try_from(metric: pb::Metric) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(metric.namespace, "namespace"));
        let key = errors.keep(key_from(metric.key, "key", MetricKey::new));
        let kind = errors.keep(required(metric.kind, "kind").and_then(kind_from));
        let direction = errors.keep(direction_from(metric.direction));
        let meta = errors.keep(meta_from(
            metric.version,
            metric.generation,
            metric.created_at,
            metric.updated_at,
        ));
        let made = || {
            Some(Self {
                namespace: namespace?,
                key: key?,
                name: metric.name,
                description: metric.description,
                kind: kind?,
                direction: direction?,
                unit: metric.unit,
                meta: meta?,
            })
        };
        let made = made();
        errors.finish(made)
    }
}

fn kind_from(kind: pb::metric::Kind) -> Result<MetricKind, FieldErrors> {
    match kind {
        pb::metric::Kind::Conversion(conversion) => {
            let event = event_from(conversion.event).map_err(|e| e.under("conversion"));
            let window = window_from(conversion.window).map_err(|e| e.under("conversion"));
            let mut errors = FieldErrors::default();
            let made = errors.keep(event).zip(errors.keep(window));
            errors.finish(made.map(|(event, window)| MetricKind::Conversion { event, window }))
        }
        pb::metric::Kind::Retention(retention) => Ok(MetricKind::Retention {
            event: (!retention.event.is_empty()).then_some(retention.event),
            day: retention.day,
            width_days: retention.width_days.max(1),
        }),
        pb::metric::Kind::Scalar(scalar) => {
            let mut errors = FieldErrors::default();
            let event = errors.keep(event_from(scalar.event).map_err(|e| e.under("scalar")));
            let aggregation = errors.keep(aggregation_from(scalar.aggregation));
            let window = errors.keep(window_from(scalar.window).map_err(|e| e.under("scalar")));
            let made = || {
                Some(MetricKind::Scalar {
                    event: event?,
                    aggregation: aggregation?,
                    window: window?,
                })
            };
            let made = made();
            errors.finish(made)
        }
    }
}

fn event_from(event: String) -> Result<String, FieldErrors> {
    if event.is_empty() {
        return Err(FieldErrors::one(
            "event",
            "REQUIRED",
            "is empty; name the event to look at",
        ));
    }
    Ok(event)
}

fn window_from(window: Option<prost_types::Duration>) -> Result<Option<Duration>, FieldErrors> {
    window.map(|window| duration_from(window, "window")).transpose()
}

fn aggregation_from(number: i32) -> Result<Aggregation, FieldErrors> {
    Ok(match enum_from(number, "scalar.aggregation")? {
        pb::Aggregation::Unspecified | pb::Aggregation::Sum => Aggregation::Sum,
        pb::Aggregation::Count => Aggregation::Count,
        pb::Aggregation::Max => Aggregation::Max,
        pb::Aggregation::Last => Aggregation::Last,
    })
}

fn direction_from(number: i32) -> Result<Direction, FieldErrors> {
    Ok(match enum_from(number, "direction")? {
        pb::Direction::Unspecified | pb::Direction::Increase => Direction::Increase,
        pb::Direction::Decrease => Direction::Decrease,
    })
}

impl From<&Metric> for pb::Metric {
    fn from(metric: &Metric) -> Self {
        Self {
            namespace: metric.namespace.to_string(),
            key: metric.key.to_string(),
            name: metric.name.clone(),
            description: metric.description.clone(),
            kind: Some((&metric.kind).into()),
            direction: pb::Direction::from(metric.direction).into(),
            unit: metric.unit.clone(),
            version: metric.meta.version,
            generation: metric.meta.generation,
            created_at: meta_time(metric.meta.created_at),
            updated_at: meta_time(metric.meta.updated_at),
        }
    }
}

impl From<&MetricKind> for pb::metric::Kind {
    fn from(kind: &MetricKind) -> Self {
        match kind {
            MetricKind::Conversion { event, window } => Self::Conversion(pb::ConversionMetric {
                event: event.clone(),
                window: window.map(duration),
            }),
            MetricKind::Retention {
                event,
                day,
                width_days,
            } => Self::Retention(pb::RetentionMetric {
                event: event.clone().unwrap_or_default(),
                day: *day,
                width_days: *width_days,
            }),
            MetricKind::Scalar {
                event,
                aggregation,
                window,
            } => Self::Scalar(pb::ScalarMetric {
                event: event.clone(),
                aggregation: pb::Aggregation::from(*aggregation).into(),
                window: window.map(duration),
            }),
        }
    }
}

impl From<Aggregation> for pb::Aggregation {
    fn from(aggregation: Aggregation) -> Self {
        match aggregation {
            Aggregation::Sum => Self::Sum,
            Aggregation::Count => Self::Count,
            Aggregation::Max => Self::Max,
            Aggregation::Last => Self::Last,
        }
    }
}

impl From<Direction> for pb::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Increase => Self::Increase,
            Direction::Decrease => Self::Decrease,
        }
    }
}

impl From<Direction> for analysis::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Increase => Self::Increase,
            Direction::Decrease => Self::Decrease,
        }
    }
}
