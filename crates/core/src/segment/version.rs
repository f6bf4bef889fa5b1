//! Semantic versions, compared as they stand in a text.

use std::cmp::Ordering;

/// The parts of a version that decide its precedence; what stands behind `+` does not.
///
/// Grammar and precedence as of <https://semver.org>, version 2.0.0; in addition minor and patch may be missing (`2.1` is `2.1.0`), as in
/// the versions of many apps. Numbers may be of any size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version<S> {
    /// Major, minor, patch: digits without leading zeros.
    numbers: [S; 3],
    /// What stands behind `-`; empty for a release.
    pre_release: S,
}

impl<'a> Version<&'a str> {
    /// The version that `text` is. Does not allocate.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (text, build) = text
            .split_once('+')
            .map_or((text, None), |(text, build)| (text, Some(build)));
        let (core, pre_release) = text
            .split_once('-')
            .map_or((text, None), |(core, pre)| (core, Some(pre)));
        let mut numbers = core.split('.');
        let (major, minor, patch) = (numbers.next()?, numbers.next(), numbers.next());
        let numbers_end = numbers.next().is_none();
        let parsed = Self {
            numbers: [major, minor.unwrap_or("0"), patch.unwrap_or("0")],
            pre_release: pre_release.unwrap_or_default(),
        };
        let sound = numbers_end
            && parsed.numbers.iter().all(|number| is_number(number))
            && pre_release.is_none_or(|pre| pre.split('.').all(is_pre_release))
            && build.is_none_or(|build| build.split('.').all(is_identifier));
        sound.then_some(parsed)
    }

    /// The same with texts of its own.
    pub(super) fn to_owned(self) -> Version<String> {
        Version {
            numbers: self.numbers.map(str::to_owned),
            pre_release: self.pre_release.to_owned(),
        }
    }
}

impl<S: AsRef<str>> Version<S> {
    /// Precedence of this version against `other`.
    pub(super) fn precedence<T: AsRef<str>>(&self, other: &Version<T>) -> Ordering {
        for (a, b) in self.numbers.iter().zip(&other.numbers) {
            match by_value(a.as_ref(), b.as_ref()) {
                Ordering::Equal => {}
                decided => return decided,
            }
        }
        match (self.pre_release.as_ref(), other.pre_release.as_ref()) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (a, b) => pre_release_precedence(a, b),
        }
    }
}

fn pre_release_precedence(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (is_digits(a), is_digits(b)) {
                (true, true) => by_value(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Numbers without leading zeros in the order of their values.
fn by_value(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    is_digits(text) && (text == "0" || !text.starts_with('0'))
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_pre_release(text: &str) -> bool {
    is_identifier(text) && (!is_digits(text) || is_number(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version<&str> {
        Version::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    /// The example of semver.org, §11, with more around it.
    #[test]
    fn precedence_is_that_of_semver_org() {
        let ascending = [
            "0.9.9",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.2.0",
            "1.10.0",
            "2.0.0",
            "99999999999999999999.0.0",
            "100000000000000000000.0.0",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(
                    version(a).precedence(&version(b).to_owned()),
                    i.cmp(&j),
                    "{a} {b}"
                );
            }
        }
    }

    #[test]
    fn what_stands_behind_a_plus_and_missing_zeros_do_not_count() {
        for (a, b) in [
            ("1.0.0+a.1", "1.0.0+b"),
            ("1.0.0", "1"),
            ("2.1", "2.1.0"),
            ("2.1-rc", "2.1.0-rc"),
        ] {
            assert_eq!(version(a).precedence(&version(b)), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in [
            "",
            "v1.0.0",
            "1.0.0.0",
            "01.0.0",
            "1..0",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0-a..b",
            "1.0.0+",
            "1.0.0+a_b",
            " 1.0.0",
            "-1.0.0",
            "1.0.x",
            "ten",
        ] {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }
}
