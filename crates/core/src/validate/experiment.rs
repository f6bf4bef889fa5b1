//! Experiments: as drafts, and ready to start.

use std::{collections::HashSet, time::Duration};

use super::{
    Findings, MAX_METRICS, MAX_NAME_BYTES, MAX_QA_OVERRIDES, MAX_TAGS, MAX_TEXT_BYTES, MAX_VARIANTS,
    References, Step, hashing, resource, traffic,
};
use crate::{
    commands::DEFAULT_RUN,
    experiment::{AssignmentSource, Experiment, ExperimentMetric, Role},
    flag::Flag,
    metric::{Metric, MetricKind},
    schedule::EndAction,
    time::Timestamp,
};

/// Checks what every stored experiment must keep, drafts included (types, distinct keys, weights, limits).
pub fn draft(experiment: &Experiment, references: &References<'_>) -> Findings {
    let mut findings = Findings::default();
    details(&mut findings, experiment);
    variants(&mut findings, experiment, references);
    metrics(&mut findings, experiment);
    dates(&mut findings, experiment);
    qa_overrides(&mut findings, experiment);
    traffic::draft(&mut findings, experiment, references);
    hashing::draft(&mut findings, experiment);
    findings.by_step()
}

fn details(findings: &mut Findings, experiment: &Experiment) {
    const STEP: Step = Step::Details;
    findings.limit_text(STEP, "name", &experiment.name, MAX_NAME_BYTES);
    findings.limit_text(STEP, "description", &experiment.description, MAX_TEXT_BYTES);
    findings.limit_text(STEP, "hypothesis", &experiment.hypothesis, MAX_TEXT_BYTES);
    findings.limit_text(STEP, "owner", &experiment.owner, MAX_NAME_BYTES);
    findings.limit_count(STEP, "tags", experiment.tags.len(), MAX_TAGS);
    for (i, tag) in experiment.tags.iter().enumerate() {
        findings.limit_text(STEP, format!("tags[{i}]"), tag, MAX_NAME_BYTES);
    }
}

fn variants(findings: &mut Findings, experiment: &Experiment, references: &References<'_>) {
    const STEP: Step = Step::FlagAndVariants;
    let variants = &experiment.variants;
    if variants.is_empty() {
        findings.error(
            STEP,
            "variants",
            "VARIANT_REQUIRED",
            "is empty; give at least the control",
        );
    }
    findings.limit_count(STEP, "variants", variants.len(), MAX_VARIANTS);
    let mut keys = HashSet::new();
    for (i, variant) in variants.iter().enumerate() {
        if !keys.insert(&variant.key) {
            let message = format!(
                "`{}` is taken by another variant; choose another key",
                variant.key
            );
            findings.error(STEP, format!("variants[{i}].key"), "DUPLICATE_KEY", message);
        }
        findings.limit_text(STEP, format!("variants[{i}].name"), &variant.name, MAX_NAME_BYTES);
        let value_type = references
            .flag
            .map_or(variant.value.value_type(), |flag| flag.value_type);
        resource::value(
            findings,
            format!("variants[{i}].value"),
            &variant.value,
            value_type,
        );
    }
    let weights = experiment.weights().map_or(0, |weights| weights.shares().len());
    if weights != variants.len() {
        let message = format!(
            "{weights} weights are given for {} variants; give one for each",
            variants.len()
        );
        findings.error(
            Step::SegmentAndTraffic,
            "variants.weight",
            "WEIGHTS_COUNT",
            message,
        );
    }
}

fn metrics(findings: &mut Findings, experiment: &Experiment) {
    const STEP: Step = Step::Metrics;
    findings.limit_count(STEP, "metrics", experiment.metrics.len(), MAX_METRICS);
    let mut keys = HashSet::new();
    for (i, metric) in experiment.metrics.iter().enumerate() {
        if !keys.insert(&metric.metric) {
            let message = format!("`{}` is listed already; keep one, with one role", metric.metric);
            findings.error(
                STEP,
                format!("metrics[{i}].metric_key"),
                "DUPLICATE_METRIC",
                message,
            );
        }
        margin(findings, format!("metrics[{i}].margin"), metric);
    }
    let confidence = experiment.confidence;
    if !(confidence > 0.5 && confidence < 1.0) {
        let message = format!("is {confidence}; give a number above 0.5 and below 1, such as 0.95");
        findings.error(STEP, "confidence", "CONFIDENCE_RANGE", message);
    }
}

fn margin(findings: &mut Findings, field: String, listed: &ExperimentMetric) {
    const STEP: Step = Step::Metrics;
    let Some(margin) = listed.margin else {
        return;
    };
    if listed.role != Role::Guardrail {
        let message = format!(
            "is for guardrails, and `{}` has another role; leave it out, or make it a GUARDRAIL",
            listed.metric
        );
        findings.error(STEP, field, "MARGIN_NOT_APPLICABLE", message);
    } else if !(margin > 0.0 && margin < 1.0) {
        let message = format!(
            "is {margin}; give the share of the control's mean that may be lost, above 0 and below 1, such as 0.02"
        );
        findings.error(STEP, field, "MARGIN_RANGE", message);
    }
}

fn dates(findings: &mut Findings, experiment: &Experiment) {
    const STEP: Step = Step::SegmentAndTraffic;
    let dates = [
        ("start_time", experiment.start_time),
        ("end_time", experiment.end_time),
    ];
    if experiment.source == AssignmentSource::Imported {
        for (field, _) in dates.iter().filter(|(_, time)| time.is_none()) {
            let message = "is missing; give the time that the imported data has";
            findings.error(STEP, *field, "DATES_REQUIRED", message);
        }
    }
    if let (Some(start), Some(end)) = (experiment.start_time, experiment.end_time)
        && end <= start
    {
        let message = format!("{end} is not after the start, {start}; choose a later end");
        findings.error(STEP, "end_time", "END_BEFORE_START", message);
    }
    if experiment.schedule.end_action == EndAction::HoldEnrollment && !experiment.stores_assignments() {
        let message = "is HOLD_ENROLLMENT, which needs to know the units that were assigned, and this experiment does not store them; choose COMPLETE or NOTIFY_ONLY";
        findings.error(STEP, "end_action", "NEEDS_STORED", message);
    }
}

fn qa_overrides(findings: &mut Findings, experiment: &Experiment) {
    const STEP: Step = Step::FlagAndVariants;
    findings.limit_count(
        STEP,
        "qa_overrides",
        experiment.qa_overrides.len(),
        MAX_QA_OVERRIDES,
    );
    let mut units = HashSet::new();
    for (i, qa) in experiment.qa_overrides.iter().enumerate() {
        if !units.insert(&qa.unit) {
            let message = format!("`{}` has an override already; remove one", qa.unit);
            findings.error(
                STEP,
                format!("qa_overrides[{i}].unit"),
                "DUPLICATE_OVERRIDE",
                message,
            );
        }
        if experiment.variant(&qa.variant).is_none() {
            let message = format!("there is no variant `{}`; name one of the variants", qa.variant);
            findings.error(
                STEP,
                format!("qa_overrides[{i}].variant_key"),
                "UNKNOWN_VARIANT",
                message,
            );
        }
    }
}

/// Checks everything that Start needs; includes [`draft`].
pub fn start(experiment: &Experiment, references: &References<'_>, now: Timestamp) -> Findings {
    let mut findings = draft(experiment, references);
    if experiment.hypothesis.trim().is_empty() {
        let message = "is empty; say what you expect to change, and why";
        findings.error(Step::Details, "hypothesis", "HYPOTHESIS_REQUIRED", message);
    }
    flag_is_ready(&mut findings, experiment, references);
    roles_are_ready(&mut findings, experiment);
    metrics_are_ready(&mut findings, experiment, references, now);
    segment_is_ready(&mut findings, experiment, references);
    dates_are_ready(&mut findings, experiment, now);
    traffic::ready(&mut findings, experiment, references, now);
    findings.by_step()
}

fn flag_is_ready(findings: &mut Findings, experiment: &Experiment, references: &References<'_>) {
    const STEP: Step = Step::FlagAndVariants;
    let key = &experiment.flag;
    if references.flag.is_none() {
        let message = format!("there is no flag `{key}`; create it, or choose another");
        findings.error(STEP, "flag_key", "FLAG_NOT_FOUND", message);
    }
    if experiment.variants.len() == 1 {
        let message = format!(
            "the control is the only variant; add a second variation to flag `{key}`, or a variant of the experiment's own"
        );
        findings.error(STEP, "variants", "SINGLE_VARIANT", message);
    }
    let is_served = experiment.source == AssignmentSource::Assay;
    if let Some(other) = references
        .flag_bound_by
        .filter(|other| is_served && **other != experiment.key)
    {
        let message = format!(
            "flag `{key}` is bound by experiment `{other}`; complete that one, or choose another flag"
        );
        findings.error(STEP, "flag_key", "FLAG_BOUND", message);
    }
    for (i, variant) in experiment.variants.iter().enumerate().filter(|_| is_served) {
        let mut before = experiment.variants.iter().take(i);
        if let Some(same) = before.find(|other| other.value == variant.value) {
            let message = format!(
                "serves the same as variant `{}`, so that there is nothing to tell them apart; change it, unless you compare equals on purpose",
                same.key
            );
            findings.warning(STEP, format!("variants[{i}].value"), "SAME_VALUE", message);
        }
    }
}

fn roles_are_ready(findings: &mut Findings, experiment: &Experiment) {
    const STEP: Step = Step::Metrics;
    let metrics = experiment.metrics.iter();
    match metrics.filter(|metric| metric.role == Role::Primary).count() {
        0 => {
            let message = "has no primary metric; give the role PRIMARY to the one that decides";
            findings.error(STEP, "metrics", "PRIMARY_METRIC_REQUIRED", message);
        }
        1 => {}
        n => {
            let message = format!("has {n} primary metrics, each harder to decide; keep one if you can");
            findings.warning(STEP, "metrics", "MULTIPLE_PRIMARIES", message);
        }
    }
}

fn metrics_are_ready(
    findings: &mut Findings,
    experiment: &Experiment,
    references: &References<'_>,
    now: Timestamp,
) {
    let start = experiment.start_time.unwrap_or(now);
    let end = experiment
        .end_time
        .unwrap_or_else(|| start.max(now).plus(DEFAULT_RUN));
    for (i, listed) in experiment.metrics.iter().enumerate() {
        let field = format!("metrics[{i}].metric_key");
        match references
            .metrics
            .iter()
            .find(|metric| metric.key == listed.metric)
        {
            Some(metric) => {
                window_is_fit(findings, field.clone(), metric, listed.role, end.since(start));
                kind_is_computed(findings, field, metric);
            }
            None => {
                let message = format!(
                    "there is no metric `{}`; create it, or remove it here",
                    listed.metric
                );
                findings.error(Step::Metrics, field, "METRIC_NOT_FOUND", message);
            }
        }
    }
}

fn window_is_fit(findings: &mut Findings, field: String, metric: &Metric, role: Role, run: Duration) {
    const STEP: Step = Step::Metrics;
    let key = &metric.key;
    match metric.kind.closes_after() {
        Some(window) if window.saturating_mul(2) >= run => {
            let message = format!(
                "`{key}` counts a unit only when half of the run or more has passed since its exposure; run longer, or shorten its window"
            );
            findings.warning(STEP, field, "LONG_WINDOW", message);
        }
        None if role == Role::Primary => {
            let message =
                format!("`{key}` has no window, so values change after they were counted; give it one");
            findings.warning(STEP, field, "OPEN_WINDOW", message);
        }
        Some(_) | None => {}
    }
}

/// What is recorded now and shown later is worth a word before it starts.
fn kind_is_computed(findings: &mut Findings, field: String, metric: &Metric) {
    if matches!(metric.kind, MetricKind::Quantile { .. }) {
        let message = format!(
            "`{}` is a quantile, whose units are counted but whose figures are not computed yet; it cannot decide",
            metric.key
        );
        findings.warning(Step::Metrics, field, "NOT_COMPUTED_YET", message);
    }
}

fn segment_is_ready(findings: &mut Findings, experiment: &Experiment, references: &References<'_>) {
    const STEP: Step = Step::SegmentAndTraffic;
    if let (Some(key), None) = (&experiment.segment, references.segment) {
        let message = format!("there is no segment `{key}`; create it, or choose another");
        findings.error(STEP, "segment_key", "SEGMENT_NOT_FOUND", message);
    }
    if references
        .flag
        .is_some_and(|flag| override_conflict(flag, experiment))
    {
        let message = format!(
            "flag `{}` has an override for this segment, so that nobody would get a variant; remove it, or choose another segment",
            experiment.flag
        );
        findings.error(STEP, "segment_key", "OVERRIDE_CONFLICT", message);
    }
    let control = experiment.weights().and_then(|weights| weights.shares().first());
    if control == Some(&0) {
        let message = "nobody gets the control, so that there is nothing to compare with; give it a share";
        findings.warning(STEP, "variants[0].weight", "CONTROL_ZERO_WEIGHT", message);
    }
}

/// Whether an override of `flag` for the segment of `experiment` would hide all its variants. What is imported is never served.
pub fn override_conflict(flag: &Flag, experiment: &Experiment) -> bool {
    let segment = experiment.segment.as_ref();
    experiment.source == AssignmentSource::Assay
        && flag.segment_overrides.iter().any(|o| Some(&o.segment) == segment)
}

fn dates_are_ready(findings: &mut Findings, experiment: &Experiment, now: Timestamp) {
    const STEP: Step = Step::SegmentAndTraffic;
    if experiment.source == AssignmentSource::Imported {
        return;
    }
    if let Some(end) = experiment.end_time.filter(|end| *end <= now) {
        findings.error(STEP, "end_time", "END_TIME_IN_PAST", super::end_has_passed(end));
    }
}

#[cfg(test)]
mod tests;
