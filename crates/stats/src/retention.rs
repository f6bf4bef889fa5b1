//! Retention with right-censoring: who came back on day N, among those whose day N is over.

/// The span, counted from a unit's exposure, in which activity means that it was retained.
///
/// All instants and lengths share one unit of time, chosen by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionWindow {
    start: i64,
    end: i64,
}

/// What is known about one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retained {
    Yes,
    No,
    /// Its window has not closed: it counts neither for nor against.
    Censored,
}

/// The totals of one variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Units whose window has closed.
    pub n: u64,
    /// Of those, the units with activity in it.
    pub successes: u64,
    pub censored: u64,
}

impl RetentionWindow {
    /// Days `day` to `day + width` after exposure, where a day is the 24 hours of `ticks_per_day` (86 400 for seconds).
    ///
    /// `None` unless `day >= 0`, `width >= 1`, `ticks_per_day >= 1` and the end fits.
    pub fn days(day: i64, width: i64, ticks_per_day: i64) -> Option<RetentionWindow> {
        if day < 0 || width < 1 || ticks_per_day < 1 {
            return None;
        }
        Some(RetentionWindow {
            start: day.checked_mul(ticks_per_day)?,
            end: day.checked_add(width)?.checked_mul(ticks_per_day)?,
        })
    }

    /// The first instant of the window of a unit exposed at `exposed_at`, and the first after it.
    pub fn of(self, exposed_at: i64) -> (i64, i64) {
        (
            exposed_at.saturating_add(self.start),
            exposed_at.saturating_add(self.end),
        )
    }

    /// Whether a unit was retained, judged with all its activity up to `as_of`.
    ///
    /// Without censoring, a variant whose units came later would look worse.
    /// Checked against a direct count in `testdata/stats_golden/retention.json`.
    pub fn judge(self, exposed_at: i64, activity: &[i64], as_of: i64) -> Retained {
        let (start, end) = self.of(exposed_at);
        if end > as_of {
            Retained::Censored
        } else if activity.iter().any(|x| (start..end).contains(x)) {
            Retained::Yes
        } else {
            Retained::No
        }
    }
}

impl Retention {
    /// These totals and one more unit.
    #[must_use]
    pub fn with(self, unit: Retained) -> Retention {
        Retention {
            n: self.n + u64::from(unit != Retained::Censored),
            successes: self.successes + u64::from(unit == Retained::Yes),
            censored: self.censored + u64::from(unit == Retained::Censored),
        }
    }
}
