//! Names of things: validated once, then carried as their own types.

use std::fmt;

/// Longest key and unit id, in bytes.
pub const MAX_KEY_BYTES: usize = 256;

/// Why a text is no key or unit id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text has no characters.
    #[error("is empty; give at least one character")]
    Empty,
    /// The text is longer than [`MAX_KEY_BYTES`].
    #[error("has {bytes} bytes; at most {MAX_KEY_BYTES} are allowed")]
    TooLong {
        /// Length of the refused text in bytes.
        bytes: usize,
    },
    /// The text holds a character that keys may not have.
    #[error("holds {character:?}; use letters, digits, '-', '_' and '.', and begin with a letter or digit")]
    BadCharacter {
        /// The first refused character.
        character: char,
    },
    /// A unit id holds a control character.
    #[error("holds the control character {character:?}")]
    Control {
        /// The first refused character.
        character: char,
    },
}

/// Checks the grammar of a key: ASCII letters, digits, `-`, `_`, `.`; begins with a letter or digit; 1 to 256 bytes.
fn check_key(text: &str) -> Result<(), KeyError> {
    check_length(text)?;
    let first_ok = |c: char| c.is_ascii_alphanumeric();
    let rest_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let bad = text
        .char_indices()
        .find(|&(i, c)| if i == 0 { !first_ok(c) } else { !rest_ok(c) });
    bad.map_or(Ok(()), |(_, character)| Err(KeyError::BadCharacter { character }))
}

fn check_length(text: &str) -> Result<(), KeyError> {
    match text.len() {
        0 => Err(KeyError::Empty),
        bytes if bytes > MAX_KEY_BYTES => Err(KeyError::TooLong { bytes }),
        _ => Ok(()),
    }
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks the grammar of a key: ASCII letters, digits, `-`, `_`, `.`; begins with a letter or digit; 1 to 256 bytes.
            ///
            /// # Errors
            /// [`KeyError`] says what is wrong and what is allowed.
            pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
                let text = text.into();
                check_key(&text)?;
                Ok(Self(text))
            }

            /// The key as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// This key with `-word` behind it, cut before that where it would be too long; `word` is of key characters and short.
            pub fn suffixed(&self, word: &str) -> Self {
                let room = MAX_KEY_BYTES.saturating_sub(word.len()).saturating_sub(1);
                let kept: String = self.0.chars().take(room).collect();
                Self(format!("{kept}-{word}"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

key!(
    /// The unit of isolation: a tenant and an environment in one, such as `shop-production`.
    Namespace
);
key!(
    /// Key of a flag, unique in its namespace.
    FlagKey
);
key!(
    /// Key of an experiment, unique in its namespace.
    ExperimentKey
);
key!(
    /// Key of a segment, unique in its namespace.
    SegmentKey
);
key!(
    /// Key of a metric, unique in its namespace.
    MetricKey
);
key!(
    /// Key of a layer, unique in its namespace.
    LayerKey
);
key!(
    /// Key of a holdout, unique in its namespace.
    HoldoutKey
);
key!(
    /// Key of a variant within its experiment, and of a variation within its flag.
    VariantKey
);
key!(
    /// What kind of thing is randomized: `user`, `device`, `session`.
    UnitKind
);

impl Default for Namespace {
    /// `default`, the namespace that exists at once.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl Default for UnitKind {
    /// `user`.
    fn default() -> Self {
        Self("user".to_owned())
    }
}

/// What is randomized and measured, such as `user/42`. The id is opaque.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    kind: UnitKind,
    id: String,
}

impl Unit {
    /// A unit of `kind` with `id`: 1 to 256 bytes, no control characters; never the empty string.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with the id.
    pub fn new(kind: UnitKind, id: impl Into<String>) -> Result<Self, KeyError> {
        let id = id.into();
        check_length(&id)?;
        match id.chars().find(|c| c.is_control()) {
            Some(character) => Err(KeyError::Control { character }),
            None => Ok(Self { kind, id }),
        }
    }

    /// A unit of kind `user`.
    ///
    /// # Errors
    /// As [`Unit::new`].
    pub fn user(id: impl Into<String>) -> Result<Self, KeyError> {
        Self::new(UnitKind::default(), id)
    }

    /// The kind.
    pub fn kind(&self) -> &UnitKind {
        &self.kind
    }

    /// The opaque id, the text that is hashed.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_grammar() {
        assert!(FlagKey::new("level-gate.v2_x").is_ok());
        assert_eq!(FlagKey::new(""), Err(KeyError::Empty));
        assert_eq!(FlagKey::new("-a"), Err(KeyError::BadCharacter { character: '-' }));
        assert_eq!(
            FlagKey::new("a b"),
            Err(KeyError::BadCharacter { character: ' ' })
        );
        assert_eq!(
            FlagKey::new("a".repeat(257)),
            Err(KeyError::TooLong { bytes: 257 })
        );
        assert!(FlagKey::new("a".repeat(256)).is_ok());
    }

    #[test]
    fn unit_ids_are_opaque_but_not_empty() {
        assert!(Unit::user("ключ 42/🎮").is_ok());
        assert_eq!(Unit::user(""), Err(KeyError::Empty));
        assert_eq!(Unit::user("a\nb"), Err(KeyError::Control { character: '\n' }));
    }
}
