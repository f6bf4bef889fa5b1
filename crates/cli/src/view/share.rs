//! Shares as people write them: `33%`, `0.33`, or a bare number; in the API ten-thousandths.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::output::number;

/// A share in ten-thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(pub(crate) u32);

impl std::str::FromStr for Share {
    type Err = String;

    /// `33%` is a percentage; a number up to 1 is a fraction; any other number a percentage. What ten-thousandths cannot say exactly is
    /// refused, as is more than 100 %.
    fn from_str(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let (digits, is_percent) = match trimmed.strip_suffix('%') {
            Some(digits) => (digits.trim_end(), true),
            None => (trimmed, false),
        };
        let wrong = || format!("`{text}` is not a share; write one like 33% or 0.33");
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let is_number =
            !(whole.is_empty() && fraction.is_empty()) && all_digits(whole) && all_digits(fraction);
        if !is_number || whole.len() > 5 {
            return Err(wrong());
        }
        let fraction = fraction.trim_end_matches('0');
        let whole: u32 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| wrong())?
        };
        let is_fraction = !is_percent && (whole == 0 || (whole == 1 && fraction.is_empty()));
        let places: usize = if is_fraction { 4 } else { 2 };
        if fraction.len() > places {
            return Err(format!(
                "`{text}` is finer than 0.01 %; write at most {places} decimals"
            ));
        }
        let scale = 10_u32.pow(u32::try_from(places).unwrap_or_default());
        let fraction: u32 = format!("{fraction:0<places$}").parse().map_err(|_| wrong())?;
        match whole * scale + fraction {
            share if share <= 10_000 => Ok(Self(share)),
            _ => Err(format!("`{text}` is more than 100 %")),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&number::share(self.0))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        text.parse().map_err(D::Error::custom)
    }
}

/// The weights of variants: one that is left out gets what remains of 100 %; none at all split evenly.
///
/// # Errors
/// A sentence that says what does not add up.
pub(crate) fn weights(given: &[Option<Share>]) -> Result<Vec<u32>, String> {
    let missing = given.iter().filter(|share| share.is_none()).count();
    if missing == given.len() {
        return Ok(vec![0; given.len()]);
    }
    let sum: u32 = given.iter().flatten().map(|share| share.0).sum();
    match (missing, 10_000_u32.checked_sub(sum)) {
        (_, None) => Err(format!("weights sum to {}, more than 100%", number::share(sum))),
        (0, Some(0)) => Ok(given.iter().flatten().map(|share| share.0).collect()),
        (0, Some(_)) => Err(format!(
            "weights sum to {}; change them so that they sum to 100%",
            number::share(sum)
        )),
        (1, Some(rest)) => Ok(given
            .iter()
            .map(|share| share.map_or(rest, |share| share.0))
            .collect()),
        (n, Some(_)) => Err(format!(
            "{n} variants have no weight; give all but one, or none for an even split"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages_or_fractions() {
        let cases = [
            ("33%", 3300),
            ("33.34 %", 3334),
            ("0.33", 3300),
            ("0.3334", 3334),
            (".5", 5000),
            ("1", 10_000),
            ("1%", 100),
            ("1.0", 10_000),
            ("1.5", 150),
            ("33", 3300),
            ("100", 10_000),
            ("0", 0),
            ("100%", 10_000),
        ];
        for (text, share) in cases {
            assert_eq!(text.parse(), Ok(Share(share)), "{text}");
        }
        for text in [
            "", "%", "abc", "-1%", "0.33333", "33.333%", "101%", "100.01%", "1e3", "999999%", ".",
        ] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_weight_may_be_the_rest() {
        let some = |shares: &[u32]| shares.iter().map(|s| Some(Share(*s))).collect::<Vec<_>>();
        assert_eq!(weights(&[None, Some(Share(2500))]), Ok(vec![7500, 2500]));
        assert_eq!(weights(&[None, None]), Ok(vec![0, 0]));
        assert_eq!(weights(&some(&[5000, 5000])), Ok(vec![5000, 5000]));
        for wrong in [
            some(&[5000, 4000]),
            some(&[9000, 2000]),
            vec![None, None, Some(Share(1))],
        ] {
            assert!(weights(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn files_may_say_numbers_or_texts() {
        let read: Vec<Share> = serde_yaml_ng::from_str("[33%, 0.25, 50, '0.5']").unwrap();
        assert_eq!(read, [Share(3300), Share(2500), Share(5000), Share(5000)]);
        assert_eq!(serde_json::to_string(&read[0]).unwrap(), "\"33%\"");
    }
}
