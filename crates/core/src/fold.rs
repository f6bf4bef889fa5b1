//! What one unit's records are worth: pure, the same for live, late, replayed and back-filled records.
//!
//! A value is a function of (the set of the unit's records, definitions, τ): order and repetition change nothing.
//!
//! Source: `statistics.md` §2. Every span is half-open: it holds its first instant and not its last.

mod quantity;

use std::{ops::Range, time::Duration};

use self::quantity::{Events, Number};
use crate::{
    experiment::Pause,
    key::VariantKey,
    lifecycle::PauseMode,
    metric::{MetricKind, days},
    segment::RuleError,
    time::Timestamp,
    value::Attributes,
};

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
#[derive(Debug, Clone, PartialEq)]
pub struct EventFact {
    /// When.
    pub time: Timestamp,
    /// Its id, to break ties of time.
    pub event_id: String,
    /// What was done.
    pub name: String,
    /// A number in micro-units.
    pub value_micros: Option<i64>,
    /// More about it.
    pub properties: Attributes,
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
    /// It counts with two values, both in micro-units.
    CountedPair {
        /// The value above the line.
        numerator: i64,
        /// The value below it.
        denominator: i64,
    },
    /// It has nothing that a quantile could be taken of: no event with a value.
    Valueless,
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

/// What is measured of one unit, made ready to be asked of many: filters are compiled once.
#[derive(Debug, Clone)]
pub struct MetricFold {
    /// From first exposure to the first instant of the window.
    opens_after: Duration,
    /// From first exposure to the first instant after it; open when absent.
    closes_after: Option<Duration>,
    /// Whether a pause that meets the window leaves the unit out.
    shuns_pauses: bool,
    measured: Measured,
}

/// What is looked for in the window.
#[derive(Debug, Clone)]
enum Measured {
    /// Whether there is one of these.
    Any(Events),
    Number(Number),
    Pair(Number, Number),
    /// A number of units that have one.
    IfAny(Number),
}

impl MetricFold {
    /// Makes `kind` ready.
    ///
    /// # Errors
    /// [`RuleError`] when a filter cannot be compiled, which one that was validated can.
    pub fn new(kind: &MetricKind) -> Result<Self, RuleError> {
        let measured = match kind {
            MetricKind::Conversion { event, filters, .. } => {
                Measured::Any(Events::new(Some(event), filters)?)
            }
            MetricKind::Retention { event, filters, .. } => {
                Measured::Any(Events::new(event.as_deref(), filters)?)
            }
            MetricKind::Scalar { quantity, .. } => Measured::Number(Number::new(quantity)?),
            MetricKind::Ratio {
                numerator,
                denominator,
                ..
            } => Measured::Pair(Number::new(numerator)?, Number::new(denominator)?),
            MetricKind::Quantile { quantity, .. } => Measured::IfAny(Number::new(quantity)?),
        };
        let opens_after = match kind {
            MetricKind::Retention { day, .. } => days(*day),
            _ => Duration::ZERO,
        };
        Ok(Self {
            opens_after,
            closes_after: kind.closes_after(),
            shuns_pauses: matches!(kind, MetricKind::Retention { .. }),
            measured,
        })
    }

    /// What it says of a unit first exposed at `exposed`, given its `events` (in any order, one for each event id), the experiment's
    /// `pauses`, and `through` = τ, the instant up to which records are complete.
    ///
    /// An open metric counts at once, with the value so far. A windowed one is pending until its window has closed: equality counts.
    /// Late events, and those inside a `SERVE_DEFAULT` pause, do not exist here; a pause without end lasts.
    pub fn unit_value<'e>(
        &self,
        exposed: Timestamp,
        events: impl Iterator<Item = &'e EventFact> + Clone,
        pauses: &[Pause],
        through: Timestamp,
    ) -> UnitValue {
        let closes = self.closes_after.map(|after| exposed.plus(after));
        let span = exposed.plus(self.opens_after)..closes.unwrap_or(Timestamp::MAX);
        if self.shuns_pauses && pauses.iter().any(|pause| meets(pause, &span, through)) {
            return UnitValue::Excluded;
        }
        if let Some(due) = closes.filter(|due| *due > through) {
            return UnitValue::Pending { due };
        }
        let events = events.filter(|event| {
            !event.late && span.contains(&event.time) && !pauses.iter().any(|pause| hides(pause, event.time))
        });
        self.measured.of(events)
    }
}

impl Measured {
    fn of<'e>(&self, mut events: impl Iterator<Item = &'e EventFact> + Clone) -> UnitValue {
        match self {
            Self::Any(wanted) => UnitValue::Counted {
                value: i64::from(events.any(|event| wanted.have(event))),
            },
            Self::Number(number) => UnitValue::Counted {
                value: number.of(events).unwrap_or(0),
            },
            Self::Pair(numerator, denominator) => UnitValue::CountedPair {
                numerator: numerator.of(events.clone()).unwrap_or(0),
                denominator: denominator.of(events).unwrap_or(0),
            },
            Self::IfAny(number) => number
                .of(events)
                .map_or(UnitValue::Valueless, |value| UnitValue::Counted { value }),
        }
    }
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

#[cfg(test)]
mod tests;
