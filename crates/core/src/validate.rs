//! The rules that a resource must keep: all violations at once, each with field, rule and remedy.

mod experiment;
mod hashing;
mod metric;
mod resource;
mod segment;
mod traffic;
mod update;

use crate::{
    flag::Flag,
    key::{ExperimentKey, FlagKey},
    layer::Layer,
    metric::Metric,
    segment::Segment,
    time::Timestamp,
};

pub use experiment::{draft, override_conflict, start};
pub use hashing::{MAX_HASH_BUCKETS, MAX_HASH_FILTERS, MAX_HASH_RANGES};
pub use metric::metric;
pub use resource::flag;
pub use segment::segment;
pub use traffic::{MAX_COOLDOWN, MAX_LAYERS, MAX_PREREQUISITES, holdout, layer};
pub use update::{moved_dates, update};

/// Longest name, owner, tag, event, attribute and unit of a metric, in bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// Longest description and hypothesis, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Longest text that a flag serves, and longest JSON in its encoded form, in bytes.
pub const MAX_VALUE_BYTES: usize = 4096;
/// Most tags of an experiment.
pub const MAX_TAGS: usize = 64;
/// Most variants of an experiment.
pub const MAX_VARIANTS: usize = 20;
/// Most metrics of an experiment.
pub const MAX_METRICS: usize = 100;
/// Most QA overrides of an experiment.
pub const MAX_QA_OVERRIDES: usize = 1000;
/// Most unit overrides of a flag.
pub const MAX_UNIT_OVERRIDES: usize = 10_000;
/// Most segment overrides of a flag.
pub const MAX_SEGMENT_OVERRIDES: usize = 100;
/// Most conditions of a segment, groups and what they hold included, nested segments counted as one each.
pub const MAX_RULES: usize = 256;
/// Most operands of a rule.
pub const MAX_OPERANDS: usize = 1000;
/// Most operands of all rules of a segment together.
pub const MAX_SEGMENT_OPERANDS: usize = 10_000;
/// Most bytes of all texts among the operands of a segment together.
pub const MAX_SEGMENT_OPERAND_BYTES: usize = 256 * 1024;
/// Most rules of a segment with the operator `matches`.
pub const MAX_PATTERNS: usize = 8;
/// Most filters of the events that a metric looks at.
pub const MAX_FILTERS: usize = 32;
/// Latest day, and greatest width in days, of a retention metric.
pub const MAX_RETENTION_DAYS: u32 = 365;

/// Where in the writing of an experiment a violation belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Name, hypothesis, owner.
    Details,
    /// Flag and variants.
    FlagAndVariants,
    /// Metrics and roles.
    Metrics,
    /// Segment, coverage, weights, dates.
    SegmentAndTraffic,
    /// What only the whole shows.
    Review,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where in the writing it belongs.
    pub step: Step,
    /// Path of the field in the public message, such as `variants[1].weight`.
    pub field: String,
    /// Stable name of the rule, such as `SINGLE_VARIANT`.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// What is wrong, and what is only worth a look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Must be mended.
    pub errors: Vec<Violation>,
    /// Worth a look.
    pub warnings: Vec<Violation>,
}

impl Findings {
    /// Whether nothing must be mended.
    pub fn is_ok(&self) -> bool {
        self.errors.is_empty()
    }

    /// In the order of steps.
    fn by_step(mut self) -> Self {
        self.errors.sort_by_key(|violation| violation.step);
        self.warnings.sort_by_key(|violation| violation.step);
        self
    }

    fn error(
        &mut self,
        step: Step,
        field: impl Into<String>,
        rule: &'static str,
        message: impl Into<String>,
    ) {
        self.errors.push(Violation {
            step,
            field: field.into(),
            rule,
            message: message.into(),
        });
    }

    fn warning(
        &mut self,
        step: Step,
        field: impl Into<String>,
        rule: &'static str,
        message: impl Into<String>,
    ) {
        self.warnings.push(Violation {
            step,
            field: field.into(),
            rule,
            message: message.into(),
        });
    }

    /// At most `max` bytes of `text`.
    fn limit_text(&mut self, step: Step, field: impl Into<String>, text: &str, max: usize) {
        if text.len() > max {
            let message = format!("has {} bytes; shorten it to at most {max}", text.len());
            self.error(step, field, "TEXT_TOO_LONG", message);
        }
    }

    /// At most `max` entries in `field`.
    fn limit_count(&mut self, step: Step, field: &str, count: usize, max: usize) {
        if count > max {
            self.error(
                step,
                field,
                "TOO_MANY",
                format!("has {count} entries; keep at most {max}"),
            );
        }
    }
}

/// What an experiment refers to, as far as it exists.
#[derive(Debug, Default)]
pub struct References<'a> {
    /// Its flag.
    pub flag: Option<&'a Flag>,
    /// Its segment.
    pub segment: Option<&'a Segment>,
    /// Those of its metrics that exist.
    pub metrics: Vec<&'a Metric>,
    /// Key of another experiment that has the flag bound.
    pub flag_bound_by: Option<&'a ExperimentKey>,
    /// Its layer.
    pub layer: Option<&'a Layer>,
    /// Those of the flags of its prerequisites that exist.
    pub prerequisite_flags: Vec<&'a Flag>,
    /// A way through prerequisites that comes back or is too long, as [`crate::traffic::prerequisite_path`] finds it.
    pub prerequisite_path: Option<Vec<FlagKey>>,
}

fn end_has_passed(end: Timestamp) -> String {
    format!("{end} has passed; choose a later end")
}

#[cfg(test)]
mod tests;
