//! What a gate compared with what, in words.

use std::fmt;

use super::{Asked, HeldOut, Input, Standing, Verdict};
use crate::{key::Unit, value::Value};

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag {
                asked,
                flag,
                experiment,
            } => match (flag, experiment) {
                (None, _) => write!(f, "there is no flag and no experiment `{asked}`"),
                (Some(flag), None) => write!(f, "flag `{flag}` without experiment"),
                (Some(flag), Some(experiment)) => write!(f, "flag `{flag}` with experiment `{experiment}`"),
            },
            Self::QaOverride { unit, variant } => match variant {
                Some(variant) => write!(f, "{} is fixed to variant `{variant}`", Named(unit.as_ref())),
                None => write!(f, "{} has no fixed variant", Named(unit.as_ref())),
            },
            Self::UnitOverride { unit, value } => match value {
                Some(value) => write!(f, "{} gets {}", Named(unit.as_ref()), Shown(value)),
                None => write!(f, "{} has no value of its own", Named(unit.as_ref())),
            },
            Self::SegmentOverride { segment, value } => {
                write!(f, "{segment}, whose units get {}", Shown(value))
            }
            Self::HeldDefault { holdout, value } => write!(f, "{holdout}, whose units keep {}", Shown(value)),
            Self::Unit { unit, needed } => {
                write!(
                    f,
                    "{}, where units of kind `{needed}` are randomized",
                    Named(unit.as_ref())
                )
            }
            Self::Holdout(holdout) => holdout.fmt(f),
            Self::State(standing) => standing.fmt(f),
            Self::Layer {
                layer,
                bucket,
                ranges,
            } => {
                write!(f, "bucket {bucket} of layer `{layer}`, where the experiment has ")?;
                for (i, range) in ranges.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{}..{}", range.first(), range.end())?;
                }
                if ranges.is_empty() {
                    f.write_str("none")
                } else {
                    Ok(())
                }
            }
            Self::Prerequisite {
                flag,
                wanted,
                served,
                reason,
            } => {
                write!(f, "flag `{flag}` must serve {} and ", Shown(wanted))?;
                match (served, reason) {
                    (Some(served), _) => write!(f, "serves {}", Shown(served)),
                    (None, Some(_)) => f.write_str("is unknown"),
                    (None, None) => f.write_str("is too many prerequisites away to be asked"),
                }
            }
            Self::Segment(None) => f.write_str("the experiment is for everyone"),
            Self::Segment(Some(asked)) => asked.fmt(f),
            Self::Remembered { is_known: false, .. } => {
                f.write_str("it is not known what is remembered of the unit")
            }
            Self::Remembered { first: None, .. } => f.write_str("the unit was never assigned"),
            Self::Remembered {
                first: Some(first), ..
            } => {
                write!(
                    f,
                    "the unit got variant `{}` of cohort {}",
                    first.variant, first.cohort
                )
            }
            Self::Enrollment { is_held } => f.write_str(match is_held {
                true => "nobody new is enrolled",
                false => "new units are enrolled",
            }),
            Self::Coverage { bucket, ranges } => {
                write!(f, "bucket {bucket}, where ")?;
                for (i, range) in ranges.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}{}..{}", range.start, range.end)?;
                }
                f.write_str(if ranges.is_empty() {
                    "none are admitted"
                } else {
                    " are admitted"
                })
            }
            Self::Split {
                bucket,
                cohort,
                variant,
                ..
            } => {
                write!(f, "bucket {bucket}, in ")?;
                for range in self.ranges() {
                    write!(f, "{}..{}", range.first(), range.end())?;
                }
                write!(f, " of variant `{variant}` in cohort {cohort}")
            }
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.explanation.matches {
            "matches"
        } else {
            "does not match"
        };
        write!(
            f,
            "the unit {verb} segment `{}` in version {}",
            self.key, self.version
        )
    }
}

impl fmt::Display for HeldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bucket {
            Some((bucket, below)) => write!(
                f,
                "bucket {bucket} of holdout `{}`, which holds 0..{below}",
                self.key
            ),
            None => write!(f, "holdout `{}` holds units of another kind", self.key),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default(_) => f.write_str("the flag's default is served in this state"),
            Self::Winner(variant) => write!(f, "everyone gets the winner `{variant}`"),
            Self::Split => f.write_str("units are split in this state"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Decided => "decided",
            Self::Absent => "absent",
            Self::NotReached => "not reached",
        })
    }
}

/// A unit in a sentence.
struct Named<'a>(Option<&'a Unit>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(unit) => write!(f, "unit {unit}"),
            None => f.write_str("no unit"),
        }
    }
}

/// A value as JSON, cut where it is long.
struct Shown<'a>(&'a Value);

const SHOWN_CHARS: usize = 80;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            Value::Bool(flag) => return flag.fmt(f),
            Value::Number(number) => return number.fmt(f),
            Value::String(text) => format!("{text:?}"),
            Value::Json(json) => json.to_string(),
        };
        if text.chars().count() <= SHOWN_CHARS {
            return f.write_str(&text);
        }
        write!(f, "{}…", text.chars().take(SHOWN_CHARS).collect::<String>())
    }
}
