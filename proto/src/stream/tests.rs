use assay_core::{
    key::{ExperimentKey, Namespace, Unit, VariantKey},
    time::Timestamp,
    value::{Attribute, Attributes},
};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    bus::tests::{from_hex, to_hex},
    strategies,
};

fn batch() -> impl Strategy<Value = Batch> {
    let records = prop_oneof![
        vec(strategies::exposure(), 1..6).prop_map(Records::Exposures),
        vec(strategies::event(), 1..6).prop_map(Records::Events),
        vec(strategies::sighting(), 1..6).prop_map(Records::Callers),
    ];
    (
        "\\PC{0,12}",
        any::<u64>(),
        any::<u64>(),
        "[0-9a-f-]{0,55}",
        records,
    )
        .prop_map(|(producer, epoch, sequence, traceparent, records)| Batch {
            producer,
            epoch,
            sequence,
            traceparent,
            records,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_come_back(batch in batch()) {
        let bytes = encode(&batch);
        prop_assert_eq!(&bytes, &encode(&batch));
        prop_assert_eq!(decode(&bytes).expect("what was encoded can be decoded"), batch);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn damaged_batches_never_panic(batch in batch(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode(&batch);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&bytes);
        let _ = decode(&bytes[..at]);
    }
}

fn golden_batch(records: Records) -> Batch {
    Batch {
        producer: "ingest-0".into(),
        epoch: 1_700_000_000_000_001,
        sequence: 42,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        records,
    }
}

fn golden_exposures() -> Batch {
    let attributes = [
        ("country", Attribute::from("DE")),
        ("level", Attribute::from(7.5)),
        ("paying", true.into()),
    ];
    let exposure = Exposure {
        namespace: Namespace::new("shop-production").unwrap(),
        experiment: ExperimentKey::new("cookie-cats").unwrap(),
        variant: VariantKey::new("gate_30").unwrap(),
        cohort: 2,
        unit: Unit::user("42").unwrap(),
        time: Timestamp::from_micros(1_700_000_000_000_001),
        received_at: Timestamp::from_micros(1_700_000_000_250_000),
        generation: 12,
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        imported: true,
    };
    golden_batch(Records::Exposures(vec![exposure]))
}

fn golden_events() -> Batch {
    let event = Event {
        namespace: Namespace::default(),
        unit: Unit::user("ключ").unwrap(),
        event_id: "e-1".into(),
        name: "purchase".into(),
        time: Timestamp::from_micros(-1),
        received_at: Timestamp::from_micros(1_700_000_000_250_000),
        value_micros: Some(-1_500_000),
        properties: Attributes::from([("item".to_owned(), Attribute::from("hat"))]),
        clamped: true,
        late: true,
        imported: false,
    };
    let without = Event {
        event_id: "e-2".into(),
        value_micros: None,
        properties: Attributes::new(),
        ..event.clone()
    };
    golden_batch(Records::Events(vec![event, without]))
}

#[test]
fn golden_bytes_stay_readable_and_are_still_written() {
    let exposures = include_str!("../../testdata/stream_exposures.hex");
    let events = include_str!("../../testdata/stream_events.hex");
    for (batch, golden) in [(golden_exposures(), exposures), (golden_events(), events)] {
        let written = encode(&batch);
        assert_eq!(to_hex(&written), golden, "bytes of\n{batch:?}");
        assert_eq!(decode(&from_hex(golden)).unwrap(), batch);
    }
}

#[test]
fn a_bad_record_is_named() {
    let Records::Events(events) = golden_events().records else {
        unreachable!("they are events")
    };
    let mut records: Vec<_> = events.iter().map(v1::EventRecord::from).collect();
    records[1].unit = None;
    records[1].value_micros = Some(i64::MIN);
    let bytes = v1::Batch {
        events: records.clone(),
        ..Default::default()
    }
    .encode_to_vec();
    let Err(DecodeError::Records(errors)) = decode(&bytes) else {
        panic!("the second record is bad")
    };
    let fields: Vec<_> = errors.0.iter().map(|e| e.field.as_str()).collect();
    assert_eq!(fields, ["events[1].unit", "events[1].value_micros"]);

    let both = v1::Batch {
        events: records,
        exposures: vec![Default::default()],
        ..Default::default()
    };
    assert!(matches!(
        decode(&both.encode_to_vec()),
        Err(DecodeError::Mixed {
            exposures: 1,
            events: 2,
            callers: 0
        })
    ));
    assert!(matches!(decode(&[]), Err(DecodeError::Empty)));
    assert!(matches!(decode(&[0xff]), Err(DecodeError::Encoding(_))));
}
