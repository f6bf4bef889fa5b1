//! What GrowthBook hashes a unit with, and what it makes of the number.

use std::ops::Range;

use assay_core::hashing::GrowthBookVersion;
use serde_json::Value;

use super::{
    super::{Ordered, Remark, runs},
    text,
};
use crate::view::{
    experiment::{Experiment, Filter, GrowthBook, Hashing},
    share::Share,
};

/// The hash of a rule.
pub(super) struct Hash {
    pub(super) version: GrowthBookVersion,
    pub(super) view: GrowthBook,
}

impl Hash {
    /// Gives `experiment` the buckets as `answer` says, by the place of the alternative there.
    pub(super) fn divide(
        self,
        experiment: &mut Experiment,
        ordered: &Ordered,
        answer: impl Fn(u32) -> Option<usize>,
    ) {
        let runs = runs((0..self.version.buckets()).map(answer));
        let hashing = Hashing {
            growthbook: Some(self.view),
            ..Hashing::default()
        };
        ordered.by_ranges(experiment, hashing, &runs);
        // Without any range the coverage is what admits nobody.
        experiment.coverage = runs.is_empty().then_some(Share(0));
    }
}

pub(super) fn version(
    given: Option<&Value>,
    default: GrowthBookVersion,
    path: &str,
) -> Result<GrowthBookVersion, Remark> {
    match given.map(Value::as_u64) {
        None => Ok(default),
        Some(Some(1)) => Ok(GrowthBookVersion::V1),
        Some(Some(2)) => Ok(GrowthBookVersion::V2),
        Some(_) => Err(Remark::new(
            path,
            "has a hashVersion other than 1 and 2, with which nobody is in it",
        )),
    }
}

pub(super) fn number(version: GrowthBookVersion) -> u32 {
    match version {
        GrowthBookVersion::V1 => 1,
        GrowthBookVersion::V2 => 2,
    }
}

/// Filters, else the namespace.
pub(super) fn filters(rule: &Value, path: &str) -> Result<Vec<Filter>, Remark> {
    if let Some(filters) = rule["filters"].as_array() {
        let hashed = text(rule, "hashAttribute").unwrap_or("id");
        let filter = |(i, filter): (usize, &Value)| {
            let path = format!("{path}.filters[{i}]");
            if text(filter, "attribute").unwrap_or("id") != hashed {
                return Err(Remark::new(
                    path,
                    "hashes another attribute than the experiment does",
                ));
            }
            let version = version(filter.get("hashVersion"), GrowthBookVersion::V2, &path)?;
            let ranges = filter["ranges"].as_array().into_iter().flatten();
            let ranges = ranges.filter_map(|range| bounds(range, version));
            some_ranges(
                filter["seed"].as_str().unwrap_or_default(),
                version,
                ranges,
                &path,
            )
        };
        return filters.iter().enumerate().map(filter).collect();
    }
    let Some([name, from, to]) = rule["namespace"].as_array().map(Vec::as_slice) else {
        return Ok(vec![]);
    };
    let version = GrowthBookVersion::V1;
    let seed = format!("__{}", name.as_str().unwrap_or_default());
    let range = bounds(&Value::from(vec![from.clone(), to.clone()]), version);
    Ok(vec![some_ranges(
        &seed,
        version,
        range.into_iter(),
        &format!("{path}.namespace"),
    )?])
}

fn some_ranges(
    seed: &str,
    version: GrowthBookVersion,
    ranges: impl Iterator<Item = Range<u32>>,
    path: &str,
) -> Result<Filter, Remark> {
    let ranges: Vec<_> = ranges
        .filter(|range| !range.is_empty())
        .map(|range| (range.start, range.end))
        .collect();
    if ranges.is_empty() {
        return Err(Remark::new(path, "lets nobody in"));
    }
    Ok(Filter {
        seed: seed.to_owned(),
        version: Some(number(version)),
        ranges,
    })
}

/// The buckets of a pair of fractions.
pub(super) fn bounds(range: &Value, version: GrowthBookVersion) -> Option<Range<u32>> {
    let (from, to) = (range.get(0)?.as_f64()?, range.get(1)?.as_f64()?);
    Some(version.bucket(from)..version.bucket(to))
}

pub(super) fn ranges(rule: &Value, version: GrowthBookVersion) -> Option<Vec<Range<u32>>> {
    let ranges = rule["ranges"].as_array()?;
    Some(
        ranges
            .iter()
            .map(|range| bounds(range, version).unwrap_or(0..0))
            .collect(),
    )
}

/// As GrowthBook reads them: even where there are none, not as many as variations, or not about one in sum.
pub(super) fn weights(rule: &Value, n: usize) -> Vec<f64> {
    let given = rule["weights"].as_array();
    let given: Option<Vec<f64>> = given.and_then(|weights| weights.iter().map(Value::as_f64).collect());
    let fits = |weights: &Vec<f64>| weights.len() == n && (0.99..=1.01).contains(&weights.iter().sum());
    given.filter(fits).unwrap_or_else(|| vec![1.0 / n as f64; n])
}

/// `fraction`, where ten-thousandths say exactly the same number.
pub(super) fn ten_thousandths(fraction: f64) -> Option<u32> {
    let share = (fraction * 10_000.0).round();
    ((0.0..=10_000.0).contains(&share) && share / 10_000.0 == fraction).then_some(share as u32)
}
