//! What the tests of this module's parts share.

use super::*;
use crate::{
    experiment::Cohort,
    key::SegmentKey,
    time::{MICROS_PER_DAY, Timestamp},
    weights::Weights,
};

pub(super) const NOW: Timestamp = Timestamp::from_micros(MICROS_PER_DAY);

pub(super) fn names(violations: &[Violation]) -> Vec<(&str, &str)> {
    violations.iter().map(|v| (v.field.as_str(), v.rule)).collect()
}

pub(super) fn owned(findings: Findings) -> Vec<(String, &'static str)> {
    findings.errors.into_iter().map(|v| (v.field, v.rule)).collect()
}

pub(super) fn one(field: &str, rule: &'static str) -> Vec<(String, &'static str)> {
    vec![(field.to_owned(), rule)]
}

pub(super) fn weights(shares: &[u32]) -> Vec<Cohort> {
    vec![Cohort {
        number: 1,
        weights: Weights::new(shares.to_vec()).unwrap(),
        generation: 0,
    }]
}

pub(super) fn ios() -> Option<SegmentKey> {
    Some(SegmentKey::new("ios").unwrap())
}
