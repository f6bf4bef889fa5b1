use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de::Error};

/// A secret setting: given as it is, or as `file:/path`, which reads the file without its last line end.
///
/// It is never printed: `Debug` writes `***`, there is no `Display`, and it cannot be serialized.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret {
    value: String,
    file: Option<PathBuf>,
}

impl Secret {
    /// A secret that does not come from a file.
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            file: None,
        }
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// Whether it comes from a file, which may say something else later.
    #[must_use]
    pub fn is_from_file(&self) -> bool {
        self.file.is_some()
    }

    /// The secret as its file says now; one that came without a file is returned as it is.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn reload(&self) -> std::io::Result<Self> {
        self.file
            .clone()
            .map_or_else(|| Ok(self.clone()), Self::from_file)
    }

    fn from_file(path: PathBuf) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(&path)?;
        let value = text.trim_end_matches(['\n', '\r']).to_owned();
        Ok(Self {
            value,
            file: Some(path),
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix("file:") {
            None => Ok(Self::new(text)),
            Some(path) => Self::from_file(PathBuf::from(path))
                .map_err(|error| D::Error::custom(format!("secret file `{path}` cannot be read: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_value() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(***)");
    }

    #[test]
    fn reload_follows_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "old\n").unwrap();
        let secret = Secret::from_file(file.path().to_owned()).unwrap();
        assert_eq!(secret.expose(), "old");
        std::fs::write(file.path(), "new\r\n").unwrap();
        assert_eq!(secret.reload().unwrap().expose(), "new");
        assert!(secret.is_from_file() && !Secret::new("plain").is_from_file());
        assert_eq!(Secret::new("plain").reload().unwrap().expose(), "plain");
    }
}
