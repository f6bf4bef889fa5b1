//! Reads experiments with their flags, which say whether a control's value has drifted.

use std::collections::{BTreeSet, HashMap};

use assay_core::{
    experiment::{AssignmentSource, Experiment},
    flag::Flag,
    key::{FlagKey, Namespace},
};
use assay_storage::config_store::{Filter, Start};

use crate::{
    error::Error,
    get::get,
    list::{PageRequest, list},
    truth::{Call, Truth},
};

/// The flags of some experiments, by key.
pub(crate) type Flags = HashMap<FlagKey, Flag>;

/// The experiment and its flag.
pub(crate) async fn read(truth: &Truth, call: &Call, key: &str) -> Result<(Experiment, Flags), Error> {
    let experiment: Experiment = get(truth, call, key).await?;
    let flags = flags(truth, &call.namespace, [&experiment]).await?;
    Ok((experiment, flags))
}

/// One page of experiments with their flags, and the token of the next one.
pub(crate) async fn read_page(
    truth: &Truth,
    call: &Call,
    filter: &Filter,
    page: &PageRequest,
) -> Result<(Vec<Experiment>, Flags, String), Error> {
    let (experiments, next) = list::<Experiment>(truth, call, filter, page).await?;
    let flags = flags(truth, &call.namespace, &experiments).await?;
    Ok((experiments, flags, next))
}

/// When some experiments began to count, by key.
pub(crate) type Starts = HashMap<String, Start>;

/// The starts of those that have begun.
pub(crate) async fn starts<'a>(
    truth: &Truth,
    namespace: &Namespace,
    experiments: impl IntoIterator<Item = &'a Experiment>,
) -> Result<Starts, Error> {
    let begun = |e: &&Experiment| e.source == AssignmentSource::Assay && !e.cohorts.is_empty();
    let keys: Vec<_> = experiments
        .into_iter()
        .filter(begun)
        .map(|e| e.key.to_string())
        .collect();
    if keys.is_empty() {
        return Ok(Starts::new());
    }
    let found = truth.starts(namespace, &keys).await?;
    Ok(found
        .into_iter()
        .map(|start| (start.experiment.clone(), start))
        .collect())
}

async fn flags<'a>(
    truth: &Truth,
    namespace: &Namespace,
    experiments: impl IntoIterator<Item = &'a Experiment>,
) -> Result<Flags, Error> {
    let keys: BTreeSet<_> = experiments.into_iter().map(|e| e.flag.as_str()).collect();
    let keys: Vec<_> = keys.into_iter().map(str::to_owned).collect();
    let found: Vec<Flag> = truth.find_all(namespace, &keys).await?;
    Ok(found.into_iter().map(|flag| (flag.key.clone(), flag)).collect())
}
