//! Copies an experiment of any state into a new draft.

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    key::ExperimentKey,
    validate::{self, MAX_NAME_BYTES},
};

use super::{WithWarnings, new_salt, references::Found};
use crate::{
    error::{Error, refuse},
    truth::{Call, Deed, Stored, Truth, Writes, name, stored_as},
};

/// Most copies of one experiment that get a key of their own by themselves.
const MAX_COPIES: usize = 1_000;

/// Stores the copy under `new_key`, or the first free key of the form `<key>-copy-<n>`. Its control is pinned anew.
pub(crate) async fn duplicate(
    truth: &Truth,
    call: &Call,
    key: &str,
    new_key: Option<ExperimentKey>,
) -> Result<WithWarnings, Error> {
    let original: Experiment = truth.get(&call.namespace, key).await?;
    let flag: Flag = truth.get(&call.namespace, original.flag.as_str()).await?;
    if let Some(new_key) = new_key {
        let copy = Experiment {
            key: new_key,
            ..copy(&original, &flag, &[])
        };
        return store(truth, call, copy, flag).await;
    }
    let mut taken = Vec::new();
    while taken.len() < MAX_COPIES {
        let copy = copy(&original, &flag, &taken);
        let key = copy.key.clone();
        if truth
            .find::<Experiment>(&call.namespace, key.as_str())
            .await?
            .is_none()
        {
            match store(truth, call, copy, flag.clone()).await {
                // Somebody else was faster.
                Err(Error::AlreadyExists { .. }) => {}
                stored => return stored,
            }
        }
        taken.push(key);
    }
    Err(Error::AlreadyExists {
        what: name::<Experiment>(original.copy_key(1).as_str()),
    })
}

fn copy(original: &Experiment, flag: &Flag, taken: &[ExperimentKey]) -> Experiment {
    let mut copy = original.copy(taken, new_salt());
    copy.pin_control(flag);
    if copy.name.len() > MAX_NAME_BYTES {
        let suffix = copy.name.split_off(original.name.len());
        copy.name.truncate(
            copy.name
                .floor_char_boundary(MAX_NAME_BYTES.saturating_sub(suffix.len())),
        );
        copy.name.push_str(&suffix);
    }
    copy
}

async fn store(truth: &Truth, call: &Call, copy: Experiment, flag: Flag) -> Result<WithWarnings, Error> {
    let found = Found::read(truth, call, &copy, Some(flag)).await?;
    refuse(validate::draft(&copy, &found.as_core()).errors)?;
    let deed = Deed::new::<Experiment>("duplicate", copy.key(), "");
    let warnings = validate::start(&copy, &found.as_core(), truth.now()).warnings;
    let writes = found.check(Writes::default().create(copy));
    let committed = truth.commit(call, deed, writes).await?;
    Ok((stored_as(committed), warnings))
}
