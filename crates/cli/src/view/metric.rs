//! Metrics in files and answers.

use assay_proto::config::v1 as pb;
use serde::{Deserialize, Serialize};

mod kind;

pub(crate) use kind::{Conversion, Quantile, Ratio, Retention, Scalar};

use super::{View, day, is_zero, text};
use crate::error::Error;

/// A metric: exactly one of `conversion`, `retention`, `scalar`, `ratio` and `quantile`.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Ratio>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quantile: Option<Quantile>,
    pub(crate) direction: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cap: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) source: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) version: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) updated_at: String,
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
            cap: metric.cap,
            source: text::name_of::<pb::MetricSource>(metric.source),
            version: metric.version,
            generation: metric.generation,
            created_at: text::time(metric.created_at),
            updated_at: text::time(metric.updated_at),
            ..Self::default()
        };
        match metric.kind {
            Some(pb::metric::Kind::Conversion(c)) => view.conversion = Some(Conversion::of(c)),
            Some(pb::metric::Kind::Retention(r)) => view.retention = Some(Retention::of(r)),
            Some(pb::metric::Kind::Scalar(s)) => view.scalar = Some(Scalar::of(s)),
            Some(pb::metric::Kind::Ratio(r)) => view.ratio = Some(Ratio::of(r)),
            Some(pb::metric::Kind::Quantile(q)) => view.quantile = Some(Quantile::of(q)),
            None => {}
        }
        view
    }

    fn message(self) -> Result<pb::Metric, Error> {
        let kinds = [
            self.conversion.map(Conversion::message),
            self.retention.map(Retention::message),
            self.scalar.map(Scalar::message),
            self.ratio.map(Ratio::message),
            self.quantile.map(Quantile::message),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let (Some(kind), None) = (kinds.next(), kinds.next()) else {
            return Err(Error::Usage(
                "a metric is one of conversion, retention, scalar, ratio and quantile; give one, such as --conversion EVENT".into(),
            ));
        };
        let kind = Some(kind?);
        Ok(pb::Metric {
            namespace: self.namespace,
            key: self.key,
            name: self.name,
            description: self.description,
            kind,
            direction: text::named::<pb::Direction>(&self.direction, "direction")?.into(),
            unit: self.unit,
            cap: self.cap,
            source: text::named::<pb::MetricSource>(&self.source, "source")?.into(),
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
            ("cap", self.cap.map(|cap| cap.to_string()).unwrap_or_default()),
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
        let kinds = [
            self.conversion.as_ref().map(ToString::to_string),
            self.retention.as_ref().map(ToString::to_string),
            self.scalar.as_ref().map(ToString::to_string),
            self.ratio.as_ref().map(ToString::to_string),
            self.quantile.as_ref().map(ToString::to_string),
        ];
        kinds.into_iter().flatten().collect()
    }
}
