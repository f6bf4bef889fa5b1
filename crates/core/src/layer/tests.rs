use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{fixtures::layer, time::MICROS_PER_DAY};

const NOW: Timestamp = Timestamp::from_micros(0);

fn key(key: &str) -> ExperimentKey {
    ExperimentKey::new(key).unwrap()
}

fn range(first: u32, end: u32) -> BucketRange {
    BucketRange::new(first, end).unwrap()
}

#[test]
fn ranges_lie_within_the_buckets() {
    assert_eq!(BucketRange::new(5, 5), None);
    assert_eq!(BucketRange::new(0, BUCKETS + 1), None);
    let ranges = [range(0, 2), range(5, 6), range(9, BUCKETS)];
    let held: Vec<_> = (0..10).filter(|bucket| holds(&ranges, *bucket)).collect();
    assert_eq!(held, [0, 1, 5, 9]);
    assert!(holds(&ranges, BUCKETS - 1));
}

#[test]
fn free_buckets_need_not_be_adjacent() {
    let mut layer = layer("checkout");
    assert_eq!(
        layer.allocate(&key("a"), 300_000, NOW),
        Ok(vec![range(0, 300_000)])
    );
    layer.allocate(&key("b"), 300_000, NOW).unwrap();
    layer.release(&key("a"), NOW, false);
    let found = layer.allocate(&key("c"), 500_000, NOW);
    assert_eq!(found, Ok(vec![range(0, 300_000), range(600_000, 800_000)]));
}

#[test]
fn a_full_layer_names_who_has_it() {
    let mut layer = layer("checkout");
    layer.allocate(&key("a"), 700_000, NOW).unwrap();
    layer.allocate(&key("b"), 200_000, NOW).unwrap();
    layer.release(&key("b"), NOW, true);
    let before = layer.clone();
    let full = layer.allocate(&key("c"), 125_000, NOW).unwrap_err();
    assert_eq!((full.free, full.wanted), (100_000, 125_000));
    let message = full.to_string();
    assert!(
        message.contains("has 10 % of its buckets free, and 12.5 % more are wanted"),
        "{message}"
    );
    assert!(
        message.contains("experiment/a (70 %), experiment/b (20 %, free at "),
        "{message}"
    );
    assert_eq!(layer, before);
}

#[test]
fn buckets_cool_down_before_another_experiment_gets_them() {
    let mut layer = layer("checkout");
    layer.allocate(&key("a"), BUCKETS, NOW).unwrap();
    layer.release(&key("a"), NOW, true);
    assert_eq!(layer.held_by(&key("a")), []);
    let day = |n: i64| Timestamp::from_micros(n * MICROS_PER_DAY);
    layer.release(&key("a"), day(3), true);
    assert!(
        layer.allocate(&key("b"), 1, day(6)).is_err(),
        "released twice, it cools from the first time"
    );
    assert!(layer.allocate(&key("b"), BUCKETS, day(7)).is_ok());
    assert_eq!(layer.allocations.len(), 1);
}

#[test]
fn growing_keeps_what_it_has() {
    let mut layer = layer("checkout");
    let before = layer.allocate(&key("a"), 100, NOW).unwrap();
    layer.allocate(&key("b"), 100, NOW).unwrap();
    let after = layer.allocate(&key("a"), 300, NOW).unwrap();
    assert_eq!(after, [range(0, 100), range(200, 400)]);
    assert!(before[0].first() >= after[0].first() && before[0].end() <= after[0].end());
    assert_eq!(layer.allocate(&key("a"), 50, NOW), Ok(after), "it never shrinks");
}

/// What may be done to a layer: experiment `who` asks for `share`, or gives back.
fn steps() -> impl Strategy<Value = Vec<(u8, u32, bool)>> {
    vec((0_u8..6, 0_u32..=BUCKETS / 2, any::<bool>()), 1..40)
}

proptest! {
    #[test]
    fn no_bucket_is_ever_held_twice_and_nobody_loses_one(steps in steps()) {
        let mut layer = layer("checkout");
        for (i, (who, share, asks)) in steps.into_iter().enumerate() {
            let (who, now) = (key(&who.to_string()), Timestamp::from_micros(MICROS_PER_DAY.saturating_mul(i as i64)));
            let before = layer.clone();
            if asks {
                if let Ok(got) = layer.allocate(&who, share, now) {
                    prop_assert!(n_buckets(&got) >= share);
                    for old in before.held_by(&who) {
                        prop_assert!(holds(&got, old.first()) && holds(&got, old.end().saturating_sub(1)));
                    }
                }
            } else {
                layer.release(&who, now, true);
            }
            let taken: Vec<_> = layer.allocations.iter().flat_map(|held| held.ranges.clone()).collect();
            prop_assert_eq!(n_buckets(&joined(taken.clone())), n_buckets(&taken), "overlap");
            let free = layer.free(now);
            prop_assert!(n_buckets(&free).saturating_add(n_buckets(&taken)) >= BUCKETS);
            for range in free {
                prop_assert!(layer.allocations.iter().all(|held| is_free(held, now) || !holds(&held.ranges, range.first())));
            }
        }
    }
}
