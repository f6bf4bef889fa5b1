use std::time::Duration;

use assay_core::{
    key::MetricKey,
    metric::{Aggregation, Direction, Metric, MetricKind, Quantity},
    record::to_micros,
    segment::{Condition, Rule},
};

use super::{
    duration, duration_from, each, enum_from, key_from, meta_from, meta_time, namespace_from, required,
};
use crate::{analysis::v1 as analysis, config::v1 as pb, field::FieldErrors};

impl TryFrom<pb::Metric> for Metric {
    type Error = FieldErrors;

    fn try_from(metric: pb::Metric) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(metric.namespace, "namespace"));
        let key = errors.keep(key_from(metric.key, "key", MetricKey::new));
        let kind = errors.keep(required(metric.kind, "kind").and_then(kind_from));
        let direction = errors.keep(direction_from(metric.direction));
        let cap_micros = errors.keep(cap_from(metric.cap));
        let source = errors.keep(source_from(metric.source));
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
                cap_micros: cap_micros?,
                meta: source.and(meta)?,
            })
        };
        let made = made();
        errors.finish(made)
    }
}

fn kind_from(kind: pb::metric::Kind) -> Result<MetricKind, FieldErrors> {
    match kind {
        pb::metric::Kind::Conversion(conversion) => {
            conversion_from(conversion).map_err(|e| e.under("conversion"))
        }
        pb::metric::Kind::Retention(retention) => retention_from(retention).map_err(|e| e.under("retention")),
        pb::metric::Kind::Scalar(scalar) => scalar_from(scalar).map_err(|e| e.under("scalar")),
        pb::metric::Kind::Ratio(ratio) => ratio_from(ratio).map_err(|e| e.under("ratio")),
        pb::metric::Kind::Quantile(quantile) => quantile_from(quantile).map_err(|e| e.under("quantile")),
    }
}

fn conversion_from(conversion: pb::ConversionMetric) -> Result<MetricKind, FieldErrors> {
    let mut errors = FieldErrors::default();
    let event = errors.keep(event_from(conversion.event));
    let filters = errors.keep(filters_from(conversion.filters));
    let window = errors.keep(window_from(conversion.window));
    let made = || {
        Some(MetricKind::Conversion {
            event: event?,
            filters: filters?,
            window: window?,
        })
    };
    let made = made();
    errors.finish(made)
}

fn retention_from(retention: pb::RetentionMetric) -> Result<MetricKind, FieldErrors> {
    Ok(MetricKind::Retention {
        event: (!retention.event.is_empty()).then_some(retention.event),
        filters: filters_from(retention.filters)?,
        day: retention.day,
        width_days: retention.width_days.max(1),
    })
}

fn scalar_from(scalar: pb::ScalarMetric) -> Result<MetricKind, FieldErrors> {
    let mut errors = FieldErrors::default();
    let quantity = errors.keep(quantity_from(pb::Quantity {
        event: scalar.event,
        aggregation: scalar.aggregation,
        value_property: scalar.value_property,
        filters: scalar.filters,
    }));
    let window = errors.keep(window_from(scalar.window));
    let made = quantity.zip(window);
    errors.finish(made.map(|(quantity, window)| MetricKind::Scalar { quantity, window }))
}

fn ratio_from(ratio: pb::RatioMetric) -> Result<MetricKind, FieldErrors> {
    let mut errors = FieldErrors::default();
    let numerator = errors.keep(part_from(ratio.numerator, "numerator"));
    let denominator = errors.keep(part_from(ratio.denominator, "denominator"));
    let window = errors.keep(window_from(ratio.window));
    let made = || {
        Some(MetricKind::Ratio {
            numerator: numerator?,
            denominator: denominator?,
            window: window?,
        })
    };
    let made = made();
    errors.finish(made)
}

fn quantile_from(quantile: pb::QuantileMetric) -> Result<MetricKind, FieldErrors> {
    let mut errors = FieldErrors::default();
    let quantity = errors.keep(part_from(quantile.quantity, "quantity"));
    let window = errors.keep(window_from(quantile.window));
    let made = quantity.zip(window);
    errors.finish(made.map(|(quantity, window)| MetricKind::Quantile {
        quantity,
        quantile: quantile.quantile,
        window,
    }))
}

/// A quantity that must be there.
fn part_from(part: Option<pb::Quantity>, field: &str) -> Result<Quantity, FieldErrors> {
    quantity_from(required(part, field)?).map_err(|e| e.under(field))
}

fn quantity_from(quantity: pb::Quantity) -> Result<Quantity, FieldErrors> {
    let mut errors = FieldErrors::default();
    let event = errors.keep(event_from(quantity.event));
    let aggregation = errors.keep(aggregation_from(quantity.aggregation));
    let filters = errors.keep(filters_from(quantity.filters));
    let value_property = (!quantity.value_property.is_empty()).then_some(quantity.value_property);
    let made = || {
        Some(Quantity {
            event: event?,
            filters: filters?,
            aggregation: aggregation?,
            value_property,
        })
    };
    let made = made();
    errors.finish(made)
}

/// Comparisons of the properties of one event: groups and segments, which describe units, are refused.
fn filters_from(filters: Vec<pb::Rule>) -> Result<Vec<Rule>, FieldErrors> {
    each(filters, "filters", |filter| match Condition::try_from(filter)? {
        Condition::Rule(rule) => Ok(rule),
        _ => Err(FieldErrors::one(
            "",
            "FILTER_IS_COMPARISON",
            "is a group or a segment; give comparisons only, all of which must hold",
        )),
    })
}

fn filters_to(filters: &[Rule]) -> Vec<pb::Rule> {
    filters.iter().map(pb::Rule::from).collect()
}

/// A cap in the metric's unit, as micro-units.
fn cap_from(cap: Option<f64>) -> Result<Option<i64>, FieldErrors> {
    let micros = |cap| {
        to_micros(cap)
            .map_err(|error| FieldErrors::one("cap", "CAP_RANGE", format!("{error}; give a smaller number")))
    };
    cap.map(micros).transpose()
}

fn source_from(number: i32) -> Result<(), FieldErrors> {
    match enum_from(number, "source")? {
        pb::MetricSource::Unspecified | pb::MetricSource::Stream => Ok(()),
        pb::MetricSource::Warehouse => Err(FieldErrors::one(
            "source",
            "SOURCE_NOT_SUPPORTED",
            "is WAREHOUSE, which is reserved for later; metrics are made of recorded events: choose STREAM, and import the facts as events",
        )),
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
    Ok(match enum_from(number, "aggregation")? {
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
            cap: metric.cap_micros.map(|micros| micros as f64 / 1e6),
            source: pb::MetricSource::Stream.into(),
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
            MetricKind::Conversion {
                event,
                filters,
                window,
            } => Self::Conversion(pb::ConversionMetric {
                event: event.clone(),
                window: window.map(duration),
                filters: filters_to(filters),
            }),
            MetricKind::Retention {
                event,
                filters,
                day,
                width_days,
            } => Self::Retention(pb::RetentionMetric {
                event: event.clone().unwrap_or_default(),
                day: *day,
                width_days: *width_days,
                filters: filters_to(filters),
            }),
            MetricKind::Scalar { quantity, window } => {
                let quantity = pb::Quantity::from(quantity);
                Self::Scalar(pb::ScalarMetric {
                    event: quantity.event,
                    aggregation: quantity.aggregation,
                    window: window.map(duration),
                    value_property: quantity.value_property,
                    filters: quantity.filters,
                })
            }
            MetricKind::Ratio {
                numerator,
                denominator,
                window,
            } => Self::Ratio(pb::RatioMetric {
                numerator: Some(numerator.into()),
                denominator: Some(denominator.into()),
                window: window.map(duration),
            }),
            MetricKind::Quantile {
                quantity,
                quantile,
                window,
            } => Self::Quantile(pb::QuantileMetric {
                quantity: Some(quantity.into()),
                quantile: *quantile,
                window: window.map(duration),
            }),
        }
    }
}

impl From<&Quantity> for pb::Quantity {
    fn from(quantity: &Quantity) -> Self {
        Self {
            event: quantity.event.clone(),
            aggregation: pb::Aggregation::from(quantity.aggregation).into(),
            value_property: quantity.value_property.clone().unwrap_or_default(),
            filters: filters_to(&quantity.filters),
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
