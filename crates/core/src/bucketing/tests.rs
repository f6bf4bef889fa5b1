use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::{
    key::UnitKind,
    weights::{Coverage, WHOLE},
};

const DOMAINS: [Domain; 5] = [
    Domain::Layer,
    Domain::Holdout,
    Domain::Coverage,
    Domain::Split,
    Domain::Partition,
];

fn cases(text: &str) -> Vec<Json> {
    serde_json::from_str(text).unwrap()
}

fn text<'a>(case: &'a Json, field: &str) -> &'a str {
    case[field].as_str().unwrap()
}

fn number(case: &Json, field: &str) -> u32 {
    u32::try_from(case[field].as_u64().unwrap()).unwrap()
}

#[test]
fn buckets_are_those_of_the_golden_vectors() {
    let cases = cases(include_str!("../../../../testdata/bucketing/buckets.json"));
    assert_eq!(cases.len(), 410);
    for case in &cases {
        let domain = DOMAINS
            .into_iter()
            .find(|d| d.name() == text(case, "domain"))
            .unwrap();
        let seed = Seed::new(domain, text(case, "salt"));
        let id = text(case, "unit_id");
        let promise = "every running experiment would be re-randomized";
        assert_eq!(seed.0.to_string(), text(case, "seed"), "{promise}: {case}");
        assert_eq!(seed.hash(id).to_string(), text(case, "hash"), "{promise}: {case}");
        assert_eq!(seed.bucket(id), number(case, "bucket"), "{promise}: {case}");
    }
}

#[test]
fn partitions_are_those_of_the_golden_vectors() {
    let cases = cases(include_str!("../../../../testdata/bucketing/partitions.json"));
    assert_eq!(cases.len(), 220);
    for case in &cases {
        let namespace = Namespace::new(text(case, "namespace")).unwrap();
        let unit = Unit::new(UnitKind::new(text(case, "kind")).unwrap(), text(case, "unit_id"));
        let got = partition(&namespace, &unit.unwrap(), number(case, "partitions"));
        let promise = "a unit's records would no longer meet in one partition";
        assert_eq!(got, number(case, "partition"), "{promise}: {case}");
    }
}

#[test]
fn scale_reaches_both_ends() {
    assert_eq!(scale(0, BUCKETS), 0);
    assert_eq!(scale(u64::MAX, BUCKETS), BUCKETS - 1);
    assert_eq!(scale(u64::MAX, u32::MAX), u32::MAX - 1);
}

/// Pearson's X² of `counts` against equal expectations.
fn chi_square(counts: &[u32]) -> f64 {
    let n: u32 = counts.iter().sum();
    let expected = f64::from(n) / counts.len() as f64;
    counts
        .iter()
        .map(|&c| (f64::from(c) - expected).powi(2) / expected)
        .sum()
}

/// Chi-square with 99 degrees of freedom is above 171 once in 100,000 samples (Wilson and Hilferty); here are ten, with fixed salts.
#[test]
fn buckets_are_uniform() {
    for salt in 0..10 {
        let seed = Seed::new(Domain::Split, &format!("salt-{salt}"));
        let mut counts = [0; 100];
        for unit in 0..100_000 {
            counts[(seed.bucket(&format!("user-{unit}")) / 10_000) as usize] += 1;
        }
        assert!(
            chi_square(&counts) < 171.0,
            "salt {salt}: {}",
            chi_square(&counts)
        );
    }
}

/// Two domains, and two salts of one domain, cross evenly: 10 × 10 cells, 99 degrees of freedom (the margins are uniform too).
#[test]
fn domains_and_salts_are_independent() {
    let seeds: Vec<Seed> = DOMAINS.iter().map(|&d| Seed::new(d, "same")).collect();
    let other = Seed::new(Domain::Split, "other");
    let pairs = [
        (seeds[0], seeds[1]),
        (seeds[2], seeds[3]),
        (seeds[1], seeds[3]),
        (seeds[3], other),
    ];
    for (a, b) in pairs {
        let mut counts = [0; 100];
        for unit in 0..100_000 {
            let id = unit.to_string();
            counts[(a.bucket(&id) / 100_000 * 10 + b.bucket(&id) / 100_000) as usize] += 1;
        }
        assert!(chi_square(&counts) < 171.0, "{}", chi_square(&counts));
    }
}

proptest! {
    #[test]
    fn buckets_and_partitions_are_in_range(salt in ".{0,40}", id in "[^\\p{Cc}]{1,60}", n in 1..4096_u32) {
        let namespace = Namespace::default();
        let unit = Unit::user(id.clone()).unwrap();
        prop_assert!(Seed::new(Domain::Split, &salt).bucket(&id) < BUCKETS);
        prop_assert!(partition(&namespace, &unit, n) < n);
    }

    #[test]
    fn growing_coverage_admits_more_and_drops_none(id in "[a-z0-9]{1,36}", a in 0..=WHOLE, b in 0..=WHOLE) {
        let (small, large) = (Coverage::new(a.min(b)).unwrap(), Coverage::new(a.max(b)).unwrap());
        let bucket = Seed::new(Domain::Coverage, "salt").bucket(&id);
        prop_assert!(bucket >= small.buckets() || bucket < large.buckets());
        prop_assert!(bucket < Coverage::FULL.buckets());
    }
}
