//! Metrics, each alone: only what is consistent can be saved.

use std::time::Duration;

use super::{
    Findings, MAX_FILTERS, MAX_NAME_BYTES, MAX_RETENTION_DAYS, MAX_TEXT_BYTES, Step, resource,
    segment::check_rule,
};
use crate::{
    metric::{Aggregation, Metric, MetricKind, Quantity},
    record::MAX_VALUE_MICROS,
    segment::Rule,
};

const STEP: Step = Step::Metrics;

/// Checks a metric alone: names, filters, windows, and that each option says something about its kind.
pub fn metric(metric: &Metric) -> Findings {
    let mut findings = Findings::default();
    findings.limit_text(STEP, "name", &metric.name, MAX_NAME_BYTES);
    findings.limit_text(STEP, "description", &metric.description, MAX_TEXT_BYTES);
    findings.limit_text(STEP, "unit", &metric.unit, MAX_NAME_BYTES);
    match &metric.kind {
        MetricKind::Conversion { event, filters, .. } => events(&mut findings, "conversion", event, filters),
        MetricKind::Retention {
            event,
            filters,
            day,
            width_days,
        } => {
            if let Some(event) = event {
                events(&mut findings, "retention", event, filters);
            } else {
                check_filters(&mut findings, "retention", filters);
            }
            days(&mut findings, "retention.day", *day);
            days(&mut findings, "retention.width_days", *width_days);
        }
        MetricKind::Scalar { .. } => {}
        MetricKind::Ratio {
            numerator,
            denominator,
            ..
        } => ratio(&mut findings, numerator, denominator),
        MetricKind::Quantile { quantile, .. } => rank(&mut findings, *quantile),
    }
    for (path, part) in metric.kind.quantities() {
        quantity(&mut findings, path, part);
    }
    window(&mut findings, &metric.kind);
    options(&mut findings, metric);
    findings
}

fn events(findings: &mut Findings, path: &str, event: &str, filters: &[Rule]) {
    resource::name(findings, STEP, format!("{path}.event"), event, "EVENT_REQUIRED");
    check_filters(findings, path, filters);
}

fn check_filters(findings: &mut Findings, path: &str, filters: &[Rule]) {
    findings.limit_count(STEP, &format!("{path}.filters"), filters.len(), MAX_FILTERS);
    for (i, filter) in filters.iter().enumerate() {
        check_rule(findings, STEP, &format!("{path}.filters[{i}]"), filter);
    }
}

fn quantity(findings: &mut Findings, path: &str, quantity: &Quantity) {
    events(findings, path, &quantity.event, &quantity.filters);
    let Some(property) = &quantity.value_property else {
        return;
    };
    let field = format!("{path}.value_property");
    if quantity.aggregation == Aggregation::Count {
        let message = "names a value, and COUNT looks at none; leave it out, or choose SUM, MAX or LAST";
        findings.error(STEP, field, "VALUE_PROPERTY_NOT_APPLICABLE", message);
    } else {
        findings.limit_text(STEP, field, property, MAX_NAME_BYTES);
    }
}

fn days(findings: &mut Findings, field: &str, days: u32) {
    if !(1..=MAX_RETENTION_DAYS).contains(&days) {
        let message = format!("is {days}; give 1 to {MAX_RETENTION_DAYS} days");
        findings.error(STEP, field, "DAYS_RANGE", message);
    }
}

fn ratio(findings: &mut Findings, numerator: &Quantity, denominator: &Quantity) {
    if numerator == denominator {
        let message = "is the same as the numerator, so that the ratio is always 1; give another one";
        findings.error(STEP, "ratio.denominator", "RATIO_OF_ITSELF", message);
    }
}

fn rank(findings: &mut Findings, quantile: f64) {
    if !(quantile > 0.0 && quantile < 1.0) {
        let message = format!("is {quantile}; give a number above 0 and below 1, such as 0.95");
        findings.error(STEP, "quantile.quantile", "QUANTILE_RANGE", message);
    }
}

fn window(findings: &mut Findings, kind: &MetricKind) {
    let is_too_short = kind
        .closes_after()
        .is_some_and(|window| window < Duration::from_micros(1));
    // Retention has days instead, which are looked at themselves.
    if is_too_short && !matches!(kind, MetricKind::Retention { .. }) {
        let message = "is shorter than a microsecond; give a longer one, or none for an open metric";
        findings.error(
            STEP,
            format!("{}.window", kind.name()),
            "WINDOW_TOO_SHORT",
            message,
        );
    }
}

/// What stands beside the kind.
fn options(findings: &mut Findings, metric: &Metric) {
    let kind = metric.kind.name();
    if metric.kind.is_binary() && !metric.unit.is_empty() {
        let message = format!("is for numbers, and a {kind} is a share, shown in %; leave it empty");
        findings.error(STEP, "unit", "UNIT_NOT_APPLICABLE", message);
    }
    let Some(cap) = metric.cap_micros else {
        return;
    };
    if !matches!(metric.kind, MetricKind::Scalar { .. }) {
        let message = format!("is for scalar metrics, and this is a {kind}; leave it out");
        findings.error(STEP, "cap", "CAP_NOT_APPLICABLE", message);
    } else if !(1..=MAX_VALUE_MICROS).contains(&cap) {
        let message = "is not above 0 and at most 9,007,199,254.740992; give the greatest value that a unit may count with";
        findings.error(STEP, "cap", "CAP_RANGE", message);
    }
}

#[cfg(test)]
mod tests;
