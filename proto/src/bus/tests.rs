use proptest::prelude::*;

use super::*;
use crate::{config::v1 as pb, strategies};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_published_comes_back(
        flag in strategies::flag(),
        segment in strategies::segment(),
        experiment in strategies::experiment(),
        holdout in strategies::holdout(),
    ) {
        let all = [
            Published::Flag(flag),
            Published::Segment(segment),
            Published::Experiment(experiment),
            Published::Holdout(holdout),
        ];
        for published in all {
            let bytes = encode(&published);
            prop_assert_eq!(&bytes, &encode(&published));
            prop_assert_eq!(decode(&bytes), Ok(published));
        }
    }

    #[test]
    fn random_bytes_are_refused_or_read_but_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }
}

/// Every kind of field of a published experiment once, as it was first written: it must be readable for ever.
fn golden() -> Published {
    let text = include_str!("../../testdata/bus_experiment.hex");
    decode(&from_hex(text)).expect("the golden bytes are readable")
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let lines = bytes
        .chunks(40)
        .map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n");
    lines.collect()
}

fn experiment() -> pb::Experiment {
    let value = |number| {
        Some(prost_types::Value {
            kind: Some(prost_types::value::Kind::NumberValue(number)),
        })
    };
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 1000 });
    let variant = |key: &str, number, weight| pb::Variant {
        key: key.into(),
        name: format!("Gate {number}"),
        value: value(number),
        weight,
    };
    pb::Experiment {
        namespace: "shop-production".into(),
        key: "cookie-cats".into(),
        name: "Cookie Cats".into(),
        description: "Where the first gate stands".into(),
        hypothesis: "A later gate keeps players".into(),
        owner: "growth".into(),
        tags: vec!["gate".into()],
        flag_key: "gate".into(),
        state: pb::ExperimentState::Archived.into(),
        pause_mode: 0,
        outcome: pb::Outcome::Winner.into(),
        winner: "gate_30".into(),
        allowed_actions: vec![],
        assignment_source: pb::AssignmentSource::Imported.into(),
        unit_kind: "player".into(),
        variants: vec![variant("gate_30", 30.0, 5000), variant("gate_40", 40.0, 5000)],
        coverage: Some(8000),
        segment_key: "new-players".into(),
        segment_version: 3,
        metrics: vec![pb::ExperimentMetric {
            metric_key: "retention_7".into(),
            role: pb::MetricRole::Primary.into(),
            ..Default::default()
        }],
        exposure_mode: pb::ExposureMode::None.into(),
        confidence: 0.99,
        qa_overrides: vec![pb::QaOverride {
            unit: Some(crate::common::v1::Unit {
                kind: "player".into(),
                id: "tester".into(),
            }),
            variant_key: "gate_40".into(),
        }],
        start_time: time(1_600_000_000),
        end_time: time(1_601_000_000),
        completed_at: time(1_601_000_001),
        pauses: vec![pb::Pause {
            from: time(1_600_500_000),
            to: time(1_600_600_000),
            mode: pb::PauseMode::HoldEnrollment.into(),
        }],
        cohorts: vec![pb::Cohort {
            number: 1,
            weights: vec![5000, 5000],
            generation: 12,
        }],
        salt: "1f0c".into(),
        reason: "retention fell".into(),
        version: 9,
        generation: 40,
        created_at: time(1_599_000_000),
        updated_at: time(1_602_000_000),
        archived_from: pb::ExperimentState::Ended.into(),
        // What came later was not written.
        ..Default::default()
    }
}

#[test]
fn golden_bytes_stay_readable_and_mean_the_same() {
    let expected = Published::Experiment(experiment().try_into().unwrap());
    assert_eq!(golden(), expected, "encoded now:\n{}", to_hex(&encode(&expected)));
}

#[test]
fn keys_name_kind_key_and_a_segments_version() {
    assert_eq!(golden().key(), "experiment/cookie-cats");
    let segment = pb::Segment {
        key: "new-players".into(),
        version: 3,
        ..Default::default()
    };
    assert_eq!(
        Published::Segment(segment.try_into().unwrap()).key(),
        "segment/new-players@3"
    );
}

#[test]
fn what_is_no_resource_says_so() {
    assert_eq!(decode(&[]).unwrap_err().0[0].rule, "REQUIRED");
    assert_eq!(decode(&[0xff]).unwrap_err().0[0].rule, "ENCODING");
    let nameless = Resource {
        resource: Some(resource::Resource::Flag(pb::Flag::default())),
    };
    let errors = decode(&nameless.encode_to_vec()).unwrap_err();
    assert_eq!(errors.0[0].field, "flag.key");
}
