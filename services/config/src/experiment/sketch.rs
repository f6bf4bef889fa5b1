//! An experiment that is not stored yet, as a caller has written it.

use assay_core::{
    experiment::Experiment,
    flag::{Flag, Meta, Variation},
    key::{ExperimentKey, FlagKey},
    lifecycle::State,
    schedule::Schedule,
};
use assay_proto::field::FieldErrors;

use super::new_salt;
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// Makes the experiment; what it leaves out is taken from its flag, if that exists.
pub(crate) type Decode = Box<dyn FnOnce(Option<&Flag>) -> Result<Experiment, Error> + Send>;

/// What is known before the flag is read.
pub(crate) struct Sketch {
    pub(crate) key: ExperimentKey,
    /// The flag that was chosen; without one the experiment gets a flag of its own.
    pub(crate) flag: Option<FlagKey>,
    /// Whether it has variants of its own.
    pub(crate) has_variants: bool,
    /// Whether the control keeps the value it has, though the flag's default is another: it was pinned elsewhere.
    pub(crate) keeps_control: bool,
    pub(crate) decode: Decode,
}

/// A draft with its flag.
pub(super) struct Draft {
    pub(super) experiment: Experiment,
    /// Absent when the one that was chosen does not exist.
    pub(super) flag: Option<Flag>,
    /// Whether the flag is still to be made.
    pub(super) flag_is_new: bool,
}

impl Sketch {
    /// The draft that it describes: salted, its control pinned.
    pub(super) async fn complete(self, truth: &Truth, call: &Call) -> Result<Draft, Error> {
        let key = self.flag.as_ref().map_or(self.key.as_str(), FlagKey::as_str);
        let found: Option<Flag> = truth.find(&call.namespace, key).await?;
        if self.flag.is_none() {
            return self.with_new_flag(found);
        }
        if let Some(flag) = found
            .as_ref()
            .filter(|flag| !self.has_variants && flag.variations.len() == 1)
        {
            return Err(single_variant(flag));
        }
        let experiment = drafted((self.decode)(found.as_ref())?);
        if let Some(flag) = found.as_ref().filter(|_| !self.keeps_control) {
            refuse_other_control(&experiment, flag)?;
        }
        Ok(Draft {
            experiment,
            flag: found,
            flag_is_new: false,
        })
    }

    fn with_new_flag(self, found: Option<Flag>) -> Result<Draft, Error> {
        if found.is_some() {
            let message = format!(
                "is not given, but there is a flag `{0}` already; set it to `{0}` to use that one",
                self.key
            );
            return Err(Error::field("flag_key", "FLAG_EXISTS", message));
        }
        let experiment = drafted((self.decode)(None)?);
        let flag = flag_of(&experiment)?;
        Ok(Draft {
            experiment,
            flag: Some(flag),
            flag_is_new: true,
        })
    }
}

/// `experiment` without anything that only commands and stores write.
fn drafted(mut experiment: Experiment) -> Experiment {
    experiment.state = State::Draft;
    experiment.salt = new_salt();
    experiment.segment_version = None;
    experiment.traffic = experiment.traffic.copy();
    experiment.completed_at = None;
    experiment.pauses.clear();
    experiment.reason.clear();
    experiment.schedule = Schedule {
        end_action: experiment.schedule.end_action,
        ..Schedule::default()
    };
    experiment.undo = None;
    experiment.meta = Meta::default();
    experiment
}

/// The flag that an experiment gets when it has none: of its key, with its variants as variations.
fn flag_of(experiment: &Experiment) -> Result<Flag, Error> {
    let Some(control) = experiment.control() else {
        let message = "is empty, and there is no flag to take them from; give the variants, control first, or a flag_key";
        return Err(Error::field("variants", "VARIANT_REQUIRED", message));
    };
    let key = FlagKey::new(experiment.key.as_str());
    let key = key.map_err(|error| Error::field("key", "KEY_CHARACTER", error.to_string()))?;
    let variations = experiment.variants.iter().map(|variant| Variation {
        key: variant.key.clone(),
        name: variant.name.clone(),
        value: variant.value.clone(),
    });
    Ok(Flag {
        namespace: experiment.namespace.clone(),
        key,
        name: experiment.name.clone(),
        description: String::new(),
        value_type: control.value.value_type(),
        variations: variations.collect(),
        default_value: control.value.clone(),
        segment_overrides: Vec::new(),
        unit_overrides: Vec::new(),
        target_path: None,
        held_defaults: Vec::new(),
        meta: Meta::default(),
    })
}

fn single_variant(flag: &Flag) -> Error {
    let message = format!(
        "is empty, and flag `{}` has a single variation; add a second variation to the flag, or give variants of the experiment's own",
        flag.key
    );
    Error::field("variants", "SINGLE_VARIANT", message)
}

fn refuse_other_control(experiment: &Experiment, flag: &Flag) -> Result<(), Error> {
    match experiment.control() {
        Some(control) if control.value != flag.default_value => Err(other_control(&flag.key).into()),
        _ => Ok(()),
    }
}

/// What is said of a control value that is not the pinned one.
pub(super) fn other_control(flag: &FlagKey) -> FieldErrors {
    let message = format!(
        "is not what was pinned from the default of flag `{flag}`; leave it out, or name the variant first that has the default's value"
    );
    FieldErrors::one("variants[0].value", "CONTROL_PINNED", message)
}
