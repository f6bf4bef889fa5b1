//! Resources as files and answers show them: the proto's JSON names (`defaultValue`), with a few things easier to write.
//!
//! Enum values go without their prefix (`RUNNING`; the long form is understood, too), shares are texts (`33%`, `0.33`), times are RFC 3339,
//! durations have a unit (`7d`, `72h`, `604800s`), units are `kind/id`. What is printed can be read again.

pub(crate) mod experiment;
pub(crate) mod flag;
pub(crate) mod holdout;
pub(crate) mod layer;
pub(crate) mod metric;
pub(crate) mod result;
pub(crate) mod segment;
pub(crate) mod share;
#[cfg(test)]
mod templates;
pub(crate) mod text;

use assay_client::resource::Resource;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// The form of a kind of resource in files and answers.
pub(crate) trait View: Serialize + DeserializeOwned {
    /// The message.
    type Message: Resource;

    /// Header of lists.
    const COLUMNS: &'static [&'static str];

    /// As it was received.
    fn of(message: Self::Message) -> Self;

    /// The message of what was written.
    ///
    /// # Errors
    /// What cannot be understood, with its path.
    fn message(self) -> Result<Self::Message, Error>;

    /// The cells of a list.
    fn row(&self) -> Vec<String>;

    /// What is shown of one alone.
    fn facts(&self) -> Vec<(&'static str, String)>;
}

/// Whether to leave a number out: 0 is what is not there.
pub(crate) fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The first 10 characters of a time: its day.
pub(crate) fn day(time: &str) -> String {
    time.chars().take(10).collect()
}
