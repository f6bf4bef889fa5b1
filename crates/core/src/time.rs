//! Instants and days, as arguments: this crate has no clock.

use std::{fmt, time::Duration};

/// Microseconds in a day of 24 hours.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// An instant: microseconds since 1970-01-01T00:00:00Z, the precision that every store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The least instant; nothing is known to have happened before it.
    pub const MIN: Self = Self(i64::MIN);
    /// The greatest instant.
    pub const MAX: Self = Self(i64::MAX);

    /// The instant `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The instant that `text` says: RFC 3339 with an offset (`2026-11-21T09:14:00.5+01:00`), or a date alone, which is its first instant
    /// in UTC. Digits beyond the microsecond are dropped. Does not allocate.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.get(10..11) {
            None => (text, None),
            Some("T" | "t" | " ") => (text.get(..10)?, text.get(11..)),
            Some(_) => return None,
        };
        let days = parse_date(date)?;
        let micros = time.map_or(Some(0), parse_time)?;
        days.checked_mul(MICROS_PER_DAY)?.checked_add(micros).map(Self)
    }

    /// This instant moved later by `duration`, at most [`Timestamp::MAX`].
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// The time from `earlier` to this instant; none when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The UTC day that contains this instant.
    pub fn day(self) -> Day {
        let day = self.0.div_euclid(MICROS_PER_DAY);
        Day(i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX }))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds, such as `2026-11-21T09:14:00.000000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(MICROS_PER_DAY);
        let micros = self.0.rem_euclid(MICROS_PER_DAY);
        let (year, month, day) = civil_from_days(days);
        let seconds = micros.div_euclid(1_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let fraction = micros.rem_euclid(1_000_000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z"
        )
    }
}

/// A UTC day: whole days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(i64::from(self.0));
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// The day number of `YYYY-MM-DD`.
fn parse_date(text: &str) -> Option<i64> {
    let (year, rest) = (text.get(..4)?, text.get(4..)?.strip_prefix('-')?);
    let (month, day) = rest.split_once('-')?;
    let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
    let days = days_from_civil(year, month, day);
    // What is no date, such as February 30, comes back as another one.
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

/// The microseconds since midnight UTC of `hh:mm:ss[.f](Z|±hh:mm)`; a leap second is the first instant of the next minute.
fn parse_time(text: &str) -> Option<i64> {
    let (clock, rest) = (text.get(..8)?, text.get(8..)?);
    let mut parts = clock.splitn(3, ':');
    let hour = digits(parts.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = digits(parts.next()?, 2).filter(|minute| *minute < 60)?;
    let second = digits(parts.next()?, 2).filter(|second| *second <= 60)?;
    let (fraction, offset) = match rest.strip_prefix('.') {
        None => ("0", rest),
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
    };
    if fraction.is_empty() {
        return None;
    }
    let mut micros = 0_i64;
    for digit in fraction.bytes().chain(std::iter::repeat(b'0')).take(6) {
        micros = micros
            .checked_mul(10)?
            .checked_add(i64::from(digit.checked_sub(b'0')?))?;
    }
    let offset = match offset {
        "Z" | "z" => 0,
        signed => {
            let (hours, minutes) = signed.get(1..)?.split_once(':')?;
            let hours = digits(hours, 2).filter(|hours| *hours < 24)?;
            let minutes = digits(minutes, 2).filter(|minutes| *minutes < 60)?;
            let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
            match signed.get(..1)? {
                "+" => minutes,
                "-" => minutes.checked_neg()?,
                _ => return None,
            }
        }
    };
    let minutes = hour.checked_mul(60)?.checked_add(minute)?.checked_sub(offset)?;
    let seconds = minutes.checked_mul(60)?.checked_add(second)?;
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

/// The number that exactly `n` ASCII digits say.
fn digits(text: &str, n: usize) -> Option<i64> {
    let sound = text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    sound.then(|| text.parse().ok()).flatten()
}

/// Day number of a Gregorian date. Source: as [`civil_from_days`], `days_from_civil`.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "years of four digits and numbers of two keep every term far inside i64"
)]
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Gregorian date of a day number. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "|days| ≤ 2^63 / 86.4e9 keeps every term far inside i64"
)]
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339() {
        assert_eq!(
            Timestamp::from_micros(0).to_string(),
            "1970-01-01T00:00:00.000000Z"
        );
        assert_eq!(
            Timestamp::from_micros(951_782_400_000_001).to_string(),
            "2000-02-29T00:00:00.000001Z"
        );
        assert_eq!(
            Timestamp::from_micros(-1).to_string(),
            "1969-12-31T23:59:59.999999Z"
        );
    }

    #[test]
    fn reads_what_it_prints_and_other_offsets() {
        for micros in [
            0,
            -1,
            951_782_400_000_001,
            253_402_300_799_999_999,
            -62_135_596_800_000_000,
        ] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(Timestamp::parse(&time.to_string()), Some(time), "{time}");
        }
        for (text, same) in [
            ("2026-11-21", "2026-11-21T00:00:00Z"),
            ("2026-11-21 09:14:00z", "2026-11-21T09:14:00.000Z"),
            ("2026-11-21T00:30:00+01:00", "2026-11-20T23:30:00Z"),
            ("2026-11-21T23:30:00.1234567-01:00", "2026-11-22T00:30:00.123456Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ] {
            let (a, b) = (Timestamp::parse(text), Timestamp::parse(same));
            assert!(a.is_some() && a == b, "{text} {same}: {a:?} {b:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-11-31",
            "2025-02-29",
            "2026-13-01",
            "2026-00-01",
            "26-11-21",
            "2026-11-21T",
            "2026-11-21T09",
            "2026-11-21T09:14:00",
            "2026-11-21T24:00:00Z",
            "2026-11-21T09:60:00Z",
            "2026-11-21T09:14:00.Z",
            "2026-11-21T09:14:00.5",
            "2026-11-21T09:14:00+0100",
            "2026-11-21T09:14:00+24:00",
            "2026-11-21T09:14:00 Z",
            "2026-11-2\u{664}",
            "+026-11-21",
            "21.11.2026",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn differences_are_never_negative() {
        let (early, late) = (Timestamp::from_micros(-3), Timestamp::from_micros(4));
        assert_eq!(late.since(early), Duration::from_micros(7));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.plus(late.since(early)), late);
    }

    #[test]
    fn days_are_floors() {
        assert_eq!(Timestamp::from_micros(-1).day(), Day(-1));
        assert_eq!(Timestamp::from_micros(MICROS_PER_DAY).day(), Day(1));
    }
}
