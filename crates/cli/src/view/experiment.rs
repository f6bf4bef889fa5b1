//! Experiments in files and answers.

mod hashing;
mod parts;

use assay_proto::config::v1 as pb;
use serde::{Deserialize, Serialize};

pub(crate) use hashing::{Filter, Flagd, GrowthBook, Hashing, VariantRange};
pub(crate) use parts::{
    Cohort, CohortOpening, ControlDrift, ExperimentMetric, Finding, Pause, Prerequisite, QaOverride, Variant,
};

use super::{View, day, is_zero, layer, layer::Range, share, share::Share, text};
use crate::{error::Error, output::number};

/// An experiment. What the server alone says (state, cohorts, times of writing) is printed and passed over when read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Experiment {
    pub(crate) namespace: String,
    pub(crate) key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) hypothesis: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) owner: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    pub(crate) flag_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) pause_mode: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) outcome: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) winner: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) allowed_actions: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) assignment_source: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) unit_kind: String,
    pub(crate) variants: Vec<Variant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) coverage: Option<Share>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) segment_key: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) segment_version: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) sticky: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) eligibility: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) layer_key: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) layer_ranges: Vec<Range>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) layer_salt: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) holdout_keys: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) prerequisites: Vec<Prerequisite>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cohort_opening: Option<CohortOpening>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hashing: Option<Hashing>,
    pub(crate) metrics: Vec<ExperimentMetric>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) exposure_mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) confidence: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) qa_overrides: Vec<QaOverride>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) start_time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) end_time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) end_action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) end_reached_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) schedule_error: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) completed_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) undo_until: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pauses: Vec<Pause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) control_drift: Option<ControlDrift>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cohorts: Vec<Cohort>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) salt: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// From when it counts: the fence of its start.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) counting_from: String,
    /// Replicas that had not confirmed the start by then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) unconfirmed_replicas: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) archived_from: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) version: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) generation: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) updated_at: String,
}

impl View for Experiment {
    type Message = pb::Experiment;

    const COLUMNS: &'static [&'static str] = &[
        "key", "state", "flag", "variants", "metrics", "start", "end", "version",
    ];

    fn of(experiment: pb::Experiment) -> Self {
        Self {
            namespace: experiment.namespace,
            key: experiment.key,
            name: experiment.name,
            description: experiment.description,
            hypothesis: experiment.hypothesis,
            owner: experiment.owner,
            tags: experiment.tags,
            flag_key: experiment.flag_key,
            state: text::name_of::<pb::ExperimentState>(experiment.state),
            pause_mode: text::name_of::<pb::PauseMode>(experiment.pause_mode),
            outcome: text::name_of::<pb::Outcome>(experiment.outcome),
            winner: experiment.winner,
            allowed_actions: experiment
                .allowed_actions
                .into_iter()
                .map(text::name_of::<pb::LifecycleAction>)
                .collect(),
            assignment_source: text::name_of::<pb::AssignmentSource>(experiment.assignment_source),
            unit_kind: experiment.unit_kind,
            variants: experiment.variants.into_iter().map(Variant::of).collect(),
            coverage: experiment.coverage.map(Share),
            segment_key: experiment.segment_key,
            segment_version: experiment.segment_version,
            sticky: text::name_of::<pb::Sticky>(experiment.sticky),
            eligibility: text::name_of::<pb::Eligibility>(experiment.eligibility),
            layer_key: experiment.layer_key,
            layer_ranges: experiment.layer_ranges.into_iter().map(Range::of).collect(),
            layer_salt: experiment.layer_salt,
            holdout_keys: experiment.holdout_keys,
            prerequisites: experiment
                .prerequisites
                .into_iter()
                .map(Prerequisite::of)
                .collect(),
            cohort_opening: experiment.cohort_opening.map(CohortOpening::of),
            hashing: experiment.hashing.map(Hashing::of),
            metrics: experiment.metrics.into_iter().map(ExperimentMetric::of).collect(),
            exposure_mode: text::name_of::<pb::ExposureMode>(experiment.exposure_mode),
            confidence: (experiment.confidence > 0.0).then_some(experiment.confidence),
            qa_overrides: experiment.qa_overrides.into_iter().map(QaOverride::of).collect(),
            start_time: text::time(experiment.start_time),
            end_time: text::time(experiment.end_time),
            end_action: text::name_of::<pb::EndAction>(experiment.end_action),
            end_reached_at: text::time(experiment.end_reached_at),
            schedule_error: experiment.schedule_error,
            counting_from: text::time(experiment.counting_from),
            unconfirmed_replicas: experiment.unconfirmed_replicas,
            completed_at: text::time(experiment.completed_at),
            undo_until: text::time(experiment.undo_until),
            control_drift: experiment.control_drift.map(ControlDrift::of),
            pauses: experiment.pauses.into_iter().map(Pause::of).collect(),
            cohorts: experiment.cohorts.into_iter().map(Cohort::of).collect(),
            salt: experiment.salt,
            reason: experiment.reason,
            archived_from: text::name_of::<pb::ExperimentState>(experiment.archived_from),
            version: experiment.version,
            generation: experiment.generation,
            created_at: text::time(experiment.created_at),
            updated_at: text::time(experiment.updated_at),
        }
    }

    fn message(self) -> Result<pb::Experiment, Error> {
        let given: Vec<_> = self.variants.iter().map(|variant| variant.weight).collect();
        let weights =
            share::weights(&given).map_err(|problem| Error::Usage(format!("variants: {problem}")))?;
        let variants = self
            .variants
            .into_iter()
            .zip(weights)
            .map(|(variant, weight)| variant.message(weight));
        let metrics = self.metrics.into_iter().map(ExperimentMetric::message);
        Ok(pb::Experiment {
            namespace: self.namespace,
            key: self.key,
            name: self.name,
            description: self.description,
            hypothesis: self.hypothesis,
            owner: self.owner,
            tags: self.tags,
            flag_key: self.flag_key,
            assignment_source: text::named::<pb::AssignmentSource>(
                &self.assignment_source,
                "assignmentSource",
            )?
            .into(),
            unit_kind: self.unit_kind,
            variants: variants.collect(),
            coverage: self.coverage.map(|share| share.0),
            segment_key: self.segment_key,
            sticky: text::named::<pb::Sticky>(&self.sticky, "sticky")?.into(),
            eligibility: text::named::<pb::Eligibility>(&self.eligibility, "eligibility")?.into(),
            layer_key: self.layer_key,
            prerequisites: self
                .prerequisites
                .into_iter()
                .map(Prerequisite::message)
                .collect(),
            hashing: self.hashing.map(Hashing::message).transpose()?,
            metrics: metrics.collect::<Result<_, Error>>()?,
            exposure_mode: text::named::<pb::ExposureMode>(&self.exposure_mode, "exposureMode")?.into(),
            confidence: self.confidence.unwrap_or_default(),
            qa_overrides: self
                .qa_overrides
                .into_iter()
                .map(QaOverride::message)
                .collect::<Result<_, Error>>()?,
            start_time: text::parse_time(&self.start_time, "startTime")?,
            end_time: text::parse_time(&self.end_time, "endTime")?,
            end_action: text::named::<pb::EndAction>(&self.end_action, "endAction")?.into(),
            version: self.version,
            ..pb::Experiment::default()
        })
    }

    fn row(&self) -> Vec<String> {
        let metrics = self.metrics.iter().map(|metric| metric.metric_key.as_str());
        vec![
            self.key.clone(),
            self.standing(),
            self.flag_key.clone(),
            self.variants
                .iter()
                .map(|variant| variant.key.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            metrics.collect::<Vec<_>>().join(", "),
            day(&self.start_time),
            day(&self.end_time),
            self.version.to_string(),
        ]
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let variants = self.variants.iter().map(|v| {
            let weight = v.weight.map(|share| number::share(share.0)).unwrap_or_default();
            format!("{}  {weight}  {}", v.key, v.value)
        });
        let metrics = self.metrics.iter().map(|m| match m.margin {
            Some(margin) => format!("{} ({}, margin {margin})", m.metric_key, m.role.to_lowercase()),
            None => format!("{} ({})", m.metric_key, m.role.to_lowercase()),
        });
        let overrides = self
            .qa_overrides
            .iter()
            .map(|o| format!("{} → {}", o.unit, o.variant_key));
        let required = self
            .prerequisites
            .iter()
            .map(|p| format!("{} = {}", p.flag_key, p.value));
        let pauses = self
            .pauses
            .iter()
            .map(|p| format!("{} to {} {}", p.from, p.to, p.mode));
        vec![
            ("experiment", format!("{}/{}", self.namespace, self.key)),
            ("name", self.name.clone()),
            ("state", self.standing()),
            ("can be done", self.allowed_actions.join(", ")),
            ("hypothesis", self.hypothesis.clone()),
            ("description", self.description.clone()),
            ("owner", self.owner.clone()),
            ("tags", self.tags.join(", ")),
            ("flag", self.flag_key.clone()),
            ("source", self.assignment_source.clone()),
            ("unit", self.unit_kind.clone()),
            ("variants", variants.collect::<Vec<_>>().join("\n")),
            (
                "coverage",
                self.coverage
                    .map(|share| number::share(share.0))
                    .unwrap_or_default(),
            ),
            ("segment", self.segment_key.clone()),
            ("layer", self.place()),
            ("holdouts", self.holdout_keys.join(", ")),
            ("prerequisites", required.collect::<Vec<_>>().join("\n")),
            (
                "hashing",
                self.hashing.as_ref().map(Hashing::line).unwrap_or_default(),
            ),
            ("sticky", self.sticky.clone()),
            ("eligibility", self.eligibility.clone()),
            ("metrics", metrics.collect::<Vec<_>>().join("\n")),
            ("exposure", self.exposure_mode.clone()),
            (
                "confidence",
                self.confidence.map(|c| c.to_string()).unwrap_or_default(),
            ),
            ("QA overrides", overrides.collect::<Vec<_>>().join("\n")),
            ("start", self.start_time.clone()),
            ("end", self.end_time.clone()),
            ("at the end", self.end_action.clone()),
            ("end reached", self.end_reached_at.clone()),
            ("cannot start", self.schedule_error.clone()),
            ("counts from", self.counting_from.clone()),
            ("not confirmed by", self.unconfirmed_replicas.join(", ")),
            ("completed", self.completed_at.clone()),
            ("undo until", self.undo_until.clone()),
            (
                "control drift",
                self.control_drift
                    .as_ref()
                    .map(ControlDrift::line)
                    .unwrap_or_default(),
            ),
            ("pauses", pauses.collect::<Vec<_>>().join("\n")),
            ("reason", self.reason.clone()),
            ("salt", self.salt.clone()),
            (
                "version",
                format!("{} (generation {})", self.version, self.generation),
            ),
            ("created", self.created_at.clone()),
            ("updated", self.updated_at.clone()),
        ]
    }
}

impl Experiment {
    /// Its layer, and what it has of it.
    fn place(&self) -> String {
        match self.layer_ranges.as_slice() {
            [] => self.layer_key.clone(),
            ranges => format!("{} ({})", self.layer_key, layer::share(ranges)),
        }
    }

    /// Its state with what belongs to it: `COMPLETED (WINNER gate_40)`.
    pub(crate) fn standing(&self) -> String {
        let outcome = [self.outcome.as_str(), self.winner.as_str()].join(" ");
        match (self.pause_mode.as_str(), outcome.trim()) {
            ("", "") => self.state.clone(),
            ("", outcome) => format!("{} ({outcome})", self.state),
            (mode, _) => format!("{} ({mode})", self.state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_a_file_becomes_the_message() {
        let file = "
            key: checkout
            flagKey: button
            hypothesis: A green button sells more
            variants:
              - key: control
              - {key: green, value: green, weight: 33%}
            coverage: 0.8
            metrics: [{metricKey: purchase, role: primary}, {metricKey: refunds}]
            startTime: 2026-11-21
            qaOverrides: [{unit: device/7, variantKey: green}]
        ";
        let view: Experiment = serde_yaml_ng::from_str(file).unwrap();
        let message = view.message().unwrap();
        assert_eq!(
            message.variants.iter().map(|v| v.weight).collect::<Vec<_>>(),
            [6700, 3300]
        );
        assert_eq!(
            (&message.variants[0].value, message.coverage),
            (&None, Some(8000))
        );
        assert_eq!(message.metrics[0].role(), pb::MetricRole::Primary);
        let unit = message.qa_overrides[0].unit.clone().unwrap();
        assert_eq!((unit.kind.as_str(), unit.id.as_str()), ("device", "7"));
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let message = pb::Experiment {
            key: "checkout".into(),
            state: pb::ExperimentState::Completed.into(),
            outcome: pb::Outcome::Winner.into(),
            winner: "green".into(),
            coverage: Some(8000),
            variants: vec![pb::Variant {
                key: "control".into(),
                weight: 10_000,
                ..Default::default()
            }],
            cohorts: vec![pb::Cohort {
                number: 1,
                weights: vec![10_000],
                generation: 3,
            }],
            version: 4,
            ..Default::default()
        };
        let view = Experiment::of(message);
        assert_eq!(view.standing(), "COMPLETED (WINNER green)");
        let yaml = serde_yaml_ng::to_string(&view).unwrap();
        assert_eq!(
            serde_yaml_ng::from_str::<Experiment>(&yaml).unwrap(),
            view,
            "{yaml}"
        );
        assert!(
            serde_yaml_ng::from_str::<Experiment>("flag_key: x")
                .unwrap_err()
                .to_string()
                .contains("flagKey")
        );
    }
}
