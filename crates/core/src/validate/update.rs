//! What may be edited, and when.

use super::{Findings, Step};
use crate::{experiment::Experiment, key::LayerKey, lifecycle::State, time::Timestamp};

/// Checks which fields `updated` changes against what the state of `current` allows; `CONFIG_LOCKED` for each other.
///
/// Compared is what people edit. What commands write (state, pauses, salt, pinned versions, …) is the caller's to carry over.
pub fn update(current: &Experiment, updated: &Experiment) -> Findings {
    use Step::{Details, FlagAndVariants, Metrics, SegmentAndTraffic};

    let (old, new) = (current, updated);
    let changes = [
        (Details, "name", old.name != new.name),
        (Details, "description", old.description != new.description),
        (Details, "hypothesis", old.hypothesis != new.hypothesis),
        (Details, "owner", old.owner != new.owner),
        (Details, "tags", old.tags != new.tags),
        (FlagAndVariants, "flag_key", old.flag != new.flag),
        (FlagAndVariants, "assignment_source", old.source != new.source),
        (FlagAndVariants, "unit_kind", old.unit_kind != new.unit_kind),
        (FlagAndVariants, "variants", old.variants != new.variants),
        (
            FlagAndVariants,
            "qa_overrides",
            old.qa_overrides != new.qa_overrides,
        ),
        (FlagAndVariants, "exposure_mode", old.exposure != new.exposure),
        (Metrics, "metrics", old.metrics != new.metrics),
        (Metrics, "confidence", old.confidence != new.confidence),
        (
            SegmentAndTraffic,
            "variants.weight",
            old.weights() != new.weights(),
        ),
        (SegmentAndTraffic, "coverage", old.coverage != new.coverage),
        (SegmentAndTraffic, "segment_key", old.segment != new.segment),
        (
            SegmentAndTraffic,
            "sticky",
            old.traffic.sticky != new.traffic.sticky,
        ),
        (
            SegmentAndTraffic,
            "eligibility",
            old.traffic.eligibility != new.traffic.eligibility,
        ),
        (SegmentAndTraffic, "layer_key", layer_key(old) != layer_key(new)),
        (
            SegmentAndTraffic,
            "prerequisites",
            old.traffic.prerequisites != new.traffic.prerequisites,
        ),
        (
            SegmentAndTraffic,
            "hashing",
            old.traffic.hashing != new.traffic.hashing,
        ),
        (SegmentAndTraffic, "start_time", old.start_time != new.start_time),
        (SegmentAndTraffic, "end_time", old.end_time != new.end_time),
        (
            SegmentAndTraffic,
            "end_action",
            old.schedule.end_action != new.schedule.end_action,
        ),
    ];
    let mut findings = Findings::default();
    for (step, field, changed) in changes {
        if changed && !is_editable(field, current, updated) {
            findings.error(step, field, "CONFIG_LOCKED", locked(field, &current.state));
        }
    }
    findings
}

/// Checks the dates of an experiment that Start has fixed: neither can be cleared, and an end that is moved lies ahead of `now`.
pub fn moved_dates(current: &Experiment, updated: &Experiment, now: Timestamp) -> Findings {
    const STEP: Step = Step::SegmentAndTraffic;
    let mut findings = Findings::default();
    if !current.state.is_live() {
        return findings;
    }
    let dates = [
        ("start_time", current.start_time, updated.start_time),
        ("end_time", current.end_time, updated.end_time),
    ];
    for (field, old, new) in dates {
        if old.is_some() && new.is_none() {
            let message = "was fixed by Start and cannot be cleared; give a time, or Unschedule";
            findings.error(STEP, field, "DATE_REQUIRED", message);
        }
    }
    if let Some(end) = updated.end_time.filter(|end| *end <= now)
        && current.end_time != updated.end_time
    {
        findings.error(STEP, "end_time", "END_TIME_IN_PAST", super::end_has_passed(end));
    }
    findings
}

fn layer_key(experiment: &Experiment) -> Option<&LayerKey> {
    experiment.traffic.layer.as_ref().map(|layer| &layer.key)
}

/// Whether `field` may change as it does in the state of `current`.
fn is_editable(field: &str, current: &Experiment, updated: &Experiment) -> bool {
    let is_text = matches!(field, "name" | "description" | "owner" | "tags");
    match current.state {
        State::Draft => true,
        State::Scheduled => {
            is_text || matches!(field, "start_time" | "end_time" | "end_action" | "qa_overrides")
        }
        State::Running | State::Paused(_) => match field {
            "qa_overrides" => true,
            "end_time" => current
                .end_time
                .zip(updated.end_time)
                .is_some_and(|(old, new)| new > old),
            "coverage" => updated.coverage > current.coverage,
            _ => is_text,
        },
        State::Completed(_) | State::Ended(_) | State::Archived { .. } => false,
    }
}

fn locked(field: &str, state: &State) -> String {
    let name = state.name();
    match (state, field) {
        (State::Scheduled, _) => format!("is frozen while {name}; to change it, Unschedule"),
        (State::Running | State::Paused(_), "end_time") => format!("can only be moved later while {name}"),
        (State::Running | State::Paused(_), "coverage") => {
            format!("can only grow while {name}, so that no unit loses its variant")
        }
        _ => format!("is fixed in state {name}; to change it, Duplicate the experiment"),
    }
}

#[cfg(test)]
mod tests;
