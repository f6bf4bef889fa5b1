//! Changes an experiment as far as its state allows.

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    key::FlagKey,
    validate::{self, Step, Violation},
};

use assay_platform::Failure;

use super::{WithWarnings, references::Found, sketch::other_control};
use crate::{
    error::{Error, fields, refuse},
    truth::{Call, Deed, Stored, Truth, Writes, name, stored_as},
};

/// Makes the changed experiment of the stored one and its flag, the newly chosen one if there is one.
pub(crate) type Change = Box<dyn FnOnce(&Experiment, &Flag) -> Result<Experiment, Error> + Send>;

/// What is to be changed.
pub(crate) struct Edit {
    pub(crate) key: String,
    pub(crate) version: u64,
    /// The flag that it is to have, when that is among the changes.
    pub(crate) flag: Option<FlagKey>,
    pub(crate) change: Change,
    /// Whether the caller may command what is live, and what it is told if not.
    pub(crate) commands: Result<(), Failure>,
}

/// Whether it changes more of a live experiment than texts: who is reached, or when.
fn commands(current: &Experiment, updated: &Experiment) -> bool {
    let of = |e: &Experiment| (e.coverage, e.start_time, e.end_time, e.qa_overrides.clone());
    current.state.is_live() && of(current) != of(updated)
}

/// Stores what `edit` makes of the experiment. An edit that changes nothing writes nothing.
pub(crate) async fn update(truth: &Truth, call: &Call, edit: Edit) -> Result<WithWarnings, Error> {
    let current: Experiment = truth.get_at(&call.namespace, &edit.key, edit.version).await?;
    let chosen = edit.flag.filter(|key| *key != current.flag);
    let flag = flag(truth, call, &current, chosen.as_ref()).await?;
    let mut updated = (edit.change)(&current, &flag)?;
    let locked = validate::update(&current, &updated).errors;
    if !locked.is_empty() {
        let what = name::<Experiment>(current.key());
        return Err(Error::ConfigLocked {
            what,
            violations: fields(locked),
        });
    }
    if commands(&current, &updated) {
        edit.commands?;
    }
    let now = truth.now();
    refuse(validate::moved_dates(&current, &updated, now).errors)?;
    if updated.end_time != current.end_time {
        // An end that is moved is reached anew.
        updated.schedule.end_reached_at = None;
    }
    let mut warnings = pin(&current, &mut updated, &flag, chosen.is_some())?;
    let mut found = Found::read(truth, call, &updated, Some(flag)).await?;
    if updated.flag == current.flag && updated.traffic.prerequisites == current.traffic.prerequisites {
        found.accept_path();
    }
    refuse(validate::draft(&updated, &found.as_core()).errors)?;
    found.refuse_missing(&updated, Some(&current))?;
    warnings.extend(validate::start(&updated, &found.as_core(), now).warnings);
    if current.state.is_live() {
        found.settle(&current, &mut updated, now)?;
    }
    if updated == current {
        return Ok((current, warnings));
    }
    let deed = Deed::new::<Experiment>("update", current.key(), "");
    let writes = found.check(Writes::default().replace(&current, updated));
    let committed = truth.commit(call, deed, writes).await?;
    Ok((stored_as(committed), warnings))
}

/// The flag that the experiment has afterwards.
async fn flag(
    truth: &Truth,
    call: &Call,
    current: &Experiment,
    chosen: Option<&FlagKey>,
) -> Result<Flag, Error> {
    let Some(key) = chosen else {
        return truth.get(&call.namespace, current.flag.as_str()).await;
    };
    truth.find(&call.namespace, key.as_str()).await?.ok_or_else(|| {
        let message = format!("names flag `{key}`, which does not exist; create it, or choose another");
        Error::field("flag_key", "FLAG_NOT_FOUND", message)
    })
}

/// Keeps the control's value as it was pinned, or pins it anew, and says so, when another flag is chosen.
fn pin(
    current: &Experiment,
    updated: &mut Experiment,
    flag: &Flag,
    is_chosen: bool,
) -> Result<Vec<Violation>, Error> {
    if is_chosen {
        updated.pin_control(flag);
        let message = format!(
            "the control's value was pinned anew, from the default of flag `{}`",
            flag.key
        );
        let field = "variants[0].value".to_owned();
        return Ok(vec![Violation {
            step: Step::FlagAndVariants,
            field,
            rule: "CONTROL_REPINNED",
            message,
        }]);
    }
    match (current.control(), updated.control()) {
        (Some(pinned), Some(control)) if pinned.value != control.value => {
            Err(other_control(&flag.key).into())
        }
        _ => Ok(Vec::new()),
    }
}
