//! The stored form of a metric.

use std::time::Duration;

use assay_core::{
    key::MetricKey,
    metric::{Aggregation, Direction, Metric, MetricKind},
};
use serde::{Deserialize, Serialize};

use super::{Broken, Identity, value::names};

names!(DirectionRecord is Direction { Increase, Decrease });
names!(AggregationRecord is Aggregation { Sum, Count, Max, Last });

#[derive(Serialize, Deserialize)]
pub(super) struct MetricRecord {
    name: String,
    description: String,
    kind: MetricKindRecord,
    direction: DirectionRecord,
    unit: String,
}

/// Windows are whole microseconds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
enum MetricKindRecord {
    Conversion {
        event: String,
        window_us: Option<u64>,
    },
    Retention {
        event: Option<String>,
        day: u32,
        width_days: u32,
    },
    Scalar {
        event: String,
        aggregation: AggregationRecord,
        window_us: Option<u64>,
    },
}

impl From<&Metric> for MetricRecord {
    fn from(metric: &Metric) -> Self {
        Self {
            name: metric.name.clone(),
            description: metric.description.clone(),
            kind: (&metric.kind).into(),
            direction: metric.direction.into(),
            unit: metric.unit.clone(),
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
            MetricKind::Conversion { event, window } => Self::Conversion {
                event: event.clone(),
                window_us: micros(window),
            },
            MetricKind::Retention {
                event,
                day,
                width_days,
            } => Self::Retention {
                event: event.clone(),
                day: *day,
                width_days: *width_days,
            },
            MetricKind::Scalar {
                event,
                aggregation,
                window,
            } => Self::Scalar {
                event: event.clone(),
                aggregation: (*aggregation).into(),
                window_us: micros(window),
            },
        }
    }
}

impl From<MetricKindRecord> for MetricKind {
    fn from(record: MetricKindRecord) -> Self {
        let window = |window_us: Option<u64>| window_us.map(Duration::from_micros);
        match record {
            MetricKindRecord::Conversion { event, window_us } => Self::Conversion {
                event,
                window: window(window_us),
            },
            MetricKindRecord::Retention {
                event,
                day,
                width_days,
            } => Self::Retention {
                event,
                day,
                width_days,
            },
            MetricKindRecord::Scalar {
                event,
                aggregation,
                window_us,
            } => Self::Scalar {
                event,
                aggregation: aggregation.into(),
                window: window(window_us),
            },
        }
    }
}
