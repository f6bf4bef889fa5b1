//! Texts for enum values, times, durations and units, both ways.

use assay_core::key::{Unit, UnitKind};
use assay_proto::{Duration, Timestamp, common::v1 as common, convert};

use crate::error::Error;

/// An enum of the API, with its names.
pub(crate) trait Named: TryFrom<i32> + Into<i32> + Copy {
    /// What all its names begin with.
    const PREFIX: &'static str;

    /// The name on the wire.
    fn wire_name(self) -> &'static str;
}

macro_rules! named {
    ($($prefix:literal $enum:ty),+ $(,)?) => {$(
        impl Named for $enum {
            const PREFIX: &'static str = $prefix;

            fn wire_name(self) -> &'static str {
                self.as_str_name()
            }
        }
    )+};
}

named!(
    "FLAG_SOURCE_" assay_proto::config::v1::FlagSource,
    "FLAG_TYPE_" assay_proto::config::v1::FlagType,
    "OPERATOR_" assay_proto::config::v1::Operator,
    "CONDITION_KIND_" assay_proto::config::v1::ConditionKind,
    "CONDITION_OUTCOME_" assay_proto::config::v1::ConditionOutcome,
    "DIRECTION_" assay_proto::config::v1::Direction,
    "AGGREGATION_" assay_proto::config::v1::Aggregation,
    "METRIC_SOURCE_" assay_proto::config::v1::MetricSource,
    "EXPERIMENT_STATE_" assay_proto::config::v1::ExperimentState,
    "PAUSE_MODE_" assay_proto::config::v1::PauseMode,
    "OUTCOME_" assay_proto::config::v1::Outcome,
    "LIFECYCLE_ACTION_" assay_proto::config::v1::LifecycleAction,
    "ASSIGNMENT_SOURCE_" assay_proto::config::v1::AssignmentSource,
    "METRIC_ROLE_" assay_proto::config::v1::MetricRole,
    "END_ACTION_" assay_proto::config::v1::EndAction,
    "EXPOSURE_MODE_" assay_proto::config::v1::ExposureMode,
    "STICKY_" assay_proto::config::v1::Sticky,
    "ELIGIBILITY_" assay_proto::config::v1::Eligibility,
    "FLAGD_FRACTIONAL_" assay_proto::config::v1::FlagdFractional,
    "REPLICA_STATE_" assay_proto::config::v1::ReplicaState,
    "DIFFERENCE_KIND_" assay_proto::config::v1::DifferenceKind,
    "EXPERIMENT_STEP_" assay_proto::config::v1::ExperimentStep,
    "GATE_KIND_" assay_proto::assignment::v1::GateKind,
    "GATE_VERDICT_" assay_proto::assignment::v1::GateVerdict,
    "REASON_" assay_proto::assignment::v1::Reason,
    "RECORD_STATUS_" assay_proto::ingest::v1::RecordStatus,
    "METRIC_KIND_" assay_proto::analysis::v1::MetricKind,
    "METRIC_STATUS_" assay_proto::analysis::v1::MetricStatus,
    "METRIC_ROLE_" assay_proto::analysis::v1::MetricRole,
    "DIRECTION_" assay_proto::analysis::v1::Direction,
    "COMPARISON_STATUS_" assay_proto::analysis::v1::ComparisonStatus,
    "LIFT_STATUS_" assay_proto::analysis::v1::LiftStatus,
    "CLASSIC_TEST_" assay_proto::analysis::v1::ClassicTest,
);

/// The short name of an enum value; empty when it is not said.
pub(crate) fn name<E: Named>(value: E) -> String {
    let name = value.wire_name().trim_start_matches(E::PREFIX);
    if name == "UNSPECIFIED" {
        String::new()
    } else {
        name.to_owned()
    }
}

/// The short name of an enum field; one that this version does not know is its number.
pub(crate) fn name_of<E: Named>(number: i32) -> String {
    E::try_from(number).map_or_else(|_| number.to_string(), name)
}

/// The enum value of this name: short or long, in any case, `-` for `_`. The empty text is what is not said.
pub(crate) fn named<E: Named>(text: &str, field: &str) -> Result<E, Error> {
    let wanted = text.trim().to_uppercase().replace('-', "_");
    let wanted = if wanted.is_empty() {
        "UNSPECIFIED"
    } else {
        wanted.trim_start_matches(E::PREFIX)
    };
    let all: Vec<E> = (0..64).filter_map(|number| E::try_from(number).ok()).collect();
    let found = all
        .iter()
        .find(|value| value.wire_name().trim_start_matches(E::PREFIX) == wanted);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = all
            .iter()
            .map(|value| name(*value))
            .filter(|name| !name.is_empty())
            .collect();
        Error::Usage(format!("{field}: `{text}` is not one of {}", names.join(", ")))
    })
}

/// A time in RFC 3339; empty when there is none.
pub(crate) fn time(time: Option<Timestamp>) -> String {
    let known = time.and_then(|time| convert::timestamp_from(Some(time), "").ok());
    known.map(|time| time.to_string()).unwrap_or_default()
}

/// The time that an RFC 3339 text, or a date alone, says.
pub(crate) fn parse_time(text: &str, field: &str) -> Result<Option<Timestamp>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let full = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    let wrong = || {
        Error::Usage(format!(
            "{field}: `{text}` is not a time; write one like 2026-11-21T09:00:00Z"
        ))
    };
    full.parse().map(Some).map_err(|_| wrong())
}

/// A duration with the largest unit that is whole.
pub(crate) fn duration(duration: Option<Duration>) -> String {
    let Some(Duration { seconds, nanos }) = duration else {
        return String::new();
    };
    match (seconds, nanos) {
        (s, 0) if s % 86_400 == 0 => format!("{}d", s / 86_400),
        (s, 0) if s % 3_600 == 0 => format!("{}h", s / 3_600),
        (s, 0) if s % 60 == 0 => format!("{}m", s / 60),
        (s, 0) => format!("{s}s"),
        (s, n) => format!("{}s", format!("{s}.{n:09}").trim_end_matches('0')),
    }
}

/// The duration that a number with `d`, `h`, `m` or `s` says.
pub(crate) fn parse_duration(text: &str, field: &str) -> Result<Option<Duration>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        Error::Usage(format!(
            "{field}: `{text}` is not a duration; write one like 7d, 72h, 30m or 90s"
        ))
    };
    if text.contains('.') {
        return text.parse().map(Some).map_err(|_| wrong());
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit.trim() {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let seconds = number
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .ok_or_else(wrong)?;
    Ok(Some(Duration { seconds, nanos: 0 }))
}

/// A unit as text: `user/42`.
pub(crate) fn unit(unit: Option<common::Unit>) -> String {
    unit.map(|unit| format!("{}/{}", unit.kind, unit.id))
        .unwrap_or_default()
}

/// The unit that `kind/id` says; of kind `user` without a kind.
pub(crate) fn parse_unit(text: &str, field: &str) -> Result<Unit, Error> {
    let (kind, id) = text.split_once('/').unwrap_or(("user", text));
    let wrong = |error: assay_core::key::KeyError| Error::Usage(format!("{field}: `{text}` {error}"));
    Unit::new(UnitKind::new(kind).map_err(wrong)?, id).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use assay_proto::config::v1::{ExperimentState, Operator};

    use super::*;

    #[test]
    fn enum_values_go_by_short_or_long_names() {
        assert_eq!(name(ExperimentState::Running), "RUNNING");
        for text in ["running", "RUNNING", "EXPERIMENT_STATE_RUNNING"] {
            assert_eq!(
                named::<ExperimentState>(text, "state").unwrap(),
                ExperimentState::Running
            );
        }
        assert_eq!(named::<Operator>("", "operator").unwrap(), Operator::Unspecified);
        let error = named::<Operator>("like", "operator").unwrap_err().to_string();
        assert_eq!(
            error,
            "operator: `like` is not one of EQ, NEQ, IN, NIN, GT, GTE, LT, LTE, BETWEEN, EXISTS, CONTAINS, STARTS_WITH, ENDS_WITH, MATCHES, \
             SEMVER_EQ, SEMVER_GT, SEMVER_GTE, SEMVER_LT, SEMVER_LTE, SEMVER_BETWEEN, BEFORE, AFTER, DATE_BETWEEN"
        );
    }

    #[test]
    fn times_and_durations_come_back() {
        for text in ["2026-11-21T09:14:00.000001Z", "1969-12-31T23:59:59.999999Z"] {
            assert_eq!(time(parse_time(text, "t").unwrap()), text);
        }
        assert_eq!(
            time(parse_time("2026-11-21", "t").unwrap()),
            "2026-11-21T00:00:00.000000Z"
        );
        assert!(parse_time("soon", "t").is_err());
        for text in ["7d", "25h", "90m", "61s", "1.5s"] {
            assert_eq!(duration(parse_duration(text, "d").unwrap()), text);
        }
        for text in ["7", "d", "-1d", "7w"] {
            assert!(parse_duration(text, "d").is_err(), "{text}");
        }
    }

    #[test]
    fn units_are_users_unless_they_say_otherwise() {
        assert_eq!(parse_unit("42", "u").unwrap().to_string(), "user/42");
        assert_eq!(parse_unit("device/a/b", "u").unwrap().to_string(), "device/a/b");
        assert!(parse_unit("", "u").is_err());
    }
}
