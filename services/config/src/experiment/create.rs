//! Creates a draft, and its flag when it has none; starts it when asked to.

use assay_core::{experiment::Experiment, validate};

use super::{
    WithWarnings,
    launch::{Launch, launch},
    references::Found,
    sketch::Sketch,
};
use crate::{
    error::{Error, refuse},
    truth::{Call, Deed, Truth, Writes, stored_as},
};

/// Stores the draft, and in the same change the flag of its own. With `start` what is stored is started or scheduled already.
pub(crate) async fn create(
    truth: &Truth,
    call: &Call,
    sketch: Sketch,
    start: bool,
) -> Result<WithWarnings, Error> {
    let chosen = sketch.flag.clone();
    let draft = sketch.complete(truth, call).await?;
    if let (Some(key), None) = (chosen, &draft.flag) {
        let message = format!(
            "names flag `{key}`, which does not exist; create it, or leave it out to get a flag `{}`",
            draft.experiment.key
        );
        return Err(Error::field("flag_key", "FLAG_NOT_FOUND", message));
    }
    let experiment = draft.experiment;
    let found = Found::read(truth, call, &experiment, draft.flag).await?;
    refuse(validate::draft(&experiment, &found.as_core()).errors)?;
    found.refuse_missing(&experiment, None)?;
    let Launch {
        started,
        found,
        warnings,
    } = match start {
        true => launch(truth, call, &experiment, found.flag, truth.now()).await?,
        false => Launch {
            warnings: validate::start(&experiment, &found.as_core(), truth.now()).warnings,
            started: experiment,
            found,
        },
    };

    let mut writes = Writes::default();
    if let Some(flag) = found.flag.as_ref().filter(|_| draft.flag_is_new) {
        refuse(validate::flag(flag).errors)?;
        writes = writes.create(flag.clone());
    }
    let verb = if start { "create_and_start" } else { "create" };
    let deed = Deed::new::<Experiment>(verb, started.key.as_str(), "");
    let writes = found.check(writes.create(started));
    let committed = truth.commit(call, deed, writes).await?;
    Ok((stored_as(committed), warnings))
}
