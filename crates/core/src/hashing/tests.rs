use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::weights::{Coverage, Weights};

/// What breaks when a vector fails.
const PROMISE: &str = "a unit that moved in from there would get another variant than it has";

fn json(text: &str) -> Vec<Json> {
    serde_json::from_str(text).unwrap()
}

fn ids() -> Vec<String> {
    serde_json::from_str(include_str!("../../../../testdata/hashes/ids.json")).unwrap()
}

fn text(value: &Json) -> String {
    value.as_str().unwrap().to_owned()
}

fn number(value: &Json) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

/// A fraction with at most four decimals, in ten-thousandths.
fn share(value: &Json) -> u32 {
    (value.as_f64().unwrap() * 10_000.0).round() as u32
}

fn list<T>(value: &Json, of: impl Fn(&Json) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(of).collect()
}

fn range(pair: &Json) -> Range<u32> {
    number(&pair[0])..number(&pair[1])
}

fn variants(n: usize) -> Vec<VariantKey> {
    (0..n)
        .map(|i| VariantKey::new(format!("v{i}")).unwrap())
        .collect()
}

fn at(variant: usize, buckets: Range<u32>) -> VariantRange {
    VariantRange {
        variant: variants(20).remove(variant),
        buckets,
    }
}

fn divide(hashing: &Hashing, weights: &Weights, coverage: u32) -> Division {
    let variants = variants(20);
    let coverage = Coverage::new(coverage).unwrap();
    Division::new(hashing, "salt", variants.iter(), weights, coverage).unwrap()
}

/// Compares with the answers of the outside system: the place of the variant, −1 for none.
fn check(system: &str, case: &Json, division: &Division) {
    let ids = ids();
    let answers = case["answers"].as_array().unwrap();
    assert_eq!(ids.len(), answers.len());
    for (id, answer) in ids.iter().zip(answers) {
        let expected = usize::try_from(answer.as_i64().unwrap()).ok();
        let mut settings = case.clone();
        settings["answers"].take();
        assert_eq!(
            division.variant(id),
            expected,
            "{system}: {PROMISE}; `{id}` in {settings}"
        );
    }
}

#[test]
fn growthbook_units_keep_their_variations() {
    let cases = json(include_str!("../../../../testdata/hashes/growthbook.json"));
    assert_eq!(cases.len(), 80);
    for case in &cases {
        let experiment = &case["experiment"];
        let version = |value: &Json| match value.as_u64() {
            Some(1) => GrowthBookVersion::V1,
            _ => GrowthBookVersion::V2,
        };
        let own = version(&experiment["hashVersion"]);
        let ranges = |version: GrowthBookVersion, pair: &Json| {
            version.bucket(pair[0].as_f64().unwrap())..version.bucket(pair[1].as_f64().unwrap())
        };
        let mut filters = Vec::new();
        if let Some([name, from, to]) = experiment["namespace"].as_array().map(Vec::as_slice) {
            filters.push(Filter {
                version: GrowthBookVersion::V1,
                seed: format!("__{}", text(name)),
                ranges: vec![ranges(
                    GrowthBookVersion::V1,
                    &Json::from(vec![from.clone(), to.clone()]),
                )],
            });
        }
        for filter in experiment["filters"].as_array().into_iter().flatten() {
            let version = version(&filter["hashVersion"]);
            filters.push(Filter {
                version,
                seed: text(&filter["seed"]),
                ranges: list(&filter["ranges"], |pair| ranges(version, pair)),
            });
        }
        let seed = if experiment["seed"].is_null() {
            "key"
        } else {
            "seed"
        };
        let given = experiment["ranges"].as_array().into_iter().flatten().enumerate();
        let hashing = Hashing {
            algorithm: Algorithm::GrowthBook {
                version: own,
                seed: text(&experiment[seed]),
                filters,
            },
            buckets: None,
            ranges: given.map(|(i, pair)| at(i, ranges(own, pair))).collect(),
        };
        let (weights, coverage) = if hashing.ranges.is_empty() {
            (
                list(&experiment["weights"], share),
                share(&experiment["coverage"]),
            )
        } else {
            (vec![WHOLE], WHOLE)
        };
        check(
            "GrowthBook",
            case,
            &divide(&hashing, &Weights::new(weights).unwrap(), coverage),
        );
    }
}

#[test]
fn flagd_units_keep_their_variants() {
    let versions = [
        (
            FlagdVersion::Percent,
            include_str!("../../../../testdata/hashes/flagd.1.json"),
            66,
        ),
        (
            FlagdVersion::Scaled,
            include_str!("../../../../testdata/hashes/flagd.2.json"),
            78,
        ),
        (
            FlagdVersion::Cbor,
            include_str!("../../../../testdata/hashes/flagd.3.json"),
            78,
        ),
    ];
    for (version, cases, n) in versions {
        let cases = json(cases);
        assert_eq!(cases.len(), n);
        for case in &cases {
            let key = match (case["key"]["shorthand"].as_str(), case["key"]["text"].as_str()) {
                (Some(flag), None) => FlagdKey::Flag(flag.to_owned()),
                (None, Some(prefix)) => FlagdKey::Prefix(prefix.to_owned()),
                _ => panic!("{case}"),
            };
            let shares = list(&case["weights"], number);
            let mut end = 0;
            let ranges = shares.iter().enumerate().map(|(i, share)| {
                let start = end;
                end += share;
                at(i, start..end)
            });
            let ranges = ranges.filter(|range| !range.buckets.is_empty()).collect();
            let hashing = Hashing {
                algorithm: Algorithm::Flagd { version, key },
                buckets: Some(end),
                ranges,
            };
            let any = Weights::even(shares.len());
            check("flagd", case, &divide(&hashing, &any, WHOLE));
            // Where the weights are of ten thousand, they say the same without ranges.
            if let Some(weights) = scaled_to_whole(&shares) {
                let hashing = Hashing {
                    buckets: None,
                    ranges: Vec::new(),
                    ..hashing
                };
                check("flagd, by weights", case, &divide(&hashing, &weights, WHOLE));
            }
        }
    }
}

fn scaled_to_whole(shares: &[u32]) -> Option<Weights> {
    let sum: u32 = shares.iter().sum();
    let whole = shares
        .iter()
        .all(|share| (u64::from(*share) * 10_000).is_multiple_of(u64::from(sum)));
    let scaled = shares
        .iter()
        .map(|share| (u64::from(*share) * 10_000).checked_div(u64::from(sum)).unwrap() as u32);
    whole.then(|| Weights::new(scaled.collect()).unwrap())
}

#[test]
fn unleash_units_keep_their_variants() {
    let cases = json(include_str!("../../../../testdata/hashes/unleash.json"));
    assert_eq!(cases.len(), 90);
    for case in &cases {
        let weights = list(&case["weights"], number);
        let mut end = 0;
        let ranges = weights.iter().enumerate().map(|(i, weight)| {
            let start = end;
            end += weight;
            at(i, start..end)
        });
        let ranges = ranges.filter(|range| !range.buckets.is_empty()).collect();
        let hashing = Hashing {
            algorithm: Algorithm::Unleash {
                rollout_group: text(&case["rollout_group"]),
                variant_group: text(&case["variant_group"]),
            },
            buckets: Some(end),
            ranges,
        };
        let rollout = number(&case["rollout"]) * 100;
        let any = Weights::even(weights.len());
        check("Unleash", case, &divide(&hashing, &any, rollout));
        if let Some(weights) = scaled_to_whole(&weights).filter(|_| end == 1_000) {
            let hashing = Hashing {
                buckets: None,
                ranges: Vec::new(),
                ..hashing
            };
            check("Unleash, by weights", case, &divide(&hashing, &weights, rollout));
        }
    }
}

#[test]
fn eppo_subjects_keep_their_variations() {
    let cases = json(include_str!("../../../../testdata/hashes/eppo.json"));
    assert_eq!(cases.len(), 30);
    for case in &cases {
        let (salt, total) = (text(&case["salt"]), number(&case["total"]));
        let traffic = list(&case["traffic"], range);
        let splits = case["splits"].as_array().unwrap().iter().enumerate();
        let ranges = splits.flat_map(|(i, ranges)| list(ranges, |pair| at(i, range(pair))));
        let mut hashing = Hashing {
            algorithm: Algorithm::Eppo {
                salt: format!("{salt}-split"),
                traffic_salt: String::new(),
                shards: vec![Shard {
                    salt: format!("{salt}-traffic"),
                    ranges: traffic.clone(),
                }],
            },
            buckets: Some(total),
            ranges: ranges.filter(|range| !range.buckets.is_empty()).collect(),
        };
        let any = Weights::even(20);
        check("Eppo", case, &divide(&hashing, &any, WHOLE));
        // One range from 0 is what a coverage says.
        if let [range] = &traffic[..]
            && total == WHOLE
        {
            hashing.algorithm = Algorithm::Eppo {
                salt: format!("{salt}-split"),
                traffic_salt: format!("{salt}-traffic"),
                shards: Vec::new(),
            };
            check("Eppo, by coverage", case, &divide(&hashing, &any, range.end));
        }
    }
}

/// All algorithms, with a seed of their own.
fn algorithms(seed: &str) -> Vec<Algorithm> {
    let seed = seed.to_owned();
    let growthbook = |version| Algorithm::GrowthBook {
        version,
        seed: seed.clone(),
        filters: Vec::new(),
    };
    let flagd = |version, key| Algorithm::Flagd { version, key };
    vec![
        Algorithm::Xxh3,
        growthbook(GrowthBookVersion::V1),
        growthbook(GrowthBookVersion::V2),
        flagd(FlagdVersion::Percent, FlagdKey::Flag(seed.clone())),
        flagd(FlagdVersion::Scaled, FlagdKey::Prefix(seed.clone())),
        flagd(FlagdVersion::Cbor, FlagdKey::Flag(seed.clone())),
        flagd(FlagdVersion::Cbor, FlagdKey::Prefix(seed.clone())),
        Algorithm::Unleash {
            rollout_group: format!("{seed}-rollout"),
            variant_group: seed.clone(),
        },
        Algorithm::Eppo {
            salt: seed.clone(),
            traffic_salt: format!("{seed}-traffic"),
            shards: Vec::new(),
        },
    ]
}

fn by_weights(algorithm: Algorithm) -> Hashing {
    Hashing {
        algorithm,
        ..Hashing::default()
    }
}

/// Shares of 100,000 units are within five standard deviations of what is asked for, but for the bias that GrowthBook's first version
/// is known for, and the one unit in a thousand that its buckets round.
#[test]
fn every_algorithm_is_uniform() {
    let weights = Weights::new(vec![5_000, 3_000, 2_000]).unwrap();
    for (n, algorithm) in algorithms("uniform").into_iter().enumerate() {
        let is_biased = matches!(
            algorithm,
            Algorithm::GrowthBook {
                version: GrowthBookVersion::V1,
                ..
            }
        );
        let division = divide(&by_weights(algorithm.clone()), &weights, 6_000);
        let mut counts = [0_u32; 3];
        for unit in 0..100_000 {
            if let Some(variant) = division.variant(&format!("user-{unit}")) {
                counts[variant] += 1;
            }
        }
        for (count, share) in counts.iter().zip(weights.shares()) {
            let p = f64::from(*share) / 10_000.0 * 0.6;
            let sd = (100_000.0 * p * (1.0 - p)).sqrt();
            let allowed = if is_biased { 30.0 } else { 5.0 } * sd;
            let off = (f64::from(*count) - 100_000.0 * p).abs();
            assert!(off < allowed, "algorithm {n} {algorithm:?}: {counts:?}");
        }
    }
}

#[test]
fn shares_follow_the_ranges_and_sum_to_the_whole() {
    let thirds = Hashing {
        ranges: vec![at(1, 0..1), at(0, 1..2), at(2, 2..3)],
        ..Hashing::default()
    };
    assert_eq!(thirds.shares(variants(3).iter()), Some(vec![3_333, 3_334, 3_333]));
    assert_eq!(Hashing::default().shares(variants(3).iter()), None);
}

#[test]
fn what_cannot_be_done_is_said() {
    let unleash = by_weights(algorithms("u").remove(7));
    let variants = variants(2);
    let made = |hashing: &Hashing, weights: Vec<u32>| {
        let weights = Weights::new(weights).unwrap();
        Division::new(hashing, "salt", variants.iter(), &weights, Coverage::FULL).map(drop)
    };
    let share = Impossible::Share {
        share: 3_334,
        buckets: 1_000,
    };
    assert_eq!(made(&unleash, vec![3_334, 6_666]), Err(share));
    let stranger = Hashing {
        ranges: vec![at(0, 0..10), at(4, 10..20)],
        ..unleash
    };
    let variant = stranger.ranges[1].variant.clone();
    assert_eq!(
        made(&stranger, vec![5_000, 5_000]),
        Err(Impossible::Variant { place: 1, variant })
    );
}

proptest! {
    /// Growing coverage admits more and moves nobody.
    #[test]
    fn every_algorithm_is_monotone_in_coverage(id in "[a-z0-9é-]{1,36}", a in 0..=WHOLE, b in 0..=WHOLE, seed in "[a-z]{1,9}") {
        let weights = Weights::new(vec![1_000, 2_000, 7_000]).unwrap();
        for algorithm in algorithms(&seed) {
            let hashing = by_weights(algorithm);
            let variant = |coverage| divide(&hashing, &weights, coverage).variant(&id);
            if let Some(had) = variant(a.min(b)) {
                prop_assert_eq!(variant(a.max(b)), Some(had), "{:?}", hashing);
            }
        }
    }

    /// The same unit always gets the same, from one compilation and from another.
    #[test]
    fn every_algorithm_is_stable(id in "\\PC{1,60}", seed in "\\PC{1,20}") {
        let weights = Weights::new(vec![5_000, 5_000]).unwrap();
        for algorithm in algorithms(&seed) {
            let hashing = by_weights(algorithm);
            let division = divide(&hashing, &weights, 7_000);
            prop_assert_eq!(division.variant(&id), division.variant(&id));
            prop_assert_eq!(division.variant(&id), divide(&hashing, &weights, 7_000).variant(&id));
        }
    }
}
