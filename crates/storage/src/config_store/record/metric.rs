//! The stored form of a metric.

use std::time::Duration;

use assay_core::{
    key::MetricKey,
    metric::{Aggregation, Direction, Metric, MetricKind, Quantity},
    segment::Rule,
};
use serde::{Deserialize, Serialize};

use super::{Broken, Identity, segment::RuleRecord, value::names};

names!(DirectionRecord is Direction { Increase, Decrease });
names!(AggregationRecord is Aggregation { Sum, Count, Max, Last });

#[derive(Serialize, Deserialize)]
pub(super) struct MetricRecord {
    name: String,
    description: String,
    kind: MetricKindRecord,
    direction: DirectionRecord,
    unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cap_micros: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct QuantityRecord {
    event: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filters: Vec<RuleRecord>,
    aggregation: AggregationRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_property: Option<String>,
}

/// Windows are whole microseconds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
enum MetricKindRecord {
    Conversion {
        event: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        filters: Vec<RuleRecord>,
        window_us: Option<u64>,
    },
    Retention {
        event: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        filters: Vec<RuleRecord>,
        day: u32,
        width_days: u32,
    },
    Scalar {
        #[serde(flatten)]
        quantity: QuantityRecord,
        window_us: Option<u64>,
    },
    Ratio {
        numerator: QuantityRecord,
        denominator: QuantityRecord,
        window_us: Option<u64>,
    },
    Quantile {
        quantity: QuantityRecord,
        quantile: f64,
        window_us: Option<u64>,
    },
}

impl From<&Quantity> for QuantityRecord {
    fn from(quantity: &Quantity) -> Self {
        Self {
            event: quantity.event.clone(),
            filters: stored(&quantity.filters),
            aggregation: quantity.aggregation.into(),
            value_property: quantity.value_property.clone(),
        }
    }
}

impl From<QuantityRecord> for Quantity {
    fn from(record: QuantityRecord) -> Self {
        Self {
            event: record.event,
            filters: read(record.filters),
            aggregation: record.aggregation.into(),
            value_property: record.value_property,
        }
    }
}

fn stored(filters: &[Rule]) -> Vec<RuleRecord> {
    filters.iter().map(RuleRecord::from).collect()
}

fn read(filters: Vec<RuleRecord>) -> Vec<Rule> {
    filters.into_iter().map(Rule::from).collect()
}

impl From<&Metric> for MetricRecord {
    fn from(metric: &Metric) -> Self {
        Self {
            name: metric.name.clone(),
            description: metric.description.clone(),
            kind: (&metric.kind).into(),
            direction: metric.direction.into(),
            unit: metric.unit.clone(),
            cap_micros: metric.cap_micros,
        }
    }
}

impl MetricRecord {
    pub(super) fn metric(self, identity: Identity) -> Result<Metric, Broken> {
        Ok(Metric {
            namespace: identity.namespace,
            key: MetricKey::new(identity.key)?,
            name: self.name,
            description: self.description,
            kind: self.kind.into(),
            direction: self.direction.into(),
            unit: self.unit,
            cap_micros: self.cap_micros,
            meta: identity.meta,
        })
    }
}

impl From<&MetricKind> for MetricKindRecord {
    fn from(kind: &MetricKind) -> Self {
        let micros = |window: &Option<Duration>| {
            window.map(|window| u64::try_from(window.as_micros()).unwrap_or(u64::MAX))
        };
        match kind {
            MetricKind::Conversion {
                event,
                filters,
                window,
            } => Self::Conversion {
                event: event.clone(),
                filters: stored(filters),
                window_us: micros(window),
            },
            MetricKind::Retention {
                event,
                filters,
                day,
                width_days,
            } => Self::Retention {
                event: event.clone(),
                filters: stored(filters),
                day: *day,
                width_days: *width_days,
            },
            MetricKind::Scalar { quantity, window } => Self::Scalar {
                quantity: quantity.into(),
                window_us: micros(window),
            },
            MetricKind::Ratio {
                numerator,
                denominator,
                window,
            } => Self::Ratio {
                numerator: numerator.into(),
                denominator: denominator.into(),
                window_us: micros(window),
            },
            MetricKind::Quantile {
                quantity,
                quantile,
                window,
            } => Self::Quantile {
                quantity: quantity.into(),
                quantile: *quantile,
                window_us: micros(window),
            },
        }
    }
}

impl From<MetricKindRecord> for MetricKind {
    fn from(record: MetricKindRecord) -> Self {
        let window = |window_us: Option<u64>| window_us.map(Duration::from_micros);
        match record {
            MetricKindRecord::Conversion {
                event,
                filters,
                window_us,
            } => Self::Conversion {
                event,
                filters: read(filters),
                window: window(window_us),
            },
            MetricKindRecord::Retention {
                event,
                filters,
                day,
                width_days,
            } => Self::Retention {
                event,
                filters: read(filters),
                day,
                width_days,
            },
            MetricKindRecord::Scalar { quantity, window_us } => Self::Scalar {
                quantity: quantity.into(),
                window: window(window_us),
            },
            MetricKindRecord::Ratio {
                numerator,
                denominator,
                window_us,
            } => Self::Ratio {
                numerator: numerator.into(),
                denominator: denominator.into(),
                window: window(window_us),
            },
            MetricKindRecord::Quantile {
                quantity,
                quantile,
                window_us,
            } => Self::Quantile {
                quantity: quantity.into(),
                quantile,
                window: window(window_us),
            },
        }
    }
}
