//! What flows through the log: exposures and events.

use std::cmp::Ordering;

use sha2::{Digest, Sha256};

use crate::{
    key::{ExperimentKey, FlagKey, Namespace, Unit, VariantKey},
    time::Timestamp,
    value::{Attribute, Attributes},
};

/// The recorded fact that a unit met its variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Exposure {
    /// Namespace of the experiment.
    pub namespace: Namespace,
    /// The experiment.
    pub experiment: ExperimentKey,
    /// The variant met.
    pub variant: VariantKey,
    /// The cohort that split the unit; 1 for imports.
    pub cohort: u32,
    /// Who met it.
    pub unit: Unit,
    /// When.
    pub time: Timestamp,
    /// When we came to know.
    pub received_at: Timestamp,
    /// The generation that decided; 0 for imports.
    pub generation: u64,
    /// The attributes that the segment looks at.
    pub attributes: Attributes,
    /// Whether it was decided elsewhere.
    pub imported: bool,
}

/// A recorded action of a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Namespace.
    pub namespace: Namespace,
    /// Who acted.
    pub unit: Unit,
    /// Made by the client; with namespace and unit the key that makes it count once.
    pub event_id: String,
    /// What was done.
    pub name: String,
    /// When.
    pub time: Timestamp,
    /// When we came to know.
    pub received_at: Timestamp,
    /// A number in micro-units (10⁻⁶), |value| ≤ 2⁵³.
    pub value_micros: Option<i64>,
    /// More about it.
    pub properties: Attributes,
    /// Whether `time` lay in the future and was set to `received_at`.
    pub clamped: bool,
    /// Whether it came later than the lateness allowance; counted apart.
    pub late: bool,
    /// Whether it came by import and keeps the time it gives.
    pub imported: bool,
}

/// Why a number is no event value.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// NaN or infinite.
    #[error("is not a finite number")]
    NotFinite,
    /// Beyond 2⁵³ micro-units.
    #[error("is {value}; at most ±9,007,199,254.740992 can be counted")]
    TooLarge {
        /// The refused number.
        value: f64,
    },
}

/// Values of events and of units are at most ± this many micro-units: 2⁵³.
pub const MAX_VALUE_MICROS: i64 = 1 << 53;

/// `value` in micro-units, rounded half to even.
///
/// Values are decimals: what is rounded is the shortest decimal that reads back as `value`, that is what the sender wrote,
/// and not its binary neighbor. So `0.0000005` is exactly a half and becomes 0.
///
/// # Errors
/// [`ValueError`] for NaN, infinities and |value · 10⁶| > 2⁵³.
pub fn to_micros(value: f64) -> Result<i64, ValueError> {
    if !value.is_finite() {
        return Err(ValueError::NotFinite);
    }
    let decimal = value.abs().to_string();
    let (whole, fraction) = decimal.split_once('.').unwrap_or((&decimal, ""));
    let (kept, cut) = fraction.split_at(fraction.len().min(6));
    let floor: i64 = format!("{whole}{kept:0<6}")
        .parse()
        .map_err(|_| ValueError::TooLarge { value })?;
    // The shortest decimal ends with no zero, so texts compare as the fractions that they are.
    let up = match cut.cmp("5") {
        Ordering::Less => 0,
        Ordering::Equal => floor & 1,
        Ordering::Greater => 1,
    };
    match floor.saturating_add(up) {
        micros if micros > MAX_VALUE_MICROS => Err(ValueError::TooLarge { value }),
        micros if value < 0.0 => Ok(micros.saturating_neg()),
        micros => Ok(micros),
    }
}

impl Event {
    /// SHA-256 of everything but `received_at`, and the flags that follow from it, in a canonical form: equal contents have equal hashes.
    ///
    /// Of different contents under one event id, the one with the smallest (`received_at`, hash) counts. The form never changes:
    /// texts are preceded by their length, so that no two contents have the same bytes.
    pub fn content_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let texts = [
            self.namespace.as_str(),
            self.unit.kind().as_str(),
            self.unit.id(),
            &self.event_id,
            &self.name,
        ];
        for text in texts {
            put_text(&mut hash, text);
        }
        hash.update(self.given_time().micros().to_be_bytes());
        hash.update([u8::from(self.value_micros.is_some())]);
        hash.update(self.value_micros.unwrap_or(0).to_be_bytes());
        hash.update([u8::from(self.imported)]);
        put_length(&mut hash, self.properties.len());
        for (name, property) in &self.properties {
            put_text(&mut hash, name);
            put_attribute(&mut hash, property);
        }
        hash.finalize().into()
    }

    /// The time that the client gave. One that was left out or lay in the future became the time of receipt: it is no content of
    /// the client's, and a repetition without time is the same event.
    fn given_time(&self) -> Timestamp {
        if self.time == self.received_at {
            Timestamp::MAX
        } else {
            self.time
        }
    }
}

fn put_attribute(hash: &mut Sha256, attribute: &Attribute) {
    match attribute {
        Attribute::Bool(flag) => hash.update([0, u8::from(*flag)]),
        Attribute::Number(number) => {
            hash.update([1]);
            // −0 + 0 is 0: the two zeros are equal and must be so here.
            hash.update((number + 0.0).to_bits().to_be_bytes());
        }
        Attribute::String(text) => {
            hash.update([2]);
            put_text(hash, text);
        }
    }
}

fn put_text(hash: &mut Sha256, text: &str) {
    put_length(hash, text.len());
    hash.update(text);
}

fn put_length(hash: &mut Sha256, length: usize) {
    hash.update(u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}

/// The recorded fact that a caller asked for a flag, or for an experiment by its key: kept so that people know who does before they end it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sighting {
    /// Where.
    pub namespace: Namespace,
    /// The key that was asked for.
    pub key: FlagKey,
    /// Who asked, as it calls itself.
    pub caller: String,
    /// When it was last seen.
    pub seen_at: Timestamp,
}

#[cfg(test)]
mod tests;
