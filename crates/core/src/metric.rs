//! Metrics: definitions over events.

use std::time::Duration;

use crate::{
    flag::Meta,
    key::{MetricKey, Namespace},
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

/// What is measured of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricKind {
    /// 1 if at least one `event` in the window, else 0.
    Conversion {
        /// Name of the event.
        event: String,
        /// Length of the window from first exposure; open when absent.
        window: Option<Duration>,
    },
    /// 1 if at least one activity in [first exposure + `day` days, + `width_days` more), else 0.
    Retention {
        /// Name of the event that counts as activity; any event when absent.
        event: Option<String>,
        /// N, in 24-hour periods from first exposure, at least 1.
        day: u32,
        /// Width of the window in days, at least 1.
        width_days: u32,
    },
    /// Sum, count, maximum or last of event values in the window; no event = 0.
    Scalar {
        /// Name of the event.
        event: String,
        /// How values become one number.
        aggregation: Aggregation,
        /// Length of the window from first exposure; open when absent.
        window: Option<Duration>,
    },
}

impl MetricKind {
    /// Whether unit values are 0 or 1.
    pub fn is_binary(&self) -> bool {
        !matches!(self, Self::Scalar { .. })
    }

    /// Name of the event that it looks at; any event when absent.
    pub fn event(&self) -> Option<&str> {
        match self {
            Self::Conversion { event, .. } | Self::Scalar { event, .. } => Some(event),
            Self::Retention { event, .. } => event.as_deref(),
        }
    }

    /// How long after first exposure a unit's value is final; absent for an open metric, whose values never are.
    pub fn closes_after(&self) -> Option<Duration> {
        match self {
            Self::Conversion { window, .. } | Self::Scalar { window, .. } => *window,
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
    /// Version and times.
    pub meta: Meta,
}
