//! From messages to what the use cases of experiments take.

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    key::{ExperimentKey, FlagKey, VariantKey},
    lifecycle::PauseMode,
    validate::MAX_NAME_BYTES,
    weights::Weights,
};
use assay_proto::{
    config::v1 as pb,
    convert::{experiment_from, key_from},
    field::FieldErrors,
};
use assay_storage::config_store::Filter;
use prost_types::FieldMask;

use super::super::{
    mask::{Mask, take},
    request::{key, required, versioned},
};
use crate::{
    error::Error,
    experiment::{cohort::Split, sketch::Sketch, update::Edit, validate::Subject},
};

/// Most words and most tags that one list looks for.
const MAX_WORDS: usize = 8;

/// What an update can change, as far as the state allows.
const FIELDS: &[&str] = &[
    "name",
    "description",
    "hypothesis",
    "owner",
    "tags",
    "flag_key",
    "assignment_source",
    "unit_kind",
    "variants",
    "coverage",
    "segment_key",
    "sticky",
    "eligibility",
    "layer_key",
    "prerequisites",
    "hashing",
    "metrics",
    "exposure_mode",
    "confidence",
    "qa_overrides",
    "start_time",
    "end_time",
    "end_action",
];

/// A new experiment; what is output only is passed over.
pub(in super::super) fn sketch(asked: pb::Experiment) -> Result<Sketch, Error> {
    let asked = definition(asked);
    let mut errors = FieldErrors::default();
    let key = errors.keep(key_from(asked.key.as_str(), "key", ExperimentKey::new));
    let flag = errors.keep(flag_key(&asked.flag_key));
    if !errors.0.is_empty()
        && let Err(all) = experiment_from(asked.clone(), None)
    {
        // The same of the two keys, and whatever else is wrong: all is told at once.
        errors = all;
    }
    let (key, flag) = errors.finish(key.zip(flag))?;
    Ok(Sketch {
        key,
        flag,
        has_variants: !asked.variants.is_empty(),
        keeps_control: false,
        decode: Box::new(|flag: Option<&Flag>| Ok(experiment_from(asked, flag)?)),
    })
}

/// `experiment` without what is output only.
pub(in super::super) fn definition(experiment: pb::Experiment) -> pb::Experiment {
    let identity = pb::Experiment {
        namespace: experiment.namespace.clone(),
        key: experiment.key.clone(),
        ..Default::default()
    };
    overlay(identity, experiment, &Mask::all())
}

/// A change of a stored experiment.
pub(in super::super) fn edit(asked: pb::Experiment, mask: Option<FieldMask>) -> Result<Edit, Error> {
    let (key, version) = versioned(&asked.key, asked.version)?;
    let mask = Mask::read(mask, FIELDS)?;
    let flag = if mask.has("flag_key") {
        flag_key(&asked.flag_key)?
    } else {
        None
    };
    let change = move |current: &Experiment, flag: &Flag| Ok(edited(current, asked, &mask, flag)?);
    Ok(Edit {
        key,
        version,
        flag,
        change: Box::new(change),
        commands: Ok(()),
    })
}

/// `current` with the fields of `asked` that `mask` has.
fn edited(
    current: &Experiment,
    mut asked: pb::Experiment,
    mask: &Mask,
    flag: &Flag,
) -> Result<Experiment, FieldErrors> {
    let stored = pb::Experiment::from(current);
    if asked.flag_key.is_empty() {
        asked.flag_key.clone_from(&stored.flag_key);
    }
    // The control keeps its pinned value, not the flag's present one, when it is not given.
    if let (Some(control), Some(pinned)) = (asked.variants.first_mut(), stored.variants.first())
        && control.value.is_none()
    {
        control.value.clone_from(&pinned.value);
    }
    let edited = experiment_from(overlay(stored, asked, mask), Some(flag))?;
    Ok(Experiment {
        undo: current.undo.clone(),
        ..edited
    })
}

fn overlay(mut experiment: pb::Experiment, asked: pb::Experiment, mask: &Mask) -> pb::Experiment {
    take!(mask, asked => experiment:
        name, description, hypothesis, owner, tags, flag_key, assignment_source, unit_kind, variants, coverage,
        segment_key, sticky, eligibility, layer_key, prerequisites, hashing, metrics, exposure_mode, confidence, qa_overrides, start_time, end_time, end_action,
    );
    experiment
}

/// The namespace, and what is to be validated there.
pub(super) fn subject(request: pb::ValidateExperimentRequest) -> Result<(String, Subject), Error> {
    match request.experiment {
        Some(asked) if request.key.is_empty() => {
            let namespace = if asked.namespace.is_empty() {
                request.namespace
            } else {
                asked.namespace.clone()
            };
            let asked = pb::Experiment {
                namespace: namespace.clone(),
                ..asked
            };
            Ok((namespace, Subject::Sketch(sketch(asked)?)))
        }
        Some(_) => Err(Error::field(
            "key",
            "ONE_OF",
            "is given beside `experiment`; give one of the two",
        )),
        None if request.key.is_empty() => required(None, "experiment"),
        None => Ok((request.namespace, Subject::Stored(key(&request.key)?))),
    }
}

pub(super) fn winner(text: &str) -> Result<VariantKey, Error> {
    Ok(key_from(text, "variant_key", VariantKey::new)?)
}

/// The key of a copy; none when the server is to choose it.
pub(super) fn new_key(text: &str) -> Result<Option<ExperimentKey>, Error> {
    let given = (!text.is_empty()).then(|| key_from(text, "new_key", ExperimentKey::new));
    Ok(given.transpose()?)
}

fn flag_key(text: &str) -> Result<Option<FlagKey>, FieldErrors> {
    (!text.is_empty())
        .then(|| key_from(text, "flag_key", FlagKey::new))
        .transpose()
}

pub(super) fn pause_mode(number: i32) -> Result<PauseMode, Error> {
    pb::PauseMode::try_from(number)
        .map(PauseMode::from)
        .map_err(|_| unknown("mode", number))
}

/// Which experiments to list.
pub(super) fn filter(request: &pb::ListExperimentsRequest) -> Result<Filter, Error> {
    let states = request
        .states
        .iter()
        .enumerate()
        .map(|(i, number)| state(*number, &format!("states[{i}]")));
    let states = states.collect::<Result<_, _>>()?;
    let flag = flag_key(&request.flag_key)?.map(|flag| flag.as_str().to_owned());
    let mut errors = FieldErrors::default();
    if request.tags.len() > MAX_WORDS {
        let message = format!("has {} entries; give at most {MAX_WORDS}", request.tags.len());
        errors.push("tags", "TOO_MANY", message);
    }
    let words = request.text.split(|c: char| !c.is_alphanumeric());
    let n_words = words.filter(|word| !word.is_empty()).count();
    if request.text.len() > MAX_NAME_BYTES || n_words > MAX_WORDS {
        let message = format!(
            "has {} bytes and {n_words} words; shorten it to at most {MAX_NAME_BYTES} bytes and {MAX_WORDS} words",
            request.text.len()
        );
        errors.push("text", "TEXT_TOO_LONG", message);
    }
    if !request.text.is_empty() && n_words == 0 {
        let message = "has no letter and no digit to look for; give a word, or leave it out";
        errors.push("text", "NO_WORDS", message);
    }
    let owner = (!request.owner.is_empty()).then(|| request.owner.clone());
    Ok(errors.finish(Some(Filter {
        states,
        flag,
        owner,
        tags: request.tags.clone(),
        text: request.text.clone(),
    }))?)
}

fn state(number: i32, field: &str) -> Result<String, Error> {
    match pb::ExperimentState::try_from(number) {
        Ok(pb::ExperimentState::Unspecified) | Err(_) => Err(unknown(field, number)),
        Ok(state) => Ok(state
            .as_str_name()
            .trim_start_matches("EXPERIMENT_STATE_")
            .to_owned()),
    }
}

fn unknown(field: &str, number: i32) -> Error {
    Error::field(
        field,
        "UNKNOWN_VALUE",
        format!("is {number}, which is no listed value; use one that is"),
    )
}

/// How a new cohort is split: by `weights`, or without a variant.
pub(super) fn split(weights: Vec<u32>, closed: &str) -> Result<Split, Error> {
    match (weights.is_empty(), closed.is_empty()) {
        (false, true) => match Weights::new(weights) {
            Ok(weights) => Ok(Split::Weights(weights)),
            Err(error) => Err(Error::field("weights", "WEIGHTS_SUM", error.to_string())),
        },
        (true, false) => {
            let closed = key_from(closed, "closed_variant_key", VariantKey::new)?;
            Ok(Split::Without(closed))
        }
        (true, true) => {
            let message = "is missing; give one weight for each variant, or name the variant to close in `closed_variant_key`";
            Err(Error::field("weights", "REQUIRED", message))
        }
        (false, false) => {
            let message = "is given beside `weights`; give one of the two";
            Err(Error::field("closed_variant_key", "ONE_OF", message))
        }
    }
}
