//! Metrics: definitions over events.

use std::time::Duration;

use crate::{
    flag::Meta,
    key::{MetricKey, Namespace},
    segment::Rule,
};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Larger is better.
    Increase,
    /// Smaller is better.
    Decrease,
}

/// How the event values of one unit become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregation {
    /// Sum of values.
    Sum,
    /// Number of events; values are not needed.
    Count,
    /// Largest value.
    Max,
    /// Value of the latest event (ties: the greatest event id).
    Last,
}

/// One number of a unit, made of its events in the window; no event = 0.
///
/// Where the event is named `profile.<attribute>` it is a value that the unit's profile was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// Name of the event.
    pub event: String,
    /// What must hold of the properties of an event that counts: all of these.
    pub filters: Vec<Rule>,
    /// How values become one number.
    pub aggregation: Aggregation,
    /// Name of the property that is the value of an event; the event's own value when absent. An event that has no number there has no
    /// value.
    pub value_property: Option<String>,
}

impl Quantity {
    /// All events of this name, with their own values.
    pub fn new(event: impl Into<String>, aggregation: Aggregation) -> Self {
        Self {
            event: event.into(),
            filters: Vec::new(),
            aggregation,
            value_property: None,
        }
    }
}

/// What is measured of one unit.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricKind {
    /// 1 if at least one `event` in the window, else 0.
    Conversion {
        /// Name of the event.
        event: String,
        /// What must hold of the properties of an event that counts: all of these.
        filters: Vec<Rule>,
        /// Length of the window from first exposure; open when absent.
        window: Option<Duration>,
    },
    /// 1 if at least one activity in [first exposure + `day` days, + `width_days` more), else 0.
    Retention {
        /// Name of the event that counts as activity; any event when absent.
        event: Option<String>,
        /// What must hold of the properties of an event that counts: all of these.
        filters: Vec<Rule>,
        /// N, in 24-hour periods from first exposure, at least 1.
        day: u32,
        /// Width of the window in days, at least 1.
        width_days: u32,
    },
    /// A number; its mean over units is compared.
    Scalar {
        /// The number.
        quantity: Quantity,
        /// Length of the window from first exposure; open when absent.
        window: Option<Duration>,
    },
    /// Two numbers; the ratio of their sums over units is compared. For denominators finer than a unit, such as visits or orders.
    Ratio {
        /// What is above the line.
        numerator: Quantity,
        /// What is below it.
        denominator: Quantity,
        /// Length of the window from first exposure; open when absent.
        window: Option<Duration>,
    },
    /// A number; its quantile over the units that have an event is compared.
    Quantile {
        /// The number.
        quantity: Quantity,
        /// Which quantile, above 0 and below 1, such as 0.95.
        quantile: f64,
        /// Length of the window from first exposure; open when absent.
        window: Option<Duration>,
    },
}

impl MetricKind {
    /// Whether unit values are 0 or 1.
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::Conversion { .. } | Self::Retention { .. })
    }

    /// Its name in the public message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conversion { .. } => "conversion",
            Self::Retention { .. } => "retention",
            Self::Scalar { .. } => "scalar",
            Self::Ratio { .. } => "ratio",
            Self::Quantile { .. } => "quantile",
        }
    }

    /// The numbers that it is made of, each with its place in the public message.
    pub fn quantities(&self) -> Vec<(&'static str, &Quantity)> {
        match self {
            Self::Conversion { .. } | Self::Retention { .. } => Vec::new(),
            Self::Scalar { quantity, .. } => vec![("scalar", quantity)],
            Self::Ratio {
                numerator,
                denominator,
                ..
            } => vec![("ratio.numerator", numerator), ("ratio.denominator", denominator)],
            Self::Quantile { quantity, .. } => vec![("quantile.quantity", quantity)],
        }
    }

    /// How long after first exposure a unit's value is final; absent for an open metric, whose values never are.
    pub fn closes_after(&self) -> Option<Duration> {
        match self {
            Self::Conversion { window, .. }
            | Self::Scalar { window, .. }
            | Self::Ratio { window, .. }
            | Self::Quantile { window, .. } => *window,
            Self::Retention { day, width_days, .. } => Some(days(*day).saturating_add(days(*width_days))),
        }
    }
}

/// `n` days of 24 hours.
pub(crate) fn days(n: u32) -> Duration {
    Duration::from_secs(u64::from(n).saturating_mul(86_400))
}

/// A definition over events, giving one value for each unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Where it lives.
    pub namespace: Namespace,
    /// Key, unique in the namespace, fixed.
    pub key: MetricKey,
    /// What people call it; may be empty.
    pub name: String,
    /// What it means; may be empty.
    pub description: String,
    /// What is measured.
    pub kind: MetricKind,
    /// Which way is better.
    pub direction: Direction,
    /// Unit of the values for people, such as `USD`; may be empty.
    pub unit: String,
    /// Greatest value that a unit counts with, in micro-units: what is more is cut off. No cap when absent.
    pub cap_micros: Option<i64>,
    /// Version and times.
    pub meta: Meta,
}

impl Metric {
    /// Whether `other` measures the same: results of the two can be compared. Texts and unit of display do not matter.
    pub fn measures_as(&self, other: &Self) -> bool {
        self.kind == other.kind && self.direction == other.direction && self.cap_micros == other.cap_micros
    }

    /// What a unit of this `value` counts with, and what the cap cuts off, if anything.
    ///
    /// Source: `statistics.md` §12.4; zeros and negative values stay as they are.
    pub fn winsorize(&self, value: i64) -> (i64, Option<i64>) {
        match self.cap_micros {
            Some(cap) if value > cap => (cap, Some(value.saturating_sub(cap))),
            Some(_) | None => (value, None),
        }
    }
}
