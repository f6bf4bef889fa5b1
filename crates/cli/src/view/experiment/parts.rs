use assay_proto::config::v1 as pb;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{flag, share::Share, text};
use crate::error::Error;

/// An alternative.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Variant {
    pub(crate) key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    pub(crate) value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<Share>,
}

impl Variant {
    pub(super) fn of(variant: pb::Variant) -> Self {
        Self {
            key: variant.key,
            name: variant.name,
            value: flag::json(variant.value),
            weight: Some(Share(variant.weight)),
        }
    }

    pub(super) fn message(self, weight: u32) -> pb::Variant {
        pb::Variant {
            key: self.key,
            name: self.name,
            value: flag::value(&self.value),
            weight,
        }
    }
}

/// The control's value is no longer what the flag serves by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ControlDrift {
    pub(crate) pinned_value: Value,
    pub(crate) default_value: Value,
}

impl ControlDrift {
    pub(super) fn of(drift: pb::ControlDrift) -> Self {
        Self {
            pinned_value: flag::json(drift.pinned_value),
            default_value: flag::json(drift.default_value),
        }
    }

    /// For people.
    pub(super) fn line(&self) -> String {
        format!(
            "pinned {}, the flag's default is {} now",
            self.pinned_value, self.default_value
        )
    }
}

/// A metric and its role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExperimentMetric {
    pub(crate) metric_key: String,
    pub(crate) role: String,
    /// By what share of the control's mean a guardrail may get worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) margin: Option<f64>,
}

impl ExperimentMetric {
    pub(super) fn of(metric: pb::ExperimentMetric) -> Self {
        Self {
            metric_key: metric.metric_key,
            role: text::name_of::<pb::MetricRole>(metric.role),
            margin: metric.margin,
        }
    }

    pub(super) fn message(self) -> Result<pb::ExperimentMetric, Error> {
        let role = text::named::<pb::MetricRole>(&self.role, "metrics.role")?.into();
        Ok(pb::ExperimentMetric {
            metric_key: self.metric_key,
            role,
            margin: self.margin,
        })
    }
}

impl std::str::FromStr for ExperimentMetric {
    type Err = String;

    /// `purchase`, `purchase:primary` or `refunds:guardrail:2%`.
    fn from_str(written: &str) -> Result<Self, String> {
        let (key, role) = written.split_once(':').unwrap_or((written, ""));
        let (role, margin) = match role.split_once(':') {
            Some((role, margin)) => (role, Some(share(margin)?)),
            None => (role, None),
        };
        Ok(Self {
            metric_key: key.to_owned(),
            role: role.to_uppercase(),
            margin,
        })
    }
}

/// `2%` or `0.02`.
fn share(written: &str) -> Result<f64, String> {
    let number = match written.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => written.parse(),
    };
    let finite = number.ok().filter(|number| number.is_finite());
    finite.ok_or_else(|| format!("`{written}` is not a margin; write one like refunds:guardrail:2%"))
}

/// One variant for one unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct QaOverride {
    pub(crate) unit: String,
    pub(crate) variant_key: String,
}

impl QaOverride {
    pub(super) fn of(hit: pb::QaOverride) -> Self {
        Self {
            unit: text::unit(hit.unit),
            variant_key: hit.variant_key,
        }
    }

    pub(super) fn message(self) -> Result<pb::QaOverride, Error> {
        let unit = text::parse_unit(&self.unit, "qaOverrides.unit")?;
        Ok(pb::QaOverride {
            unit: Some((&unit).into()),
            variant_key: self.variant_key,
        })
    }
}

/// A vector of weights.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cohort {
    pub(crate) number: u32,
    pub(crate) weights: Vec<Share>,
    pub(crate) generation: u64,
}

impl Cohort {
    pub(super) fn of(cohort: pb::Cohort) -> Self {
        Self {
            number: cohort.number,
            weights: cohort.weights.into_iter().map(Share).collect(),
            generation: cohort.generation,
        }
    }
}

/// A cohort that is about to open.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CohortOpening {
    pub(crate) weights: Vec<Share>,
    pub(crate) since_generation: u64,
}

impl CohortOpening {
    pub(super) fn of(opening: pb::CohortOpening) -> Self {
        Self {
            weights: opening.weights.into_iter().map(Share).collect(),
            since_generation: opening.since_generation,
        }
    }
}

/// What another flag must serve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Prerequisite {
    pub(crate) flag_key: String,
    pub(crate) value: Value,
}

impl Prerequisite {
    pub(super) fn of(prerequisite: pb::Prerequisite) -> Self {
        Self {
            flag_key: prerequisite.flag_key,
            value: flag::json(prerequisite.value),
        }
    }

    pub(super) fn message(self) -> pb::Prerequisite {
        pb::Prerequisite {
            flag_key: self.flag_key,
            value: flag::value(&self.value),
        }
    }
}

/// A span without enrollment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pause {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) mode: String,
}

impl Pause {
    pub(super) fn of(pause: pb::Pause) -> Self {
        Self {
            from: text::time(pause.from),
            to: text::time(pause.to),
            mode: text::name_of::<pb::PauseMode>(pause.mode),
        }
    }
}

/// Something to mend or to look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    pub(crate) step: String,
    pub(crate) field: String,
    pub(crate) rule: String,
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn of(finding: pb::Finding) -> Self {
        Self {
            step: text::name_of::<pb::ExperimentStep>(finding.step),
            field: finding.field,
            rule: finding.rule,
            message: finding.message,
        }
    }

    /// One line about it.
    pub(crate) fn line(&self) -> String {
        format!("{}: {} ({})", self.field, self.message, self.rule)
    }
}
