//! Flags, each alone.

use std::collections::HashSet;

use super::{
    Findings, MAX_NAME_BYTES, MAX_SEGMENT_OVERRIDES, MAX_TEXT_BYTES, MAX_UNIT_OVERRIDES, MAX_VALUE_BYTES,
    Step,
};
use crate::{
    flag::Flag,
    value::{Value, ValueType},
};

/// Checks a flag alone: at least one variation, distinct keys, one type, first variation = default, limits of size.
pub fn flag(flag: &Flag) -> Findings {
    const STEP: Step = Step::FlagAndVariants;
    let mut findings = Findings::default();
    findings.limit_text(STEP, "name", &flag.name, MAX_NAME_BYTES);
    findings.limit_text(STEP, "description", &flag.description, MAX_TEXT_BYTES);
    let mut keys = HashSet::new();
    for (i, variation) in flag.variations.iter().enumerate() {
        if !keys.insert(&variation.key) {
            let message = format!(
                "`{}` is taken by another variation; choose another key",
                variation.key
            );
            findings.error(STEP, format!("variations[{i}].key"), "DUPLICATE_KEY", message);
        }
        findings.limit_text(
            STEP,
            format!("variations[{i}].name"),
            &variation.name,
            MAX_NAME_BYTES,
        );
        value(
            &mut findings,
            format!("variations[{i}].value"),
            &variation.value,
            flag.value_type,
        );
    }
    value(
        &mut findings,
        "default_value".into(),
        &flag.default_value,
        flag.value_type,
    );
    match flag.variations.first() {
        None => findings.error(
            STEP,
            "variations",
            "VARIATION_REQUIRED",
            "is empty; give at least the control",
        ),
        Some(first) if first.value != flag.default_value => {
            let message = "differs from the default value; the first variation is the control: give both the same value";
            findings.error(STEP, "variations[0].value", "CONTROL_NOT_DEFAULT", message);
        }
        Some(_) => {}
    }
    overrides(&mut findings, flag);
    findings
}

fn overrides(findings: &mut Findings, flag: &Flag) {
    const STEP: Step = Step::FlagAndVariants;
    findings.limit_count(
        STEP,
        "segment_overrides",
        flag.segment_overrides.len(),
        MAX_SEGMENT_OVERRIDES,
    );
    let mut segments = HashSet::new();
    for (i, o) in flag.segment_overrides.iter().enumerate() {
        if !segments.insert(&o.segment) {
            let message = format!(
                "`{}` has an override already, and the first one wins; remove one",
                o.segment
            );
            findings.error(
                STEP,
                format!("segment_overrides[{i}].segment_key"),
                "DUPLICATE_OVERRIDE",
                message,
            );
        }
        value(
            findings,
            format!("segment_overrides[{i}].value"),
            &o.value,
            flag.value_type,
        );
    }
    findings.limit_count(
        STEP,
        "unit_overrides",
        flag.unit_overrides.len(),
        MAX_UNIT_OVERRIDES,
    );
    let mut units = HashSet::new();
    for (i, o) in flag.unit_overrides.iter().enumerate() {
        if !units.insert(&o.unit) {
            let message = format!("`{}` has an override already; remove one", o.unit);
            findings.error(
                STEP,
                format!("unit_overrides[{i}].unit"),
                "DUPLICATE_OVERRIDE",
                message,
            );
        }
        value(
            findings,
            format!("unit_overrides[{i}].value"),
            &o.value,
            flag.value_type,
        );
    }
}

/// A value that a flag of `value_type` may serve.
pub(super) fn value(findings: &mut Findings, field: String, value: &Value, value_type: ValueType) {
    const STEP: Step = Step::FlagAndVariants;
    if value.value_type() != value_type {
        let message = format!(
            "is a {}, and the flag a {value_type}; give a {value_type}",
            value.value_type()
        );
        findings.error(STEP, field, "TYPE_MISMATCH", message);
        return;
    }
    let bytes = match value {
        Value::Bool(_) => 0,
        Value::Number(number) if number.is_finite() => 0,
        Value::Number(_) => {
            findings.error(
                STEP,
                field,
                "NOT_FINITE",
                "is not a finite number; give a finite one",
            );
            return;
        }
        Value::String(text) => text.len(),
        Value::Json(json) if json.is_object() || json.is_array() => json.to_string().len(),
        Value::Json(_) => {
            let message =
                "is neither a JSON object nor an array; wrap it in one, or use a flag of a simple type";
            findings.error(STEP, field, "JSON_NOT_STRUCTURED", message);
            return;
        }
    };
    if bytes > MAX_VALUE_BYTES {
        let message =
            format!("has {bytes} bytes; serve at most {MAX_VALUE_BYTES}, such as a name of the data instead");
        findings.error(STEP, field, "VALUE_TOO_LARGE", message);
    }
}

/// A name of 1 to 256 bytes; `required` is the rule that an empty one breaks.
pub(super) fn name(findings: &mut Findings, step: Step, field: String, name: &str, required: &'static str) {
    if name.is_empty() {
        findings.error(step, field, required, "is empty; name it");
    } else {
        findings.limit_text(step, field, name, MAX_NAME_BYTES);
    }
}

#[cfg(test)]
mod tests;
