use proptest::prelude::*;

use super::*;
use crate::fixtures::user;

#[test]
fn micros_are_rounded_half_to_even() {
    let table = [
        (0.0, 0),
        (-0.0, 0),
        (19.99, 19_990_000),
        (-4.99, -4_990_000),
        (0.000_000_5, 0),
        (0.000_001_5, 2),
        (0.000_002_5, 2),
        (-0.000_001_5, -2),
        (1.000_000_5, 1_000_000),
        (0.123_456_5, 123_456),
        (0.123_457_5, 123_458),
        (0.000_000_500_000_1, 1),
        (0.000_000_499_999_9, 0),
        (1e-300, 0),
        (f64::MIN_POSITIVE, 0),
    ];
    for (value, micros) in table {
        assert_eq!(to_micros(value), Ok(micros), "{value}");
    }
}

#[test]
fn micros_end_at_two_to_the_53() {
    assert_eq!(to_micros(9_007_199_254.740_992), Ok(MAX_VALUE_MICROS));
    assert_eq!(to_micros(-9_007_199_254.740_992), Ok(-MAX_VALUE_MICROS));
    for value in [9_007_199_254.740_994, 1e10, -1e10, 1e300, f64::MAX] {
        assert_eq!(to_micros(value), Err(ValueError::TooLarge { value }));
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(to_micros(value), Err(ValueError::NotFinite));
    }
}

fn event() -> Event {
    Event {
        namespace: Namespace::default(),
        unit: user("42"),
        event_id: "e-1".into(),
        name: "purchase".into(),
        time: Timestamp::from_micros(1_700_000_000_000_000),
        received_at: Timestamp::from_micros(1_700_000_000_500_000),
        value_micros: Some(-4_990_000),
        properties: Attributes::from([
            ("paid".into(), true.into()),
            ("city".into(), "Köln".into()),
            ("level".into(), 7.5.into()),
        ]),
        clamped: false,
        late: false,
        imported: false,
    }
}

/// Computed with Python's `hashlib` and `struct` from the canonical form.
#[test]
fn the_canonical_form_never_changes() {
    let hex: String = event()
        .content_hash()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hex,
        "c8f351d53b6faf91cb8ade2b26de1c7154bef57f5baf8b6a44d655cc5b6ad430"
    );
}

#[test]
fn what_follows_from_the_time_of_receipt_is_not_hashed() {
    let again = Event {
        received_at: Timestamp::MAX,
        clamped: true,
        late: true,
        ..event()
    };
    assert_eq!(again.content_hash(), event().content_hash());
}

#[test]
fn a_repetition_without_a_time_is_the_same_event() {
    let received = |micros| Event {
        time: Timestamp::from_micros(micros),
        received_at: Timestamp::from_micros(micros),
        ..event()
    };
    assert_eq!(received(1).content_hash(), received(2).content_hash());
    assert_ne!(received(1).content_hash(), event().content_hash());
}

#[test]
fn every_content_is_hashed() {
    let property = |name: &str, value: Attribute| Event {
        properties: Attributes::from([(name.into(), value)]),
        ..event()
    };
    let events = [
        event(),
        Event {
            namespace: Namespace::new("other").unwrap(),
            ..event()
        },
        Event {
            unit: user("4"),
            event_id: "2e-1".into(),
            ..event()
        },
        Event {
            event_id: "e-2".into(),
            ..event()
        },
        Event {
            name: "refund".into(),
            ..event()
        },
        Event {
            time: Timestamp::from_micros(0),
            ..event()
        },
        Event {
            value_micros: None,
            ..event()
        },
        Event {
            value_micros: Some(0),
            ..event()
        },
        Event {
            imported: true,
            ..event()
        },
        property("a", 1.0.into()),
        property("a", true.into()),
        property("a", "1".into()),
        property("a1", "".into()),
    ];
    let hashes: std::collections::BTreeSet<_> = events.iter().map(Event::content_hash).collect();
    assert_eq!(hashes.len(), events.len());
    assert_eq!(
        property("a", (-0.0).into()).content_hash(),
        property("a", 0.0.into()).content_hash()
    );
}

proptest! {
    /// Up to 2³³, where neighbors are less than a micro apart.
    #[test]
    fn six_decimals_are_exact(micros in -8_589_934_592_000_000..=8_589_934_592_000_000_i64) {
        let value: f64 = format!("{}e-6", micros).parse().unwrap();
        prop_assert_eq!(to_micros(value), Ok(micros));
    }

    #[test]
    fn rounding_moves_by_half_a_micro_at_most(value in -1e6..1e6) {
        let micros = to_micros(value).unwrap();
        prop_assert!((micros as f64 - value * 1e6).abs() <= 0.501);
    }
}
