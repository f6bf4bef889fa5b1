//! What the requests for assignments ask, decoded.

use assay_core::{
    key::{MAX_KEY_BYTES, Namespace, Unit},
    value::Attributes,
};
use assay_proto::{
    assignment::v1 as pb,
    common::v1 as common,
    convert::{attributes, namespace_from, optional_unit_from},
    field::{FieldError, FieldErrors},
};

use crate::assign::{Sitting, Use};

/// Most keys of one request.
pub(super) const MAX_KEYS: usize = 1_000;
/// Most units of one request.
const MAX_ITEMS: usize = 1_000;
/// Most answers of one request.
const MAX_ANSWERS: usize = 10_000;

/// What is asked.
pub(super) struct Question {
    pub(super) namespace: Namespace,
    /// Keys of flags, or of experiments; none = all flags, until [`Question::complete`].
    pub(super) keys: Vec<String>,
    /// What becomes of the answers.
    pub(super) used: Use,
}

impl Question {
    /// Names all flags where none is named. There are `items` units.
    pub(super) fn complete(&mut self, sitting: &Sitting<'_>, items: usize) -> Result<(), FieldErrors> {
        if self.keys.is_empty() {
            self.keys = sitting.flags();
            check_answers(items, self.keys.len())?;
        }
        Ok(())
    }
}

/// That `items` units for `keys` flags are not too many answers.
fn check_answers(items: usize, keys: usize) -> Result<(), FieldErrors> {
    if items.saturating_mul(keys) <= MAX_ANSWERS {
        return Ok(());
    }
    let message = format!("has {items} units for {keys} flags; ask for at most {MAX_ANSWERS} answers in all");
    Err(FieldErrors::one("items", "TOO_MANY_ANSWERS", message))
}

/// For whom.
pub(super) struct Subject {
    pub(super) unit: Option<Unit>,
    pub(super) attributes: Attributes,
}

/// Those of `subjects` that have a unit.
pub(super) fn known<'s>(subjects: impl IntoIterator<Item = &'s Subject>) -> Vec<(&'s Unit, &'s Attributes)> {
    let known = subjects.into_iter();
    known
        .filter_map(|subject| Some((subject.unit.as_ref()?, &subject.attributes)))
        .collect()
}

pub(super) fn asked(request: pb::AssignRequest) -> Result<(Question, Subject), FieldErrors> {
    let mut errors = FieldErrors::default();
    let question = errors.keep(question(request.namespace, request.flag_keys, request.exposure));
    let subject = errors.keep(subject(request.unit, request.attributes));
    errors.finish(question.zip(subject))
}

pub(super) type Subjects = Vec<Result<Subject, FieldErrors>>;

pub(super) fn asked_batch(request: pb::AssignBatchRequest) -> Result<(Question, Subjects), FieldErrors> {
    let (items, keys) = (request.items.len(), request.flag_keys.len());
    let mut errors = FieldErrors::default();
    let question = errors.keep(question(request.namespace, request.flag_keys, request.exposure));
    if items == 0 || items > MAX_ITEMS {
        errors.push(
            "items",
            "COUNT",
            format!("has {items} units; give 1 to {MAX_ITEMS}"),
        );
    } else {
        errors.keep(check_answers(items, keys));
    }
    let question = errors.finish(question)?;
    Ok((
        question,
        request
            .items
            .into_iter()
            .map(|item| subject(item.unit, item.attributes))
            .collect(),
    ))
}

fn question(namespace: String, keys: Vec<String>, exposure: i32) -> Result<Question, FieldErrors> {
    let mut errors = FieldErrors::default();
    let namespace = errors.keep(namespace_from(namespace, "namespace"));
    errors.keep(check_keys(&keys));
    let used = errors.keep(used(exposure, keys.len()));
    let made = |namespace: Namespace, used| Question {
        namespace,
        keys,
        used,
    };
    let question = namespace.zip(used).map(|(namespace, used)| made(namespace, used));
    errors.finish(question)
}

/// A key of other characters is merely unknown.
pub(super) fn check_keys(keys: &[String]) -> Result<(), FieldErrors> {
    if keys.len() > MAX_KEYS {
        let message = format!(
            "has {} keys; give at most {MAX_KEYS}, or none for all flags",
            keys.len()
        );
        return Err(FieldError::new("flag_keys", "COUNT", message).into());
    }
    let mut errors = FieldErrors::default();
    for (i, key) in keys.iter().enumerate() {
        if key.is_empty() {
            errors.push(
                format!("flag_keys[{i}]"),
                "KEY_REQUIRED",
                "is empty; give the key of a flag or of an experiment",
            );
        } else if key.len() > MAX_KEY_BYTES {
            let message = format!("has {} bytes; at most {MAX_KEY_BYTES} are allowed", key.len());
            errors.push(format!("flag_keys[{i}]"), "KEY_TOO_LONG", message);
        }
    }
    errors.finish(Some(()))
}

/// A call that does not say is served to the unit, though it records several flags as no exposure; a peek leaves no trace.
pub(super) fn use_of(exposure: pb::Exposure, keys: usize) -> Use {
    let records = match exposure {
        pb::Exposure::Unspecified => keys == 1,
        pb::Exposure::Record => true,
        pb::Exposure::Peek => false,
    };
    Use {
        records,
        remembers: exposure != pb::Exposure::Peek,
    }
}

fn used(exposure: i32, keys: usize) -> Result<Use, FieldError> {
    match pb::Exposure::try_from(exposure) {
        Ok(exposure) => Ok(use_of(exposure, keys)),
        Err(_) => {
            let message = format!("is {exposure}, which this version does not know; give RECORD or PEEK");
            Err(FieldError::new("exposure", "UNKNOWN_VALUE", message))
        }
    }
}

pub(super) fn subject(
    unit: Option<common::Unit>,
    given: Option<prost_types::Struct>,
) -> Result<Subject, FieldErrors> {
    let mut errors = FieldErrors::default();
    let unit = errors.keep(optional_unit_from(unit, "unit"));
    let attributes = errors.keep(attributes(given, "attributes"));
    let subject = unit
        .zip(attributes)
        .map(|(unit, attributes)| Subject { unit, attributes });
    errors.finish(subject)
}

/// The first of what is wrong: an item has room for one.
pub(super) fn refused(errors: FieldErrors) -> pb::AssignBatchResult {
    let first = errors.0.into_iter().next();
    let first = first.unwrap_or_else(|| FieldError::new("", "INVALID", "is not an item"));
    pb::AssignBatchResult {
        assignments: Vec::new(),
        error_field: first.field,
        error_message: first.message,
    }
}
