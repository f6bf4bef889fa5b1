//! Segments, each alone: what they nest is looked at by [`crate::segment::measure`].

use super::{
    Findings, MAX_NAME_BYTES, MAX_OPERANDS, MAX_PATTERNS, MAX_RULES, MAX_SEGMENT_OPERAND_BYTES,
    MAX_SEGMENT_OPERANDS, MAX_TEXT_BYTES, Step, resource,
};
use crate::{
    segment::{Condition, MAX_DEPTH, Operator, Rule, RuleError, Segment, places},
    value::Attribute,
};

const STEP: Step = Step::SegmentAndTraffic;

/// Checks a segment alone: operands fit operators, groups hold something, limits of size and depth.
///
/// What is too large as a whole is not looked at more closely.
pub fn segment(segment: &Segment) -> Findings {
    let mut findings = Findings::default();
    findings.limit_text(STEP, "name", &segment.name, MAX_NAME_BYTES);
    findings.limit_text(STEP, "description", &segment.description, MAX_TEXT_BYTES);
    let conditions = segment.rules.iter().map(Condition::count);
    let conditions = conditions.fold(0, usize::saturating_add);
    if conditions > MAX_RULES {
        let message = format!("has {conditions} conditions, groups included; keep at most {MAX_RULES}");
        findings.error(STEP, "rules", "TOO_MANY", message);
        return findings;
    }
    let mut totals = Totals::default();
    for (path, condition) in places("rules", &segment.rules) {
        totals.add(condition);
        check(&mut findings, &path, condition, 1);
    }
    totals.check(&mut findings);
    findings
}

/// What all rules of a segment have together.
#[derive(Default)]
struct Totals {
    operands: usize,
    bytes: usize,
    patterns: usize,
}

impl Totals {
    fn add(&mut self, condition: &Condition) {
        if let Condition::Rule(rule) = condition {
            let text = |operand: &Attribute| match operand {
                Attribute::String(text) => text.len(),
                Attribute::Bool(_) | Attribute::Number(_) => 0,
            };
            let bytes = rule.operands.iter().map(text).fold(0, usize::saturating_add);
            self.bytes = self.bytes.saturating_add(bytes);
            self.operands = self.operands.saturating_add(rule.operands.len());
            self.patterns = self
                .patterns
                .saturating_add(usize::from(rule.operator == Operator::Matches));
        }
        for (_, part) in condition.parts() {
            self.add(part);
        }
    }

    fn check(&self, findings: &mut Findings) {
        let limits = [
            (self.operands, MAX_SEGMENT_OPERANDS, "operands in all"),
            (self.bytes, MAX_SEGMENT_OPERAND_BYTES, "bytes of operands in all"),
            (self.patterns, MAX_PATTERNS, "patterns"),
        ];
        for (given, max, what) in limits {
            if given > max {
                let message = format!("has {given} {what}; keep at most {max}");
                findings.error(STEP, "rules", "TOO_MANY", message);
            }
        }
    }
}

fn check(findings: &mut Findings, path: &str, condition: &Condition, depth: usize) {
    if depth > MAX_DEPTH {
        let message = format!("is nested deeper than {MAX_DEPTH}; flatten it, or make a segment of it");
        return findings.error(STEP, path, "TOO_DEEP", message);
    }
    match condition {
        Condition::Rule(rule) => check_rule(findings, STEP, path, rule),
        Condition::AllOf(parts) if parts.is_empty() => group_is_empty(findings, format!("{path}.all_of")),
        Condition::AnyOf(parts) if parts.is_empty() => group_is_empty(findings, format!("{path}.any_of")),
        _ => {}
    }
    for (place, part) in condition.parts() {
        check(
            findings,
            &format!("{path}.{place}"),
            part,
            depth.saturating_add(1),
        );
    }
}

fn group_is_empty(findings: &mut Findings, field: String) {
    findings.error(
        STEP,
        field,
        "GROUP_EMPTY",
        "holds nothing; give at least one condition",
    );
}

/// Checks a comparison, at `path`.
pub(super) fn check_rule(findings: &mut Findings, step: Step, path: &str, rule: &Rule) {
    resource::name(
        findings,
        step,
        format!("{path}.attribute"),
        &rule.attribute,
        "ATTRIBUTE_REQUIRED",
    );
    findings.limit_count(
        step,
        &format!("{path}.operands"),
        rule.operands.len(),
        MAX_OPERANDS,
    );
    if let Err(error) = rule.compile() {
        let name = match error {
            RuleError::OperandCount { .. } => "OPERAND_COUNT",
            RuleError::OperandType { .. } => "OPERAND_TYPE",
            RuleError::OperandNotFinite => "NOT_FINITE",
            RuleError::OperandOrder { .. } => "OPERAND_ORDER",
            RuleError::OperandEmpty { .. } => "OPERAND_EMPTY",
            RuleError::NotAVersion { .. } => "OPERAND_VERSION",
            RuleError::NotATime { .. } => "OPERAND_TIME",
            RuleError::Pattern { .. } => "PATTERN_SYNTAX",
            RuleError::PatternTooLarge => "PATTERN_TOO_LARGE",
        };
        findings.error(step, format!("{path}.operands"), name, error.to_string());
    }
}

#[cfg(test)]
mod tests;
