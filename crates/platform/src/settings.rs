//! Settings: defaults, then a TOML file, then the environment; later ones win, and unknown keys are errors.
//!
//! A service describes its settings as a struct with `#[serde(default, deny_unknown_fields)]`; the `Default` of that
//! struct is where the defaults are written down.
//!
//! An environment variable is named `ASSAY__SECTION__KEY`: two underscores after the prefix and between levels, so
//! `ASSAY__CONFIG__LISTEN` sets `listen` in `[config]`. Two, because with one Kubernetes would set our settings by
//! accident: for a Service named `assay-config` it puts `ASSAY_CONFIG_PORT` into every pod. Values are plain text and
//! take the type of their key; lists are written as in TOML, `["a", "b"]`.

mod check;
mod duration;
mod secret;

use std::path::{Path, PathBuf};

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};
use serde::de::DeserializeOwned;

pub use check::{Check, WrongValue};
pub use duration::deserialize as duration;
pub use secret::Secret;

/// What the names of our environment variables begin with.
pub const ENV_PREFIX: &str = "ASSAY__";

/// Why settings could not be loaded; one sentence each. A process that meets one exits with 64.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("settings file `{}` cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why; part of the message.
        source: std::io::Error,
    },
    /// The file, or a key or value in it, is wrong.
    #[error("settings file `{}`: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong; names the key, and for an unknown key those that are known.
        problem: String,
    },
    /// An environment variable names an unknown key or has a value of the wrong type.
    #[error("environment variable `{variable}`: {problem}")]
    Environment {
        /// The variable.
        variable: String,
        /// What is wrong, without the value unless its type is.
        problem: String,
    },
    /// Values are readable and cannot be used; all of them, a line each when there are several.
    #[error("{}", check::sentences(wrong))]
    Values {
        /// Each with its key and what is wrong.
        wrong: Vec<WrongValue>,
    },
    /// Neither source is to blame alone, such as a key that is missing.
    #[error("settings: {problem}")]
    Together {
        /// What is wrong.
        problem: String,
    },
}

/// Loads settings from defaults, `file` if there is one, and the environment of the process.
///
/// # Errors
/// See [`SettingsError`].
pub fn load<T: DeserializeOwned>(file: Option<&Path>) -> Result<T, SettingsError> {
    let text = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    load_from(file, text)
}

/// As [`load`], with the environment as an argument: for tests and for checking sample files.
///
/// # Errors
/// See [`SettingsError`].
pub fn load_from<T: DeserializeOwned>(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<T, SettingsError> {
    let mut env: Vec<_> = env
        .into_iter()
        .filter(|(name, _)| name.starts_with(ENV_PREFIX))
        .collect();
    env.sort();
    let text = file.map(read).transpose()?;
    assemble(text.as_deref(), &env).map_err(|error| blame::<T>(file, text.as_deref(), &env, &error))
}

fn read(path: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn assemble<T: DeserializeOwned>(text: Option<&str>, env: &[(String, String)]) -> Result<T, ConfigError> {
    let mut builder = Config::builder();
    if let Some(text) = text {
        builder = builder.add_source(Exact(text.to_owned()));
    }
    for (name, value) in env {
        builder = builder.set_override(key(name), list(value))?;
    }
    builder.build()?.try_deserialize()
}

/// A TOML text whose fractions stay what they are: `config` would cut `1.5` to 1 for a key that takes whole numbers, but reads the text
/// `1.5` as a fraction where one is asked for, and refuses it elsewhere.
#[derive(Clone, Debug)]
struct Exact(String);

impl Source for Exact {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut table = File::from_str(&self.0, FileFormat::Toml).collect()?;
        table.values_mut().for_each(spell_fractions);
        Ok(table)
    }
}

fn spell_fractions(value: &mut Value) {
    match &mut value.kind {
        ValueKind::Float(number) => value.kind = ValueKind::String(number.to_string()),
        ValueKind::Table(table) => table.values_mut().for_each(spell_fractions),
        ValueKind::Array(items) => items.iter_mut().for_each(spell_fractions),
        _ => {}
    }
}

/// `ASSAY__CONFIG__LISTEN` → `config.listen`.
fn key(name: &str) -> String {
    name.trim_start_matches(ENV_PREFIX)
        .to_lowercase()
        .replace("__", ".")
}

/// The value of a variable: a list if it reads as one in TOML, else the text as it is.
///
/// Nothing else is guessed: a password `007` must stay `007`. Keys of other types parse the text themselves.
fn list(value: &str) -> Value {
    let parsed = || {
        let source = File::from_str(&format!("list = {value}"), FileFormat::Toml);
        Config::builder()
            .add_source(source)
            .build()
            .ok()?
            .get_array("list")
            .ok()
    };
    let list = if value.starts_with('[') { parsed() } else { None };
    list.map_or_else(|| value.into(), Into::into)
}

/// Finds out which source is to blame for `error`: the one that causes it alone. Slow and simple, for it runs once,
/// before an exit.
fn blame<T: DeserializeOwned>(
    file: Option<&Path>,
    text: Option<&str>,
    env: &[(String, String)],
    error: &ConfigError,
) -> SettingsError {
    let causes = |env| assemble::<T>(text, env).is_err_and(|e| e.to_string() == error.to_string());
    let problem = sentence(error);
    if let Some(path) = file
        && causes(&[])
    {
        return SettingsError::File {
            path: path.to_owned(),
            problem,
        };
    }
    match env
        .iter()
        .find(|&variable| causes(std::slice::from_ref(variable)))
    {
        Some((variable, _)) => SettingsError::Environment {
            variable: variable.clone(),
            problem,
        },
        None => SettingsError::Together { problem },
    }
}

/// The key, then what is wrong with it.
fn sentence(error: &ConfigError) -> String {
    match error {
        ConfigError::At {
            error,
            key: Some(key),
            ..
        } => format!("in `{key}`: {}", sentence(error)),
        ConfigError::FileParse { cause, .. } => one_line(&cause.to_string()),
        _ => error.to_string(),
    }
}

/// First and last line of what a parser says. Those between draw the line at fault, which may hold a secret.
fn one_line(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default();
    lines
        .next_back()
        .map_or_else(|| first.to_owned(), |last| format!("{first}: {last}"))
}

#[cfg(test)]
mod tests;
