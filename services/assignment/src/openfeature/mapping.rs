//! What OpenFeature is told of an assignment. Pure: `docs/openfeature.md` has the table, the tests go through it.

use assay_core::{
    assign::{Assignment, Reason as Cause},
    snapshot::{Described, Snapshot},
    value::{Value, ValueType},
};

/// The variant of a default of a flag without variations: providers ignore a value without a variant.
const DEFAULT_VARIANT: &str = "default";
/// The variant of a value that an override gives and no variation names.
const OVERRIDE_VARIANT: &str = "override";

/// A reason of OpenFeature. Those that providers set themselves (`CACHED`, `STALE`) are never ours to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The same for everyone: providers keep it by the flag's key alone, until it changes.
    Static,
    /// Given to this unit in particular, or for a while not to be kept.
    TargetingMatch,
    /// By the split of a running experiment.
    Split,
    /// The flag's default.
    Default,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Split => "SPLIT",
            Self::Default => "DEFAULT",
        }
    }
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No such flag, here or for this caller.
    FlagNotFound,
    /// The flag is broken, and no good version of it was seen.
    ParseError,
    /// The flag is of another type than was asked for.
    TypeMismatch {
        /// What it is.
        is: ValueType,
        /// What was asked for.
        asked: Asked,
    },
    /// The experiment splits, and nobody says whom.
    TargetingKeyMissing,
}

/// What kind of value is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Any: the caller looks itself.
    Any,
    /// A boolean.
    Boolean,
    /// A text.
    String,
    /// A 64-bit floating point number.
    Float,
    /// A whole number, if nothing is lost by it.
    Int,
    /// A JSON object.
    Object,
}

impl Asked {
    fn allows(self, value_type: ValueType) -> bool {
        match self {
            Self::Any => true,
            Self::Boolean => value_type == ValueType::Boolean,
            Self::String => value_type == ValueType::String,
            Self::Float | Self::Int => value_type == ValueType::Number,
            Self::Object => value_type == ValueType::Json,
        }
    }

    /// Whether `value`, of a type that is allowed, can be given as what is asked for.
    fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Int, Value::Number(number)) => whole(*number).is_some(),
            // The protocol has a place for objects only.
            (Self::Object, Value::Json(json)) => json.is_object(),
            _ => true,
        }
    }
}

/// The whole number that `number` is, as far as numbers of a message are exact.
pub(crate) fn whole(number: f64) -> Option<i64> {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let is_whole = number.fract() == 0.0 && number.abs() <= MAX_EXACT;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^53")]
    is_whole.then_some(number as i64)
}

/// What an answer depends on besides the assignment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// Whether a unit was named.
    pub(crate) has_unit: bool,
    /// Whether the generation was served here for long enough that every other replica serves it, too.
    pub(crate) is_settled: bool,
}

/// What is told of a flag. The value and the names are those of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Told<'s> {
    pub(crate) value: &'s Value,
    /// Never empty.
    pub(crate) variant: &'s str,
    pub(crate) reason: Reason,
}

/// What is told of `decided`, the answer of `snapshot` for `key`.
pub(crate) fn tell<'s>(
    snapshot: &'s Snapshot,
    key: &str,
    asked: Asked,
    decided: &Assignment<'s>,
    circumstances: Circumstances,
) -> Result<Told<'s>, Problem> {
    let unknown = || match snapshot.is_quarantined(key) {
        true => Problem::ParseError,
        false => Problem::FlagNotFound,
    };
    let described = snapshot.describe(key).ok_or_else(unknown)?;
    let mismatch = || Problem::TypeMismatch {
        is: described.value_type,
        asked,
    };
    if !asked.allows(described.value_type) {
        return Err(mismatch());
    }
    let told = told(&described, decided, circumstances)?;
    if asked.takes(told.value) {
        Ok(told)
    } else {
        Err(mismatch())
    }
}

fn told<'s>(
    described: &Described<'s>,
    decided: &Assignment<'s>,
    circumstances: Circumstances,
) -> Result<Told<'s>, Problem> {
    let value = decided.value.ok_or(Problem::FlagNotFound)?;
    let variant = decided.variant.map(|key| key.as_str());
    let (variant, value, reason) = match (decided.reason, described.everyone) {
        (Cause::UnknownFlag, _) => return Err(Problem::FlagNotFound),
        // Who is not known gets what everyone gets.
        (Cause::Winner | Cause::NoUnit, Some((winner, value))) => {
            let reason = match circumstances.is_settled {
                true => Reason::Static,
                false => Reason::TargetingMatch,
            };
            (Some(winner.as_str()), value, reason)
        }
        (Cause::NoUnit, None) if described.splits && !circumstances.has_unit => {
            return Err(Problem::TargetingKeyMissing);
        }
        (Cause::Split, _) => (variant, value, Reason::Split),
        (Cause::Winner, None) => (variant, value, Reason::TargetingMatch),
        (Cause::Override, _) => (variant.or(Some(OVERRIDE_VARIANT)), value, Reason::TargetingMatch),
        (
            Cause::NoExperiment
            | Cause::Scheduled
            | Cause::NotInSegment
            | Cause::NotInCoverage
            | Cause::Holdout
            | Cause::LayerExcluded
            | Cause::PrerequisiteFailed
            | Cause::Paused
            | Cause::EnrollmentHeld
            | Cause::Completed
            | Cause::Ended
            | Cause::Archived
            | Cause::Degraded
            | Cause::NoUnit,
            _,
        ) => (
            described.first_variation.map(|key| key.as_str()),
            value,
            Reason::Default,
        ),
    };
    Ok(Told {
        value,
        variant: variant.unwrap_or(DEFAULT_VARIANT),
        reason,
    })
}

#[cfg(test)]
mod tests;
