use std::time::Duration;

use assay_core::time::Timestamp;

use super::required;
use crate::field::FieldErrors;

const MICROS: i64 = 1_000_000;
/// 0001-01-01T00:00:00Z, the least instant of a `Timestamp` message, in seconds.
const MIN_SECONDS: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, the last second of a `Timestamp` message.
const MAX_SECONDS: i64 = 253_402_300_799;
/// The longest `Duration` message, in seconds: about 10,000 years.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

/// The message of an instant; one beyond the years 1 to 9999 becomes the nearest that a message can hold.
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let micros = time
        .micros()
        .clamp(MIN_SECONDS * MICROS, MAX_SECONDS * MICROS + (MICROS - 1));
    let nanos = micros.rem_euclid(MICROS) * 1000;
    prost_types::Timestamp {
        seconds: micros.div_euclid(MICROS),
        nanos: i32::try_from(nanos).expect("less than 10^9"),
    }
}

/// An instant that must be there, truncated to microseconds.
///
/// # Errors
/// Absent, or outside the years 1 to 9999.
pub fn timestamp_from(time: Option<prost_types::Timestamp>, field: &str) -> Result<Timestamp, FieldErrors> {
    let time = required(time, field)?;
    let in_range =
        (MIN_SECONDS..=MAX_SECONDS).contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    if !in_range {
        let message =
            "is outside the years 1 to 9999, or its nanos are not 0 to 999,999,999; give a valid instant";
        return Err(FieldErrors::one(field, "TIME_RANGE", message));
    }
    Ok(Timestamp::from_micros(
        time.seconds * MICROS + i64::from(time.nanos) / 1000,
    ))
}

/// An instant that need not be there.
///
/// # Errors
/// Outside the years 1 to 9999.
pub fn optional_timestamp_from(
    time: Option<prost_types::Timestamp>,
    field: &str,
) -> Result<Option<Timestamp>, FieldErrors> {
    time.map(|time| timestamp_from(Some(time), field)).transpose()
}

/// The message of a duration; one that is too long for a message becomes the longest.
pub fn duration(duration: Duration) -> prost_types::Duration {
    match i64::try_from(duration.as_secs()) {
        Ok(seconds) if seconds <= MAX_DURATION_SECONDS => prost_types::Duration {
            seconds,
            nanos: i32::try_from(duration.subsec_nanos()).expect("less than 10^9"),
        },
        _ => prost_types::Duration {
            seconds: MAX_DURATION_SECONDS,
            nanos: 0,
        },
    }
}

/// A duration: above zero, whole microseconds, at most 10,000 years.
///
/// # Errors
/// Anything else.
pub fn duration_from(duration: prost_types::Duration, field: &str) -> Result<Duration, FieldErrors> {
    let error = |message| Err(FieldErrors::one(field, "DURATION", message));
    let parts = (u64::try_from(duration.seconds), u32::try_from(duration.nanos));
    let (Ok(seconds), Ok(nanos)) = parts else {
        return error("is negative; give a duration above zero");
    };
    if nanos >= 1_000_000_000 || duration.seconds > MAX_DURATION_SECONDS {
        return error(
            "is longer than 10,000 years, or its nanos are not 0 to 999,999,999; give a shorter one",
        );
    }
    if nanos % 1000 != 0 {
        return error("has a fraction of a microsecond; give whole microseconds");
    }
    if seconds == 0 && nanos == 0 {
        return error("is zero; give a duration above zero");
    }
    Ok(Duration::new(seconds, nanos))
}
