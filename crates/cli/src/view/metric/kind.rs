//! What a metric measures.

use std::fmt;

use assay_proto::config::v1 as pb;
use serde::{Deserialize, Serialize};

use super::super::{
    segment::{Rule, messages},
    text,
};
use crate::error::Error;

/// Share of units with an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Conversion {
    pub(crate) event: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) filters: Vec<Rule>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) window: String,
}

/// Share of units that come back on a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Retention {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) event: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) filters: Vec<Rule>,
    pub(crate) day: u32,
    pub(crate) width_days: u32,
}

/// A number for each unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scalar {
    pub(crate) event: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) filters: Vec<Rule>,
    pub(crate) aggregation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) value_property: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) window: String,
}

/// A number that other kinds are made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Quantity {
    pub(crate) event: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) filters: Vec<Rule>,
    pub(crate) aggregation: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) value_property: String,
}

/// A sum divided by another one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Ratio {
    pub(crate) numerator: Quantity,
    pub(crate) denominator: Quantity,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) window: String,
}

/// A quantile of a number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Quantile {
    pub(crate) quantity: Quantity,
    pub(crate) quantile: f64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) window: String,
}

impl Conversion {
    pub(super) fn of(conversion: pb::ConversionMetric) -> Self {
        Self {
            event: conversion.event,
            filters: filters_of(conversion.filters),
            window: text::duration(conversion.window),
        }
    }

    pub(super) fn message(self) -> Result<pb::metric::Kind, Error> {
        Ok(pb::metric::Kind::Conversion(pb::ConversionMetric {
            event: self.event,
            filters: messages(self.filters, "conversion.filters")?,
            window: text::parse_duration(&self.window, "conversion.window")?,
        }))
    }
}

impl Retention {
    pub(super) fn of(retention: pb::RetentionMetric) -> Self {
        Self {
            event: retention.event,
            filters: filters_of(retention.filters),
            day: retention.day,
            width_days: retention.width_days,
        }
    }

    pub(super) fn message(self) -> Result<pb::metric::Kind, Error> {
        Ok(pb::metric::Kind::Retention(pb::RetentionMetric {
            event: self.event,
            filters: messages(self.filters, "retention.filters")?,
            day: self.day,
            width_days: self.width_days,
        }))
    }
}

impl Scalar {
    pub(super) fn of(scalar: pb::ScalarMetric) -> Self {
        Self {
            event: scalar.event,
            filters: filters_of(scalar.filters),
            aggregation: text::name_of::<pb::Aggregation>(scalar.aggregation),
            value_property: scalar.value_property,
            window: text::duration(scalar.window),
        }
    }

    pub(super) fn message(self) -> Result<pb::metric::Kind, Error> {
        Ok(pb::metric::Kind::Scalar(pb::ScalarMetric {
            event: self.event,
            filters: messages(self.filters, "scalar.filters")?,
            aggregation: text::named::<pb::Aggregation>(&self.aggregation, "scalar.aggregation")?.into(),
            value_property: self.value_property,
            window: text::parse_duration(&self.window, "scalar.window")?,
        }))
    }
}

impl Quantity {
    fn of(quantity: Option<pb::Quantity>) -> Self {
        let quantity = quantity.unwrap_or_default();
        Self {
            event: quantity.event,
            filters: filters_of(quantity.filters),
            aggregation: text::name_of::<pb::Aggregation>(quantity.aggregation),
            value_property: quantity.value_property,
        }
    }

    fn message(self, path: &str) -> Result<Option<pb::Quantity>, Error> {
        let aggregation = format!("{path}.aggregation");
        Ok(Some(pb::Quantity {
            event: self.event,
            filters: messages(self.filters, &format!("{path}.filters"))?,
            aggregation: text::named::<pb::Aggregation>(&self.aggregation, &aggregation)?.into(),
            value_property: self.value_property,
        }))
    }
}

impl Ratio {
    pub(super) fn of(ratio: pb::RatioMetric) -> Self {
        Self {
            numerator: Quantity::of(ratio.numerator),
            denominator: Quantity::of(ratio.denominator),
            window: text::duration(ratio.window),
        }
    }

    pub(super) fn message(self) -> Result<pb::metric::Kind, Error> {
        Ok(pb::metric::Kind::Ratio(pb::RatioMetric {
            numerator: self.numerator.message("ratio.numerator")?,
            denominator: self.denominator.message("ratio.denominator")?,
            window: text::parse_duration(&self.window, "ratio.window")?,
        }))
    }
}

impl Quantile {
    pub(super) fn of(quantile: pb::QuantileMetric) -> Self {
        Self {
            quantity: Quantity::of(quantile.quantity),
            quantile: quantile.quantile,
            window: text::duration(quantile.window),
        }
    }

    pub(super) fn message(self) -> Result<pb::metric::Kind, Error> {
        Ok(pb::metric::Kind::Quantile(pb::QuantileMetric {
            quantity: self.quantity.message("quantile.quantity")?,
            quantile: self.quantile,
            window: text::parse_duration(&self.window, "quantile.window")?,
        }))
    }
}

fn filters_of(filters: Vec<pb::Rule>) -> Vec<Rule> {
    filters.into_iter().map(Rule::of).collect()
}

impl fmt::Display for Conversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conversion: {}", self.event)?;
        rest(f, &self.filters, &self.window)
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retention on day {}", self.day)?;
        if self.width_days > 1 {
            write!(f, " to {}", self.day + self.width_days - 1)?;
        }
        let event = if self.event.is_empty() {
            "any event"
        } else {
            &self.event
        };
        write!(f, ": {event}")?;
        rest(f, &self.filters, "")
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        number(f, &self.aggregation, &self.value_property, &self.event)?;
        rest(f, &self.filters, &self.window)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        number(f, &self.aggregation, &self.value_property, &self.event)?;
        rest(f, &self.filters, "")
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.numerator, self.denominator)?;
        rest(f, &[], &self.window)
    }
}

impl fmt::Display for Quantile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quantile {} of {}", self.quantile, self.quantity)?;
        rest(f, &[], &self.window)
    }
}

fn number(f: &mut fmt::Formatter<'_>, aggregation: &str, property: &str, event: &str) -> fmt::Result {
    write!(f, "{} of {event}", aggregation.to_lowercase())?;
    if property.is_empty() {
        Ok(())
    } else {
        write!(f, ".{property}")
    }
}

/// ` where country in DE, level gte 7 within 7d`
fn rest(f: &mut fmt::Formatter<'_>, filters: &[Rule], window: &str) -> fmt::Result {
    for (i, filter) in filters.iter().enumerate() {
        write!(f, "{} {filter}", if i == 0 { " where" } else { " and" })?;
    }
    if window.is_empty() {
        Ok(())
    } else {
        write!(f, " within {window}")
    }
}
