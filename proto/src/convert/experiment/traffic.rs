use assay_core::{
    key::{FlagKey, HoldoutKey, LayerKey},
    traffic::{Eligibility, InLayer, Opening, Prerequisite, Sticky, Traffic},
};

use super::{
    super::{each, enum_from, key_from, layer, value_from, value_to},
    hashing::{hashing_from, hashing_to},
    weights_from,
};
use crate::{config::v1 as pb, field::FieldErrors};

/// The fields that say a [`Traffic`].
pub(super) struct Fields {
    pub(super) sticky: i32,
    pub(super) eligibility: i32,
    pub(super) layer_key: String,
    pub(super) layer_salt: String,
    pub(super) layer_ranges: Vec<pb::BucketRange>,
    pub(super) holdout_keys: Vec<String>,
    pub(super) prerequisites: Vec<pb::Prerequisite>,
    pub(super) cohort_opening: Option<pb::CohortOpening>,
    pub(super) hashing: Option<pb::Hashing>,
}

pub(super) fn traffic_from(fields: Fields) -> Result<Traffic, FieldErrors> {
    let mut errors = FieldErrors::default();
    let sticky = errors.keep(sticky_from(fields.sticky));
    let eligibility = errors.keep(eligibility_from(fields.eligibility));
    let layer = errors.keep(place_from(
        fields.layer_key,
        fields.layer_salt,
        fields.layer_ranges,
    ));
    let holdouts = errors.keep(each(fields.holdout_keys, "holdout_keys", |key| {
        key_from(key, "", HoldoutKey::new)
    }));
    let prerequisites = errors.keep(each(fields.prerequisites, "prerequisites", prerequisite_from));
    let opening = errors.keep(fields.cohort_opening.map(opening_from).transpose());
    let hashing = errors.keep(hashing_from(fields.hashing));
    let made = || {
        Some(Traffic {
            sticky: sticky?,
            eligibility: eligibility?,
            layer: layer?,
            holdouts: holdouts?,
            prerequisites: prerequisites?,
            opening: opening?,
            hashing: hashing?,
        })
    };
    let made = made();
    errors.finish(made)
}

fn sticky_from(number: i32) -> Result<Sticky, FieldErrors> {
    Ok(match enum_from(number, "sticky")? {
        pb::Sticky::Unspecified | pb::Sticky::HashOnly => Sticky::HashOnly,
        pb::Sticky::Stored => Sticky::Stored,
    })
}

fn eligibility_from(number: i32) -> Result<Eligibility, FieldErrors> {
    Ok(match enum_from(number, "eligibility")? {
        pb::Eligibility::Unspecified | pb::Eligibility::EachRequest => Eligibility::EachRequest,
        pb::Eligibility::AtEnrollment => Eligibility::AtEnrollment,
    })
}

/// Without a key it is in no layer.
fn place_from(
    key: String,
    salt: String,
    ranges: Vec<pb::BucketRange>,
) -> Result<Option<InLayer>, FieldErrors> {
    if key.is_empty() {
        return Ok(None);
    }
    let mut errors = FieldErrors::default();
    let key = errors.keep(key_from(key, "layer_key", LayerKey::new));
    let ranges = errors.keep(each(ranges, "layer_ranges", layer::range_from));
    let made = key
        .zip(ranges)
        .map(|(key, ranges)| Some(InLayer { key, salt, ranges }));
    errors.finish(made)
}

fn prerequisite_from(prerequisite: pb::Prerequisite) -> Result<Prerequisite, FieldErrors> {
    let mut errors = FieldErrors::default();
    let flag = errors.keep(key_from(prerequisite.flag_key, "flag_key", FlagKey::new));
    let value = errors.keep(value_from(prerequisite.value, "value"));
    let made = flag.zip(value).map(|(flag, value)| Prerequisite { flag, value });
    errors.finish(made)
}

fn opening_from(opening: pb::CohortOpening) -> Result<Opening, FieldErrors> {
    Ok(Opening {
        weights: weights_from(opening.weights, "cohort_opening.weights")?,
        since: opening.since_generation,
    })
}

impl From<&Traffic> for Fields {
    fn from(traffic: &Traffic) -> Self {
        let sticky = match traffic.sticky {
            Sticky::HashOnly => pb::Sticky::HashOnly,
            Sticky::Stored => pb::Sticky::Stored,
        };
        let eligibility = match traffic.eligibility {
            Eligibility::EachRequest => pb::Eligibility::EachRequest,
            Eligibility::AtEnrollment => pb::Eligibility::AtEnrollment,
        };
        let place = traffic.layer.as_ref();
        Self {
            sticky: sticky.into(),
            eligibility: eligibility.into(),
            layer_key: place.map(|place| place.key.to_string()).unwrap_or_default(),
            layer_salt: place.map(|place| place.salt.clone()).unwrap_or_default(),
            layer_ranges: place
                .map(|place| place.ranges.iter().map(pb::BucketRange::from).collect())
                .unwrap_or_default(),
            holdout_keys: traffic.holdouts.iter().map(ToString::to_string).collect(),
            prerequisites: traffic.prerequisites.iter().map(pb::Prerequisite::from).collect(),
            cohort_opening: traffic.opening.as_ref().map(pb::CohortOpening::from),
            hashing: hashing_to(&traffic.hashing),
        }
    }
}

impl From<&Prerequisite> for pb::Prerequisite {
    fn from(prerequisite: &Prerequisite) -> Self {
        Self {
            flag_key: prerequisite.flag.to_string(),
            value: Some(value_to(&prerequisite.value)),
        }
    }
}

impl From<&Opening> for pb::CohortOpening {
    fn from(opening: &Opening) -> Self {
        Self {
            weights: opening.weights.shares().to_vec(),
            since_generation: opening.since,
        }
    }
}
