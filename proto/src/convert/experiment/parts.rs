use assay_core::{
    experiment::{
        AssignmentSource, Cohort, ExperimentMetric, ExposureMode, Pause, QaOverride, Role, Variant,
    },
    flag::{Flag, Variation},
    key::{MetricKey, VariantKey},
    schedule::{EndAction, Schedule},
};

use super::super::{
    enum_from, key_from, optional_timestamp_from, timestamp, timestamp_from, unit_from, value_from, value_to,
};
use crate::{analysis::v1 as analysis, config::v1 as pb, field::FieldErrors};

/// Gives `variants` what they leave out, as `flag` says it.
pub(super) fn fill_from_flag(variants: &mut Vec<pb::Variant>, flag: &Flag) {
    if variants.is_empty() {
        variants.extend(flag.variations.iter().map(variant_of));
        return;
    }
    for (i, variant) in variants
        .iter_mut()
        .enumerate()
        .filter(|(_, variant)| variant.value.is_none())
    {
        let named = flag
            .variations
            .iter()
            .find(|variation| variation.key.as_str() == variant.key);
        let value = if i == 0 {
            Some(&flag.default_value)
        } else {
            named.map(|variation| &variation.value)
        };
        variant.value = value.map(value_to);
    }
}

fn variant_of(variation: &Variation) -> pb::Variant {
    pb::Variant {
        key: variation.key.to_string(),
        name: variation.name.clone(),
        value: Some(value_to(&variation.value)),
        weight: 0,
    }
}

pub(super) fn variant_from(variant: pb::Variant) -> Result<Variant, FieldErrors> {
    let mut errors = FieldErrors::default();
    let key = errors.keep(key_from(variant.key, "key", VariantKey::new));
    let value = errors.keep(value_from(variant.value, "value"));
    let made = key.zip(value).map(|(key, value)| Variant {
        key,
        name: variant.name,
        value,
    });
    errors.finish(made)
}

pub(super) fn schedule_from(
    end_action: i32,
    end_reached_at: Option<prost_types::Timestamp>,
    error: String,
) -> Result<Schedule, FieldErrors> {
    let mut errors = FieldErrors::default();
    let end_action = errors.keep(enum_from::<pb::EndAction>(end_action, "end_action"));
    let end_reached_at = errors.keep(optional_timestamp_from(end_reached_at, "end_reached_at"));
    let made = end_action
        .zip(end_reached_at)
        .map(|(end_action, end_reached_at)| Schedule {
            end_action: end_action.into(),
            end_reached_at,
            error,
        });
    errors.finish(made)
}

impl From<pb::EndAction> for EndAction {
    fn from(action: pb::EndAction) -> Self {
        match action {
            pb::EndAction::Unspecified | pb::EndAction::Complete => Self::Complete,
            pb::EndAction::HoldEnrollment => Self::HoldEnrollment,
            pb::EndAction::NotifyOnly => Self::NotifyOnly,
        }
    }
}

impl From<EndAction> for pb::EndAction {
    fn from(action: EndAction) -> Self {
        match action {
            EndAction::Complete => Self::Complete,
            EndAction::HoldEnrollment => Self::HoldEnrollment,
            EndAction::NotifyOnly => Self::NotifyOnly,
        }
    }
}

pub(super) fn metric_from(metric: pb::ExperimentMetric) -> Result<ExperimentMetric, FieldErrors> {
    let mut errors = FieldErrors::default();
    let key = errors.keep(key_from(metric.metric_key, "metric_key", MetricKey::new));
    let role = errors.keep(enum_from::<pb::MetricRole>(metric.role, "role"));
    let made = key.zip(role).map(|(key, role)| ExperimentMetric {
        metric: key,
        role: role.into(),
        margin: metric.margin,
    });
    errors.finish(made)
}

impl From<pb::MetricRole> for Role {
    fn from(role: pb::MetricRole) -> Self {
        match role {
            pb::MetricRole::Primary => Self::Primary,
            pb::MetricRole::Unspecified | pb::MetricRole::Secondary => Self::Secondary,
            pb::MetricRole::Guardrail => Self::Guardrail,
        }
    }
}

impl From<Role> for pb::MetricRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Primary => Self::Primary,
            Role::Secondary => Self::Secondary,
            Role::Guardrail => Self::Guardrail,
        }
    }
}

impl From<Role> for analysis::MetricRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Primary => Self::Primary,
            Role::Secondary => Self::Secondary,
            Role::Guardrail => Self::Guardrail,
        }
    }
}

impl From<&ExperimentMetric> for pb::ExperimentMetric {
    fn from(metric: &ExperimentMetric) -> Self {
        Self {
            metric_key: metric.metric.to_string(),
            role: pb::MetricRole::from(metric.role).into(),
            margin: metric.margin,
        }
    }
}

pub(super) fn qa_override_from(hit: pb::QaOverride) -> Result<QaOverride, FieldErrors> {
    let mut errors = FieldErrors::default();
    let unit = errors.keep(unit_from(hit.unit, "unit"));
    let variant = errors.keep(key_from(hit.variant_key, "variant_key", VariantKey::new));
    let made = unit
        .zip(variant)
        .map(|(unit, variant)| QaOverride { unit, variant });
    errors.finish(made)
}

impl From<&QaOverride> for pb::QaOverride {
    fn from(hit: &QaOverride) -> Self {
        Self {
            unit: Some((&hit.unit).into()),
            variant_key: hit.variant.to_string(),
        }
    }
}

pub(super) fn pause_from(pause: pb::Pause) -> Result<Pause, FieldErrors> {
    let mut errors = FieldErrors::default();
    let from = errors.keep(timestamp_from(pause.from, "from"));
    let to = errors.keep(optional_timestamp_from(pause.to, "to"));
    let mode = errors.keep(enum_from::<pb::PauseMode>(pause.mode, "mode"));
    let made = || {
        Some(Pause {
            from: from?,
            to: to?,
            mode: mode?.into(),
        })
    };
    let made = made();
    errors.finish(made)
}

impl From<&Pause> for pb::Pause {
    fn from(pause: &Pause) -> Self {
        Self {
            from: Some(timestamp(pause.from)),
            to: pause.to.map(timestamp),
            mode: pb::PauseMode::from(pause.mode).into(),
        }
    }
}

impl From<&Cohort> for pb::Cohort {
    fn from(cohort: &Cohort) -> Self {
        Self {
            number: cohort.number,
            weights: cohort.weights.shares().to_vec(),
            generation: cohort.generation,
        }
    }
}

pub(super) fn source_from(number: i32) -> Result<AssignmentSource, FieldErrors> {
    Ok(match enum_from(number, "assignment_source")? {
        pb::AssignmentSource::Unspecified | pb::AssignmentSource::Assay => AssignmentSource::Assay,
        pb::AssignmentSource::Imported => AssignmentSource::Imported,
    })
}

impl From<AssignmentSource> for pb::AssignmentSource {
    fn from(source: AssignmentSource) -> Self {
        match source {
            AssignmentSource::Assay => Self::Assay,
            AssignmentSource::Imported => Self::Imported,
        }
    }
}

pub(super) fn exposure_mode_from(number: i32) -> Result<ExposureMode, FieldErrors> {
    Ok(match enum_from(number, "exposure_mode")? {
        pb::ExposureMode::Unspecified | pb::ExposureMode::OnAssign => ExposureMode::OnAssign,
        pb::ExposureMode::None => ExposureMode::None,
    })
}

impl From<ExposureMode> for pb::ExposureMode {
    fn from(mode: ExposureMode) -> Self {
        match mode {
            ExposureMode::OnAssign => Self::OnAssign,
            ExposureMode::None => Self::None,
        }
    }
}
