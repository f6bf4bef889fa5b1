//! Where in a response body a flag's value belongs.

use std::fmt;

/// Longest path, in bytes.
pub const MAX_TARGET_PATH_BYTES: usize = 256;
/// Most steps of a path.
pub const MAX_TARGET_PATH_STEPS: usize = 16;
/// Most digits of a position in a list.
const MAX_INDEX_DIGITS: usize = 6;

/// The place of one value in a JSON response body, such as `data.gems_reward` or `data.items[0]["unit price"]`.
///
/// Grammar: `path = step { "." name | index }`, where the first step is a name; `name` begins with a letter or `_` and goes on with letters,
/// digits, `_` and `-`, all ASCII; `index` is a position in a list, `[0]`, or any other name as a JSON string, `["unit price"]`. A path names
/// one existing place: there are no wildcards, and whoever applies it creates no field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetPath(String);

/// Why a text is no [`TargetPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetPathError {
    /// The text is longer than [`MAX_TARGET_PATH_BYTES`].
    #[error("has {bytes} bytes; at most {MAX_TARGET_PATH_BYTES} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The path has more than [`MAX_TARGET_PATH_STEPS`] steps.
    #[error("has more than {MAX_TARGET_PATH_STEPS} steps; name a place nearer to the root")]
    TooManySteps,
    /// Something else stands where a part of the path must.
    #[error(
        "has {found} at character {at}, where {expected} must stand; write a path like data.gems_reward or data.items[0].price"
    )]
    Unexpected {
        /// The first wrong character, counted from 1.
        at: usize,
        /// What stands there.
        found: String,
        /// What must.
        expected: &'static str,
    },
}

impl TargetPath {
    /// Checks the grammar of a path.
    ///
    /// # Errors
    /// [`TargetPathError`] says what is wrong, and where.
    pub fn new(text: impl Into<String>) -> Result<Self, TargetPathError> {
        let text = text.into();
        if text.len() > MAX_TARGET_PATH_BYTES {
            return Err(TargetPathError::TooLong { bytes: text.len() });
        }
        let mut reader = Reader {
            all: &text,
            rest: &text,
        };
        reader.name()?;
        let mut steps = 1_usize;
        while !reader.rest.is_empty() {
            reader.step()?;
            steps = steps.saturating_add(1);
        }
        if steps > MAX_TARGET_PATH_STEPS {
            return Err(TargetPathError::TooManySteps);
        }
        Ok(Self(text))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct Reader<'t> {
    all: &'t str,
    rest: &'t str,
}

impl Reader<'_> {
    /// `.name`, `[0]` or `["name"]`.
    fn step(&mut self) -> Result<(), TargetPathError> {
        if self.take(".") {
            return self.name();
        }
        if !self.take("[") {
            return Err(self.unexpected("`.` or `[`"));
        }
        if self.rest.starts_with('"') {
            self.quoted()?;
        } else {
            self.index()?;
        }
        if self.take("]") {
            Ok(())
        } else {
            Err(self.unexpected("`]`"))
        }
    }

    fn name(&mut self) -> Result<(), TargetPathError> {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let more = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !self.rest.starts_with(first) {
            return Err(self.unexpected("a name that begins with a letter or `_`"));
        }
        self.rest = self.rest.trim_start_matches(more);
        Ok(())
    }

    fn index(&mut self) -> Result<(), TargetPathError> {
        let after = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = self.rest.strip_suffix(after).unwrap_or_default();
        let is_plain = digits == "0" || !digits.starts_with('0');
        if digits.is_empty() || !is_plain || digits.len() > MAX_INDEX_DIGITS {
            return Err(self.unexpected("a position from 0 to 999999 or a name in double quotes"));
        }
        self.rest = after;
        Ok(())
    }

    /// A JSON string that is not empty.
    fn quoted(&mut self) -> Result<(), TargetPathError> {
        let mut texts = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        match texts.next() {
            Some(Ok(name)) if !name.is_empty() => {
                self.rest = self.rest.get(texts.byte_offset()..).unwrap_or_default();
                Ok(())
            }
            _ => Err(self.unexpected("a name as a JSON string")),
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let after = self.rest.strip_prefix(word);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn unexpected(&self, expected: &'static str) -> TargetPathError {
        let before = self.all.strip_suffix(self.rest).unwrap_or_default();
        TargetPathError::Unexpected {
            at: before.chars().count().saturating_add(1),
            found: self
                .rest
                .chars()
                .next()
                .map_or("nothing".to_owned(), |c| format!("{c:?}")),
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_one_place() {
        for path in [
            "gems",
            "data.gems_reward",
            "_a.b-2[0][12].c",
            r#"data["unit price"].x"#,
            r#"data["a\"]b"]"#,
            "a[999999]",
        ] {
            assert_eq!(
                TargetPath::new(path).map(|path| path.to_string()),
                Ok(path.to_owned())
            );
        }
        assert!(TargetPath::new(["a"; MAX_TARGET_PATH_STEPS].join(".")).is_ok());
        assert!(TargetPath::new("a".repeat(MAX_TARGET_PATH_BYTES)).is_ok());
    }

    #[test]
    fn what_is_no_path_says_where_and_what_to_write() {
        let unexpected = |path: &str| match TargetPath::new(path) {
            Err(TargetPathError::Unexpected { at, found, .. }) => (at, found),
            other => panic!("{path}: {other:?}"),
        };
        for (path, at, found) in [
            ("", 1, "nothing"),
            ("$.data", 1, "'$'"),
            (".data", 1, "'.'"),
            ("data.", 6, "nothing"),
            ("data..x", 6, "'.'"),
            ("data x", 5, "' '"),
            ("größe", 3, "'ö'"),
            ("a.[0]", 3, "'['"),
            ("a[*]", 3, "'*'"),
            ("a[-1]", 3, "'-'"),
            ("a[01]", 3, "'0'"),
            ("a[1234567]", 3, "'1'"),
            ("a[0", 4, "nothing"),
            (r#"a[""]"#, 3, "'\"'"),
            (r#"a["b]"#, 3, "'\"'"),
            ("[0]", 1, "'['"),
        ] {
            assert_eq!(unexpected(path), (at, found.to_owned()), "{path}");
        }
        let message = TargetPath::new("data.#").unwrap_err().to_string();
        let expected = "has '#' at character 6, where a name that begins with a letter or `_` must stand; write a path like \
                        data.gems_reward or data.items[0].price";
        assert_eq!(message, expected);
        assert_eq!(
            TargetPath::new("a".repeat(257)),
            Err(TargetPathError::TooLong { bytes: 257 })
        );
        let long = ["a"; MAX_TARGET_PATH_STEPS + 1].join(".");
        assert_eq!(TargetPath::new(long), Err(TargetPathError::TooManySteps));
    }
}
