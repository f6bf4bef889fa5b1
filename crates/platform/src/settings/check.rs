use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ENV_PREFIX, SettingsError};

/// A setting whose value is readable and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongValue {
    /// The key with its section, such as `analysis.readers`.
    pub key: String,
    /// What is wrong, the range, and what to give instead; continues the key. Never holds a secret.
    pub problem: String,
}

impl Display for WrongValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable = self.key.to_uppercase().replace('.', "__");
        write!(
            f,
            "setting `{}` ({ENV_PREFIX}{variable}) {}",
            self.key, self.problem
        )
    }
}

/// Looks at the values of one section and collects all that are wrong, so that an operator mends them in one go.
///
/// Every settings struct has a `check` that returns one; its owner joins them and stops the start with [`Check::done`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "what is wrong is known, and nobody is told"]
pub struct Check {
    section: String,
    wrong: Vec<WrongValue>,
}

impl Check {
    /// For the keys of `section`, such as `analysis` or `assignment.exposures`.
    pub fn section(section: &str) -> Self {
        Self {
            section: section.to_owned(),
            wrong: Vec::new(),
        }
    }

    /// A number must be in `range`; limits are good values.
    pub fn number<N: PartialOrd + Display>(&mut self, key: &str, value: N, range: &RangeInclusive<N>) {
        if !range.contains(&value) {
            self.refuse(
                key,
                format!("is {value}; give {} to {}", range.start(), range.end()),
            );
        }
    }

    /// A size in bytes must be in `range`; limits are good values.
    pub fn bytes(&mut self, key: &str, value: u64, range: &RangeInclusive<u64>) {
        if !range.contains(&value) {
            let (least, most) = (range.start(), range.end());
            let words = format!("{} to {}", size(*least), size(*most));
            self.refuse(key, format!("is {value}; give {least} to {most} bytes ({words})"));
        }
    }

    /// A duration must be in `range`; limits are good values.
    pub fn duration(&mut self, key: &str, value: Duration, range: &RangeInclusive<Duration>) {
        if !range.contains(&value) {
            let [value, least, most] = [value, *range.start(), *range.end()].map(written);
            self.refuse(key, format!("is {value}; give {least} to {most}"));
        }
    }

    /// A text that other texts are made from, such as a prefix of keys: 1 to 200 visible ASCII characters.
    pub fn word(&mut self, key: &str, value: &str) {
        const LENGTH: RangeInclusive<usize> = 1..=200;
        if !LENGTH.contains(&value.len()) || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            let problem =
                format!("is {value:?}; give 1 to 200 ASCII letters, digits or signs, without spaces");
            self.refuse(key, problem);
        }
    }

    /// The address of a gRPC server, such as `http://config:7071`.
    pub fn server(&mut self, key: &str, value: &str) {
        if let Err(error) = crate::channel::check_address(value) {
            self.refuse(key, format!("is wrong: {error}"));
        }
    }

    /// Any other rule: `problem` continues the key, and says what to give instead.
    pub fn refuse(&mut self, key: &str, problem: impl Into<String>) {
        let key = match self.section.as_str() {
            "" => key.to_owned(),
            section => format!("{section}.{key}"),
        };
        self.wrong.push(WrongValue {
            key,
            problem: problem.into(),
        });
    }

    /// Takes over what another section found.
    pub fn join(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
    }

    /// What was found, in the order in which it was looked at.
    #[must_use]
    pub fn wrong(&self) -> &[WrongValue] {
        &self.wrong
    }

    /// Ends the check.
    ///
    /// # Errors
    /// [`SettingsError::Values`] with everything that is wrong.
    pub fn done(self) -> Result<(), SettingsError> {
        match self.wrong.is_empty() {
            true => Ok(()),
            false => Err(SettingsError::Values { wrong: self.wrong }),
        }
    }
}

/// One sentence for one wrong value; several have a line each.
pub(super) fn sentences(wrong: &[WrongValue]) -> String {
    match wrong {
        [one] => one.to_string(),
        all => {
            let lines = all.iter().map(|one| format!("\n  {one}"));
            format!("{} settings are wrong:{}", all.len(), lines.collect::<String>())
        }
    }
}

/// A duration as a settings file has it, with the largest unit that is whole.
fn written(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.as_millis());
    match seconds {
        _ if millis % 1_000 != 0 => format!("{millis}ms"),
        0 => "0s".to_owned(),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// A number of bytes in the largest unit that is whole.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units
        .into_iter()
        .find(|(shift, _)| bytes >> shift > 0 && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(
        || format!("{bytes} bytes"),
        |(shift, unit)| format!("{} {unit}", bytes >> shift),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(look: impl FnOnce(&mut Check)) -> Vec<String> {
        let mut check = Check::section("a.b");
        look(&mut check);
        check.wrong().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sentence_names_key_variable_value_and_range() {
        assert_eq!(
            problems(|check| check.number("c_d", 0_u32, &(1..=7))),
            ["setting `a.b.c_d` (ASSAY__A__B__C_D) is 0; give 1 to 7"]
        );
        let limits = Duration::from_millis(250)..=Duration::from_secs(7_200);
        assert_eq!(
            problems(|check| check.duration("d", Duration::from_secs(7_260), &limits)),
            ["setting `a.b.d` (ASSAY__A__B__D) is 121m; give 250ms to 2h"]
        );
        assert_eq!(
            problems(|check| check.bytes("s", 1, &(65_536..=1 << 40))),
            ["setting `a.b.s` (ASSAY__A__B__S) is 1; give 65536 to 1099511627776 bytes (64 KiB to 1 TiB)"]
        );
        let server = problems(|check| check.server("s", "config:7071"));
        assert!(server[0].contains("begin with `http://`"), "{server:?}");
    }

    #[test]
    fn limits_are_good_values_and_what_is_no_number_is_not() {
        for good in [0.0, 0.5, 1.0] {
            assert!(problems(|check| check.number("n", good, &(0.0..=1.0))).is_empty());
        }
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(problems(|check| check.number("n", bad, &(0.0..=1.0))).len(), 1);
        }
        for word in ["a", "/assay", &"x".repeat(200)] {
            assert!(problems(|check| check.word("w", word)).is_empty(), "{word}");
        }
        for word in ["", " ", "a b", "ä", "a\n", &"x".repeat(201)] {
            assert_eq!(problems(|check| check.word("w", word)).len(), 1, "{word:?}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let mut check = Check::section("a");
        assert!(check.clone().done().is_ok());
        check.number("x", 0, &(1..=2));
        let mut other = Check::section("b");
        other.refuse("y", "is empty; give a name");
        check.join(other);
        let text = check.done().unwrap_err().to_string();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(
            text.starts_with("2 settings are wrong:\n  setting `a.x` "),
            "{text}"
        );
        assert!(
            text.ends_with("setting `b.y` (ASSAY__B__Y) is empty; give a name"),
            "{text}"
        );
    }

    #[test]
    fn durations_and_sizes_are_in_whole_units() {
        assert_eq!(written(Duration::ZERO), "0s");
        assert_eq!(written(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(written(Duration::from_secs(90)), "90s");
        assert_eq!(size(1_025), "1025 bytes");
        assert_eq!(size(3 << 20), "3 MiB");
    }
}
