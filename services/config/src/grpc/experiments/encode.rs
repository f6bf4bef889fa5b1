//! Experiments as callers see them: with what only the clock and the flag can say.

use assay_core::{experiment::Experiment, record::Sighting, time::Timestamp, validate::Violation};
use assay_proto::{
    config::v1 as pb,
    convert::{finding, lifecycle_action, timestamp, value_to},
};

use crate::experiment::read::{Flags, Starts};

/// `experiment` as it stands at `now`.
pub(super) fn message(experiment: &Experiment, now: Timestamp) -> pb::Experiment {
    let actions = experiment.allowed_actions(now);
    let mut message = pb::Experiment::from(experiment);
    message.allowed_actions = actions
        .into_iter()
        .filter_map(lifecycle_action)
        .map(i32::from)
        .collect();
    if experiment.undoable(now).is_none() {
        message.undo_until = None;
    }
    message
}

/// The same with the drift of its control, if its flag is among `flags`.
pub(super) fn with_drift(experiment: &Experiment, flags: &Flags, now: Timestamp) -> pb::Experiment {
    let flag = flags.get(&experiment.flag);
    let drift = flag.and_then(|flag| experiment.control_drift(flag));
    pb::Experiment {
        control_drift: drift.map(|(pinned, current)| pb::ControlDrift {
            pinned_value: Some(value_to(pinned)),
            default_value: Some(value_to(current)),
        }),
        ..message(experiment, now)
    }
}

/// Adds from when it counts, if its start is among `starts`.
pub(super) fn counted(message: &mut pb::Experiment, starts: &Starts) {
    let Some(start) = starts.get(&message.key) else {
        return;
    };
    message.counting_awaited = start.counting.is_none();
    if let Some(counting) = &start.counting {
        message.counting_from = Some(timestamp(counting.from));
        message.unconfirmed_replicas.clone_from(&counting.unconfirmed);
    }
}

pub(super) fn findings(violations: &[Violation]) -> Vec<pb::Finding> {
    violations.iter().map(finding).collect()
}

pub(super) fn caller(seen: &Sighting) -> pb::RecentCaller {
    pb::RecentCaller {
        caller: seen.caller.clone(),
        key: seen.key.to_string(),
        last_seen_time: Some(timestamp(seen.seen_at)),
    }
}
