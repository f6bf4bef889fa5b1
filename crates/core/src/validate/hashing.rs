//! Another system's hash: complete, and of one mind with weights and coverage.

use std::ops::Range;

use super::{Findings, MAX_NAME_BYTES, Step};
use crate::{
    experiment::Experiment,
    hashing::{Algorithm, Division, Filter, FlagdKey, Hashing, Impossible},
    weights::{Coverage, WHOLE, Weights},
};

/// Most filters or shards of a hash.
pub const MAX_HASH_FILTERS: usize = 16;
/// Most ranges of a hash, and of a filter.
pub const MAX_HASH_RANGES: usize = 256;
/// Most buckets of a hash: flagd's greatest total weight.
pub const MAX_HASH_BUCKETS: u32 = i32::MAX as u32;

const STEP: Step = Step::SegmentAndTraffic;

/// What every stored experiment must keep.
pub(super) fn draft(findings: &mut Findings, experiment: &Experiment) {
    let hashing = &experiment.traffic.hashing;
    if !hashing.is_outside() {
        if hashing.buckets.is_some() || !hashing.ranges.is_empty() {
            let message = "has buckets or ranges and no algorithm, and Assay's own follows weights and coverage; leave them out, or name the algorithm";
            findings.error(STEP, "hashing", "RANGES_NOT_APPLICABLE", message);
        }
        return;
    }
    if let Some(layer) = &experiment.traffic.layer {
        let message = format!(
            "is another system's, and layer `{}` would give it other units than it had there; leave the layer, or Assay's own hash",
            layer.key
        );
        findings.error(STEP, "hashing", "HASHING_IN_LAYER", message);
    }
    algorithm(findings, hashing);
    buckets(findings, hashing);
    ranges(findings, hashing);
    if let Some(weights) = experiment.weights() {
        agreement(findings, experiment, weights);
    }
}

fn algorithm(findings: &mut Findings, hashing: &Hashing) {
    match &hashing.algorithm {
        Algorithm::Xxh3 => {}
        Algorithm::GrowthBook { seed, filters, .. } => {
            text(findings, "hashing.growthbook.seed", seed, false);
            let field = "hashing.growthbook.filters";
            findings.limit_count(STEP, field, filters.len(), MAX_HASH_FILTERS);
            for (
                i,
                Filter {
                    version,
                    seed,
                    ranges,
                },
            ) in filters.iter().enumerate()
            {
                filter(
                    findings,
                    &format!("{field}[{i}]"),
                    seed,
                    ranges,
                    version.buckets(),
                );
            }
        }
        Algorithm::Flagd { key, .. } => match key {
            FlagdKey::Flag(flag) => text(findings, "hashing.flagd.flag_key", flag, false),
            FlagdKey::Prefix(prefix) => text(findings, "hashing.flagd.prefix", prefix, true),
        },
        Algorithm::Unleash {
            rollout_group,
            variant_group,
        } => {
            text(findings, "hashing.unleash.rollout_group", rollout_group, false);
            text(findings, "hashing.unleash.variant_group", variant_group, false);
        }
        Algorithm::Eppo {
            salt,
            traffic_salt,
            shards,
        } => {
            text(findings, "hashing.eppo.salt", salt, false);
            text(findings, "hashing.eppo.traffic_salt", traffic_salt, true);
            findings.limit_count(STEP, "hashing.eppo.shards", shards.len(), MAX_HASH_FILTERS);
            for (i, shard) in shards.iter().enumerate() {
                let field = format!("hashing.eppo.shards[{i}]");
                filter(findings, &field, &shard.salt, &shard.ranges, hashing.n_buckets());
            }
        }
    }
}

fn text(findings: &mut Findings, field: impl Into<String>, text: &str, may_be_empty: bool) {
    if text.is_empty() && !may_be_empty {
        let message = "is empty; give what the other system hashes with the unit id";
        findings.error(STEP, field, "HASH_SEED_REQUIRED", message);
    } else {
        findings.limit_text(STEP, field, text, MAX_NAME_BYTES);
    }
}

fn filter(findings: &mut Findings, field: &str, seed: &str, ranges: &[Range<u32>], buckets: u32) {
    text(findings, format!("{field}.seed"), seed, false);
    findings.limit_count(STEP, &format!("{field}.ranges"), ranges.len(), MAX_HASH_RANGES);
    for (i, range) in ranges.iter().enumerate() {
        within(findings, format!("{field}.ranges[{i}]"), range, buckets);
    }
}

fn within(findings: &mut Findings, field: String, range: &Range<u32>, buckets: u32) {
    if range.is_empty() || range.end > buckets {
        let message = format!(
            "is from {} to before {}; give at least one of the buckets from 0 to before {buckets}",
            range.start, range.end
        );
        findings.error(STEP, field, "HASH_RANGE", message);
    }
}

fn buckets(findings: &mut Findings, hashing: &Hashing) {
    let Some(buckets) = hashing.buckets else {
        return;
    };
    if let Algorithm::GrowthBook { version, .. } = &hashing.algorithm
        && buckets != version.buckets()
    {
        let message = format!(
            "is {buckets}, and this version of GrowthBook has {}; leave it out",
            version.buckets()
        );
        findings.error(STEP, "hashing.buckets", "HASH_BUCKETS", message);
    } else if buckets == 0 || buckets > MAX_HASH_BUCKETS {
        let message = format!("is {buckets}; give a number from 1 to {MAX_HASH_BUCKETS}");
        findings.error(STEP, "hashing.buckets", "HASH_BUCKETS", message);
    }
}

fn ranges(findings: &mut Findings, hashing: &Hashing) {
    let ranges = &hashing.ranges;
    findings.limit_count(STEP, "hashing.ranges", ranges.len(), MAX_HASH_RANGES);
    let n = hashing.n_buckets();
    for (i, range) in ranges.iter().enumerate() {
        within(
            findings,
            format!("hashing.ranges[{i}].buckets"),
            &range.buckets,
            n,
        );
        let overlaps =
            |other: &Range<u32>| other.start < range.buckets.end && range.buckets.start < other.end;
        let mut before = ranges.iter().take(i);
        if let Some(other) = before.find(|other| overlaps(&other.buckets)) {
            let message = format!(
                "has buckets that `{}` has already; give each bucket to one variant",
                other.variant
            );
            findings.error(
                STEP,
                format!("hashing.ranges[{i}].buckets"),
                "HASH_RANGE_OVERLAP",
                message,
            );
        }
    }
    let must_cover = matches!(
        hashing.algorithm,
        Algorithm::Flagd { .. } | Algorithm::Unleash { .. }
    );
    if must_cover && !ranges.is_empty() {
        let mut end = 0;
        let follows = ranges
            .iter()
            .all(|range| std::mem::replace(&mut end, range.buckets.end) == range.buckets.start);
        if !follows || end != n {
            let message = format!(
                "do not stand one behind the other from 0 to before {n}, as weights do there; give all buckets in order"
            );
            findings.error(STEP, "hashing.ranges", "HASH_RANGES_GAP", message);
        }
    }
}

/// Weights and coverage say to analysis and to people what the ranges do.
fn agreement(findings: &mut Findings, experiment: &Experiment, weights: &Weights) {
    let hashing = &experiment.traffic.hashing;
    if hashing.fixes_coverage() && experiment.coverage != Coverage::FULL {
        let message = "is below 100 %, and the ranges of the hash say who is admitted; leave it at 100 %, or leave the ranges out";
        findings.error(STEP, "coverage", "RANGES_FIX_COVERAGE", message);
    }
    let keys = || experiment.variants.iter().map(|variant| &variant.key);
    let made = Division::new(hashing, &experiment.salt, keys(), weights, experiment.coverage);
    match made {
        Err(Impossible::Variant { place, variant }) => {
            let message = format!("there is no variant `{variant}`; name one of the variants");
            findings.error(
                STEP,
                format!("hashing.ranges[{place}].variant_key"),
                "UNKNOWN_VARIANT",
                message,
            );
            return;
        }
        Err(share @ Impossible::Share { .. }) => {
            findings.error(STEP, "hashing", "HASH_SHARE", share.to_string());
        }
        Ok(_) => {}
    }
    let Some(shares) = hashing.shares(keys()) else {
        return;
    };
    // Several ways of rounding are right.
    let differs = |(share, weight): (&u32, &u32)| share.abs_diff(*weight) > 1;
    if shares.iter().zip(weights.shares()).any(differs) {
        let written: Vec<_> = shares.iter().map(ToString::to_string).collect();
        let message = format!(
            "are not the shares of the ranges, which analysis expects to see; give {} of {WHOLE}",
            written.join(", ")
        );
        findings.error(STEP, "variants.weight", "WEIGHTS_NOT_OF_RANGES", message);
    }
}

#[cfg(test)]
mod tests;
