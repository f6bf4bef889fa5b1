//! What one unit's records are worth: pure, the same for live, late, replayed and back-filled records.
//!
//! A value is a function of (the set of the unit's records, definitions, τ): order and repetition change nothing.

//!
//! Source: `statistics.md` §2. Every span is half-open: it holds its first instant and not its last.

use std::ops::Range;

use crate::{
    experiment::Pause,
    key::VariantKey,
    lifecycle::PauseMode,
    metric::{Aggregation, MetricKind, days},
    record::MAX_VALUE_MICROS,
    time::Timestamp,
};

/// Micro-units in one: what one event counts in [`Aggregation::Count`].
const ONE: i64 = 1_000_000;

/// One exposure of the unit to the experiment in question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExposureFact {
    /// When.
    pub time: Timestamp,
    /// To what.
    pub variant: VariantKey,
    /// By which split.
    pub cohort: u32,
}

/// One event of the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFact {
    /// When.
    pub time: Timestamp,
    /// Its id, to break ties of time.
    pub event_id: String,
    /// What was done.
    pub name: String,
    /// A number in micro-units.
    pub value_micros: Option<i64>,
    /// Came beyond the lateness allowance: never counted in a metric.
    pub late: bool,
}

/// Where a unit stands in an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrollment {
    /// Never exposed.
    None,
    /// Counts from its first exposure, in that variant and cohort.
    Enrolled(ExposureFact),
    /// Met two or more variants: set aside whole, from the start, and counted.
    SetAside {
        /// Its first exposure.
        first: ExposureFact,
    },
}

/// What one metric says of one unit at τ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitValue {
    /// It counts with this value: micro-units for scalars, 0 or 1 for binary metrics.
    Counted {
        /// The value.
        value: i64,
    },
    /// Its window has not closed; it counts from `due` on (when τ ≥ `due`).
    Pending {
        /// The instant at which its window closes.
        due: Timestamp,
    },
    /// Left out for ever: its retention window meets a `SERVE_DEFAULT` pause.
    Excluded,
}

/// The enrollment that `exposures` make, in any order, with any repetition.
pub fn enrollment(exposures: &[ExposureFact]) -> Enrollment {
    let Some(first) = exposures.iter().min().cloned() else {
        return Enrollment::None;
    };
    if exposures.iter().any(|exposure| exposure.variant != first.variant) {
        return Enrollment::SetAside { first };
    }
    Enrollment::Enrolled(first)
}

/// What `kind` says of a unit first exposed at `exposed`, given its `events` (in any order, one for each event id),
/// the experiment's `pauses`, and `through` = τ, the instant up to which records are complete.
///
/// An open metric counts at once, with the value so far. A windowed one is pending until its window has closed: equality counts.
/// Late events, and those inside a `SERVE_DEFAULT` pause, do not exist here; a pause without end lasts.
pub fn unit_value(
    kind: &MetricKind,
    exposed: Timestamp,
    events: &[EventFact],
    pauses: &[Pause],
    through: Timestamp,
) -> UnitValue {
    let opens = match kind {
        MetricKind::Retention { day, .. } => exposed.plus(days(*day)),
        _ => exposed,
    };
    let closes = kind.closes_after().map(|after| exposed.plus(after));
    let span = opens..closes.unwrap_or(Timestamp::MAX);
    let is_retention = matches!(kind, MetricKind::Retention { .. });
    if is_retention && pauses.iter().any(|pause| meets(pause, &span, through)) {
        return UnitValue::Excluded;
    }
    if let Some(due) = closes.filter(|due| *due > through) {
        return UnitValue::Pending { due };
    }
    let mut events = events.iter().filter(|event| {
        kind.event().is_none_or(|name| event.name == name)
            && !event.late
            && span.contains(&event.time)
            && !pauses.iter().any(|pause| hides(pause, event.time))
    });
    let value = match kind {
        MetricKind::Scalar { aggregation, .. } => aggregate(*aggregation, events),
        MetricKind::Conversion { .. } | MetricKind::Retention { .. } => i64::from(events.next().is_some()),
    };
    UnitValue::Counted { value }
}

/// Whether `pause` served the default at `time`. One without end hides all that follows, so that no value changes while it lasts.
fn hides(pause: &Pause, time: Timestamp) -> bool {
    pause.mode == PauseMode::ServeDefault && pause.from <= time && pause.to.is_none_or(|to| time < to)
}

/// Whether `pause`, as far as it is known at τ, served the default at an instant of `span`.
fn meets(pause: &Pause, span: &Range<Timestamp>, through: Timestamp) -> bool {
    let to = pause.to.unwrap_or(through);
    pause.mode == PauseMode::ServeDefault && pause.from.max(span.start) < to.min(span.end)
}

/// One number of a unit's events, in micro-units; 0 without any. Events without value count in [`Aggregation::Count`] only.
fn aggregate<'e>(aggregation: Aggregation, events: impl Iterator<Item = &'e EventFact>) -> i64 {
    let value = |event: &EventFact| event.value_micros;
    match aggregation {
        // Summed exactly and cut once: cutting each partial sum would make the order matter.
        Aggregation::Sum => cut(events
            .filter_map(value)
            .map(i128::from)
            .fold(0, i128::saturating_add)),
        Aggregation::Count => {
            cut(i128::from(ONE).saturating_mul(i128::try_from(events.count()).unwrap_or(i128::MAX)))
        }
        Aggregation::Max => cut(events.filter_map(value).max().unwrap_or(0).into()),
        Aggregation::Last => {
            let valued = events.filter(|event| event.value_micros.is_some());
            let last = valued.max_by(|a, b| (a.time, &a.event_id).cmp(&(b.time, &b.event_id)));
            cut(last.and_then(value).unwrap_or(0).into())
        }
    }
}

/// `value` saturated at ±[`MAX_VALUE_MICROS`].
fn cut(value: i128) -> i64 {
    let max = i128::from(MAX_VALUE_MICROS);
    i64::try_from(value.clamp(max.saturating_neg(), max)).unwrap_or(MAX_VALUE_MICROS)
}

#[cfg(test)]
mod tests;
