//! Metrics in files and answers.

use assay_proto::config::v1 as pb;
use serde::{Deserialize, Serialize};

use super::{View, day, is_zero, text};
use crate::error::Error;

/// A metric: exactly one of `conversion`, `retention` and `scalar`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Metric {
    pub(crate) namespace: String,
    pub(crate) key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) conversion: Option<Conversion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Retention>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scalar: Option<Scalar>,
    pub(crate) direction: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) unit: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) version: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) updated_at: String,
}

/// Share of units with an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Conversion {
    pub(crate) event: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) window: String,
}

/// Share of units that come back on a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Retention {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) event: String,
    pub(crate) day: u32,
    pub(crate) width_days: u32,
}

/// A number for each unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scalar {
    pub(crate) event: String,
    pub(crate) aggregation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) window: String,
}

impl View for Metric {
    type Message = pb::Metric;

    const COLUMNS: &'static [&'static str] = &["key", "measures", "direction", "unit", "version", "updated"];

    fn of(metric: pb::Metric) -> Self {
        let mut view = Self {
            namespace: metric.namespace,
            key: metric.key,
            name: metric.name,
            description: metric.description,
            direction: text::name_of::<pb::Direction>(metric.direction),
            unit: metric.unit,
            version: metric.version,
            generation: metric.generation,
            created_at: text::time(metric.created_at),
            updated_at: text::time(metric.updated_at),
            ..Self::default()
        };
        match metric.kind {
            Some(pb::metric::Kind::Conversion(c)) => {
                view.conversion = Some(Conversion {
                    event: c.event,
                    window: text::duration(c.window),
                });
            }
            Some(pb::metric::Kind::Retention(r)) => {
                view.retention = Some(Retention {
                    event: r.event,
                    day: r.day,
                    width_days: r.width_days,
                });
            }
            Some(pb::metric::Kind::Scalar(s)) => {
                let aggregation = text::name_of::<pb::Aggregation>(s.aggregation);
                view.scalar = Some(Scalar {
                    event: s.event,
                    aggregation,
                    window: text::duration(s.window),
                });
            }
            None => {}
        }
        view
    }

    fn message(self) -> Result<pb::Metric, Error> {
        let kind = match (self.conversion, self.retention, self.scalar) {
            (Some(c), None, None) => Some(pb::metric::Kind::Conversion(pb::ConversionMetric {
                event: c.event,
                window: text::parse_duration(&c.window, "conversion.window")?,
            })),
            (None, Some(r), None) => Some(pb::metric::Kind::Retention(pb::RetentionMetric {
                event: r.event,
                day: r.day,
                width_days: r.width_days,
            })),
            (None, None, Some(s)) => Some(pb::metric::Kind::Scalar(pb::ScalarMetric {
                event: s.event,
                aggregation: text::named::<pb::Aggregation>(&s.aggregation, "scalar.aggregation")?.into(),
                window: text::parse_duration(&s.window, "scalar.window")?,
            })),
            _ => {
                return Err(Error::Usage(
                    "a metric is one of conversion, retention and scalar; give one, such as --conversion EVENT".into(),
                ));
            }
        };
        Ok(pb::Metric {
            namespace: self.namespace,
            key: self.key,
            name: self.name,
            description: self.description,
            kind,
            direction: text::named::<pb::Direction>(&self.direction, "direction")?.into(),
            unit: self.unit,
            version: self.version,
            ..pb::Metric::default()
        })
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.key.clone(),
            self.measures(),
            self.direction.clone(),
            self.unit.clone(),
            self.version.to_string(),
            day(&self.updated_at),
        ]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("metric", format!("{}/{}", self.namespace, self.key)),
            ("name", self.name.clone()),
            ("description", self.description.clone()),
            ("measures", self.measures()),
            ("direction", self.direction.clone()),
            ("unit", self.unit.clone()),
            (
                "version",
                format!("{} (generation {})", self.version, self.generation),
            ),
            ("created", self.created_at.clone()),
            ("updated", self.updated_at.clone()),
        ]
    }
}

impl Metric {
    /// What is measured, in words.
    fn measures(&self) -> String {
        let within = |window: &str| {
            if window.is_empty() {
                String::new()
            } else {
                format!(" within {window}")
            }
        };
        match (&self.conversion, &self.retention, &self.scalar) {
            (Some(c), _, _) => format!("conversion: {}{}", c.event, within(&c.window)),
            (_, Some(r), _) => {
                let width = if r.width_days > 1 {
                    format!(" to {}", r.day + r.width_days - 1)
                } else {
                    String::new()
                };
                let event = if r.event.is_empty() { "any event" } else { &r.event };
                format!("retention on day {}{width}: {event}", r.day)
            }
            (_, _, Some(s)) => format!(
                "{} of {}{}",
                s.aggregation.to_lowercase(),
                s.event,
                within(&s.window)
            ),
            _ => String::new(),
        }
    }
}
