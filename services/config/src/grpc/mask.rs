//! Update masks: which top-level fields of a resource a caller wants to change.

use assay_proto::field::FieldErrors;
use prost_types::FieldMask;

use crate::error::Error;

/// The fields to change; all that can change when none is named.
#[derive(Debug)]
pub(super) struct Mask(Vec<String>);

impl Mask {
    /// All that can change.
    pub(super) fn all() -> Self {
        Self(Vec::new())
    }

    /// Refuses paths that are not in `fields`, those that can change.
    pub(super) fn read(mask: Option<FieldMask>, fields: &[&str]) -> Result<Self, Error> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        let mut errors = FieldErrors::default();
        for path in paths.iter().filter(|path| !fields.contains(&path.as_str())) {
            let message = format!(
                "names `{path}`, which is no field that can change; name some of {}",
                fields.join(", ")
            );
            errors.push("update_mask", "UNKNOWN_FIELD", message);
        }
        if errors.0.is_empty() {
            Ok(Self(paths))
        } else {
            Err(errors.into())
        }
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|path| path == field)
    }
}

/// Moves the fields that a mask has from one message to another.
macro_rules! take {
    ($mask:expr, $from:ident => $to:ident: $($field:ident),+ $(,)?) => {
        $(if $mask.has(stringify!($field)) {
            $to.$field = $from.$field;
        })+
    };
}
pub(super) use take;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&str]) -> Result<Mask, Error> {
        let paths = paths.iter().map(ToString::to_string).collect();
        Mask::read(Some(FieldMask { paths }), &["name", "rules"])
    }

    #[test]
    fn an_empty_mask_means_all_and_others_what_they_name() {
        assert!(Mask::read(None, &["name"]).unwrap().has("name"));
        assert!(read(&[]).unwrap().has("rules"));
        let mask = read(&["name"]).unwrap();
        assert!(mask.has("name") && !mask.has("rules"));
        let error = read(&["name", "version", "rules.attribute"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("names `version`") && error.contains("1 more"),
            "{error}"
        );
    }
}
