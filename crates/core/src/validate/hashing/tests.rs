use super::*;
use crate::{
    fixtures::experiment,
    hashing::{FlagdVersion, GrowthBookVersion, Shard, VariantRange},
    key::{LayerKey, VariantKey},
    traffic::InLayer,
    validate::{References, draft as check},
};

fn growthbook() -> Algorithm {
    Algorithm::GrowthBook {
        version: GrowthBookVersion::V2,
        seed: "checkout".into(),
        filters: vec![Filter {
            version: GrowthBookVersion::V1,
            seed: "__pricing".into(),
            ranges: std::iter::once(0..400).collect(),
        }],
    }
}

fn with(algorithm: Algorithm) -> Experiment {
    let mut experiment = experiment();
    experiment.traffic.hashing.algorithm = algorithm;
    experiment
}

/// The first two variants of the fixture have these buckets.
fn ranges(experiment: &mut Experiment, buckets: &[(usize, Range<u32>)]) {
    let keys: Vec<_> = experiment
        .variants
        .iter()
        .map(|variant| variant.key.clone())
        .collect();
    let given = buckets.iter().map(|(variant, buckets)| VariantRange {
        variant: keys[*variant].clone(),
        buckets: buckets.clone(),
    });
    experiment.traffic.hashing.ranges = given.collect();
}

fn rules(experiment: &Experiment) -> Vec<String> {
    let findings = check(experiment, &References::default());
    let errors = findings.errors.into_iter();
    errors
        .map(|violation| format!("{} {}", violation.field, violation.rule))
        .collect()
}

#[test]
fn what_is_complete_and_agrees_is_accepted() {
    let flagd = Algorithm::Flagd {
        version: FlagdVersion::Scaled,
        key: FlagdKey::Prefix(String::new()),
    };
    let unleash = Algorithm::Unleash {
        rollout_group: "r".into(),
        variant_group: "v".into(),
    };
    let eppo = Algorithm::Eppo {
        salt: "s".into(),
        traffic_salt: "t".into(),
        shards: vec![],
    };
    for algorithm in [growthbook(), flagd, unleash, eppo] {
        assert!(rules(&with(algorithm)).is_empty());
    }
    let mut given = with(growthbook());
    ranges(&mut given, &[(1, 5_000..9_000), (0, 0..4_000)]);
    assert!(rules(&given).is_empty());
}

#[test]
fn what_lacks_is_named() {
    let mut empty = with(Algorithm::GrowthBook {
        version: GrowthBookVersion::V1,
        seed: String::new(),
        filters: vec![Filter {
            version: GrowthBookVersion::V1,
            seed: String::new(),
            ranges: vec![5..5, 0..1_001],
        }],
    });
    empty.traffic.hashing.buckets = Some(7);
    assert_eq!(
        rules(&empty),
        [
            "hashing.growthbook.seed HASH_SEED_REQUIRED",
            "hashing.growthbook.filters[0].seed HASH_SEED_REQUIRED",
            "hashing.growthbook.filters[0].ranges[0] HASH_RANGE",
            "hashing.growthbook.filters[0].ranges[1] HASH_RANGE",
            "hashing.buckets HASH_BUCKETS",
        ]
    );
    let eppo = with(Algorithm::Eppo {
        salt: String::new(),
        traffic_salt: "t".repeat(MAX_NAME_BYTES + 1),
        shards: vec![
            Shard {
                salt: "x".into(),
                ranges: std::iter::once(0..10_001).collect()
            };
            MAX_HASH_FILTERS + 1
        ],
    });
    let got = rules(&eppo);
    assert_eq!(
        got[..3],
        [
            "hashing.eppo.salt HASH_SEED_REQUIRED",
            "hashing.eppo.traffic_salt TEXT_TOO_LONG",
            "hashing.eppo.shards TOO_MANY"
        ]
    );
}

#[test]
fn a_layer_or_own_ranges_are_refused() {
    let mut layered = with(growthbook());
    layered.traffic.layer = Some(InLayer::new(LayerKey::new("l").unwrap()));
    assert_eq!(rules(&layered), ["hashing HASHING_IN_LAYER"]);
    let mut own = experiment();
    own.traffic.hashing.buckets = Some(10);
    assert_eq!(rules(&own), ["hashing RANGES_NOT_APPLICABLE"]);
}

#[test]
fn ranges_agree_with_weights_and_coverage() {
    let mut given = with(growthbook());
    ranges(&mut given, &[(0, 0..6_000), (1, 5_000..9_000)]);
    given.coverage = Coverage::new(5_000).unwrap();
    assert_eq!(
        rules(&given),
        [
            "hashing.ranges[1].buckets HASH_RANGE_OVERLAP",
            "coverage RANGES_FIX_COVERAGE",
            "variants.weight WEIGHTS_NOT_OF_RANGES"
        ]
    );
    let stranger = VariantKey::new("stranger").unwrap();
    given = with(growthbook());
    ranges(&mut given, &[(0, 0..5_000)]);
    given.traffic.hashing.ranges[0].variant = stranger;
    assert_eq!(rules(&given), ["hashing.ranges[0].variant_key UNKNOWN_VARIANT"]);
}

#[test]
fn weights_of_flagd_leave_no_gap() {
    let mut gap = with(Algorithm::Flagd {
        version: FlagdVersion::Percent,
        key: FlagdKey::Flag("f".into()),
    });
    gap.traffic.hashing.buckets = Some(100);
    ranges(&mut gap, &[(0, 0..50), (1, 60..100)]);
    let got = rules(&gap);
    assert!(
        got.contains(&"hashing.ranges HASH_RANGES_GAP".to_owned()),
        "{got:?}"
    );
}
