//! How experiments share units: layers, holdouts, prerequisites, and what is remembered.

use std::{collections::HashSet, time::Duration};

use super::{Findings, MAX_NAME_BYTES, MAX_TEXT_BYTES, References, Step, resource};
use crate::{
    experiment::{AssignmentSource, Experiment},
    holdout::{Holdout, Scope},
    layer::Layer,
    time::Timestamp,
    traffic::{Eligibility, MAX_PREREQUISITE_DEPTH, Sticky},
    weights::WHOLE,
};

/// Most prerequisites of an experiment.
pub const MAX_PREREQUISITES: usize = 10;
/// Most layers of a holdout.
pub const MAX_LAYERS: usize = 100;
/// Longest cool-down of a layer: 365 days.
pub const MAX_COOLDOWN: Duration = Duration::from_secs(365 * 86_400);

const STEP: Step = Step::SegmentAndTraffic;

/// What every stored experiment must keep.
pub(super) fn draft(findings: &mut Findings, experiment: &Experiment, references: &References<'_>) {
    let traffic = &experiment.traffic;
    if traffic.eligibility == Eligibility::AtEnrollment && traffic.sticky == Sticky::HashOnly {
        let message = "AT_ENROLLMENT needs remembered assignments; set sticky to STORED, or check eligibility EACH_REQUEST";
        findings.error(STEP, "eligibility", "NEEDS_STORED", message);
    }
    let layer = traffic.layer.as_ref().and(references.layer);
    if let Some(layer) = layer.filter(|layer| layer.unit_kind != experiment.unit_kind) {
        let message = format!(
            "layer `{}` divides units of kind `{}`, and the experiment randomizes `{}`; choose a layer of that kind",
            layer.key, layer.unit_kind, experiment.unit_kind
        );
        findings.error(STEP, "layer_key", "LAYER_UNIT_KIND", message);
    }
    prerequisites(findings, experiment, references);
}

fn prerequisites(findings: &mut Findings, experiment: &Experiment, references: &References<'_>) {
    let prerequisites = &experiment.traffic.prerequisites;
    findings.limit_count(STEP, "prerequisites", prerequisites.len(), MAX_PREREQUISITES);
    let mut flags = HashSet::new();
    for (i, prerequisite) in prerequisites.iter().enumerate() {
        if !flags.insert(&prerequisite.flag) {
            let message = format!("`{}` is required already; keep one value", prerequisite.flag);
            findings.error(
                STEP,
                format!("prerequisites[{i}].flag_key"),
                "DUPLICATE_PREREQUISITE",
                message,
            );
        }
        let flag = references
            .prerequisite_flags
            .iter()
            .find(|flag| flag.key == prerequisite.flag);
        let value_type = flag.map_or(prerequisite.value.value_type(), |flag| flag.value_type);
        resource::value(
            findings,
            format!("prerequisites[{i}].value"),
            &prerequisite.value,
            value_type,
        );
    }
    let Some(path) = &references.prerequisite_path else {
        return;
    };
    let shown = path
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" → ");
    if path.first() == path.last() {
        let message = format!("lead back to its own flag: {shown}; remove one of them");
        findings.error(STEP, "prerequisites", "PREREQUISITE_CYCLE", message);
    } else {
        let message =
            format!("lead through more than {MAX_PREREQUISITE_DEPTH} flags: {shown}; remove one of them");
        findings.error(STEP, "prerequisites", "PREREQUISITE_DEPTH", message);
    }
}

/// What Start needs besides.
pub(super) fn ready(
    findings: &mut Findings,
    experiment: &Experiment,
    references: &References<'_>,
    now: Timestamp,
) {
    let traffic = &experiment.traffic;
    for (i, prerequisite) in traffic.prerequisites.iter().enumerate() {
        if !references
            .prerequisite_flags
            .iter()
            .any(|flag| flag.key == prerequisite.flag)
        {
            let message = format!(
                "there is no flag `{}`; create it, or remove it here",
                prerequisite.flag
            );
            findings.error(
                STEP,
                format!("prerequisites[{i}].flag_key"),
                "FLAG_NOT_FOUND",
                message,
            );
        }
    }
    let Some(place) = traffic
        .layer
        .as_ref()
        .filter(|_| experiment.source == AssignmentSource::Assay)
    else {
        return;
    };
    match references.layer {
        None => {
            let message = format!("there is no layer `{}`; create it, or choose another", place.key);
            findings.error(STEP, "layer_key", "LAYER_NOT_FOUND", message);
        }
        Some(layer) => {
            let found = layer
                .clone()
                .allocate(&experiment.key, experiment.coverage.buckets(), now);
            if let Err(full) = found {
                findings.error(STEP, "layer_key", "LAYER_FULL", full.to_string());
            }
        }
    }
}

/// Checks a layer alone.
pub fn layer(layer: &Layer) -> Findings {
    let mut findings = Findings::default();
    findings.limit_text(STEP, "name", &layer.name, MAX_NAME_BYTES);
    findings.limit_text(STEP, "description", &layer.description, MAX_TEXT_BYTES);
    salt(&mut findings, &layer.salt);
    if layer.cooldown > MAX_COOLDOWN {
        let days = MAX_COOLDOWN.as_secs() / 86_400;
        findings.error(
            STEP,
            "cooldown",
            "COOLDOWN_RANGE",
            format!("is longer than {days} days; give at most that"),
        );
    }
    findings
}

/// Checks a holdout alone.
pub fn holdout(holdout: &Holdout) -> Findings {
    let mut findings = Findings::default();
    findings.limit_text(STEP, "name", &holdout.name, MAX_NAME_BYTES);
    findings.limit_text(STEP, "description", &holdout.description, MAX_TEXT_BYTES);
    salt(&mut findings, &holdout.salt);
    if holdout.share.share() == 0 || holdout.share.share() == WHOLE {
        let message = "holds nobody or everybody; give a share between, such as 5 %";
        findings.error(STEP, "share", "SHARE_RANGE", message);
    }
    if let Scope::Layers(layers) = &holdout.scope {
        findings.limit_count(STEP, "layer_keys", layers.len(), MAX_LAYERS);
        let mut keys = HashSet::new();
        for (i, key) in layers.iter().enumerate().filter(|(_, key)| !keys.insert(*key)) {
            let message = format!("`{key}` is named already; name it once");
            findings.error(STEP, format!("layer_keys[{i}]"), "DUPLICATE_KEY", message);
        }
    }
    findings
}

fn salt(findings: &mut Findings, salt: &str) {
    if salt.is_empty() {
        findings.error(
            STEP,
            "salt",
            "SALT_REQUIRED",
            "is empty; give any text that nothing else is salted with",
        );
    } else {
        findings.limit_text(STEP, "salt", salt, MAX_NAME_BYTES);
    }
}

#[cfg(test)]
mod tests;
