use assay_core::{
    assign::{Assignment, Keep, Reason},
    key::{ExperimentKey, FlagKey, Namespace, Unit, VariantKey},
    record::Exposure,
    time::Timestamp,
    value::{Attributes, Value},
};
use proptest::{collection::vec, prelude::*};
use prost::Message;

use super::{Asked, asked, assignment, exposure};
use crate::{
    assignment::v1 as pb,
    convert::{self, attributes_to_struct, optional_unit_from},
    strategies,
    stream::{self, Batch, Records},
};

fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![
        Just(Reason::NoExperiment),
        Just(Reason::Split),
        Just(Reason::NotInSegment),
        Just(Reason::Override),
        Just(Reason::UnknownFlag),
        Just(Reason::NoUnit),
    ]
}

/// What an answer borrows from: keys of experiment and variant, value, reason, whether it is the control, cohort, generation.
type Decided = (Option<(String, String)>, Option<Value>, Reason, bool, u32, u64);

fn decided() -> impl Strategy<Value = Decided> {
    (
        proptest::option::of((strategies::key(), strategies::key())),
        proptest::option::of(strategies::value()),
        reason(),
        any::<bool>(),
        any::<u32>(),
        any::<u64>(),
    )
}

proptest! {
    #[test]
    fn an_answer_is_written_as_the_generated_types_write_it(
        asked in "\\PC{0,300}",
        (keys, value, reason, is_control, cohort, generation) in decided(),
    ) {
        let flag = FlagKey::new("flag").unwrap();
        let keys = keys.map(|(e, v)| (ExperimentKey::new(e).unwrap(), VariantKey::new(v).unwrap()));
        let answer = Assignment {
            flag: Some(&flag),
            experiment: keys.as_ref().map(|(experiment, _)| experiment),
            variant: keys.as_ref().map(|(_, variant)| variant),
            is_control,
            value: value.as_ref(),
            reason,
            cohort,
            generation,
            exposes: false,
            segmenting: &[],
            is_remembered: is_control,
            keep: Keep::No,
            needs: None,
        };
        let generated = pb::AssignResponse {
            assignments: vec![convert::assignment(&asked, &answer), convert::assignment("b", &answer)],
        };
        let mut out = Vec::new();
        assignment(&mut out, &asked, &answer);
        assignment(&mut out, "b", &answer);
        prop_assert_eq!(out, generated.encode_to_vec());
    }

    #[test]
    fn an_exposure_is_written_as_the_generated_types_write_it(told in strategies::exposure()) {
        let at = told.time;
        let told = Exposure { received_at: at, imported: false, ..told };
        let names: Vec<String> = told.attributes.keys().cloned().collect();
        let mut attributes = told.attributes.clone();
        attributes.insert("~not-segmenting".to_owned(), true.into());
        let answer = Assignment {
            flag: None,
            experiment: Some(&told.experiment),
            variant: Some(&told.variant),
            is_control: false,
            value: None,
            reason: Reason::Split,
            cohort: told.cohort,
            generation: told.generation,
            exposes: true,
            segmenting: &names,
            is_remembered: false,
            keep: Keep::No,
            needs: None,
        };
        let mut out = Vec::new();
        exposure(&mut out, &told.namespace, &answer, &told.unit, answer.segmenting_of(&attributes), at);
        let whole = stream::encode(&Batch {
            producer: String::new(),
            epoch: 0,
            sequence: 0,
            traceparent: String::new(),
            records: Records::Exposures(vec![told]),
        });
        prop_assert_eq!(out, whole);
    }

    #[test]
    fn an_ordinary_request_is_read_as_the_generated_types_read_it(
        namespace in prop_oneof![Just(String::new()), strategies::key()],
        unit in strategies::unit(),
        attributes in strategies::attributes(),
        flag_keys in vec(strategies::key(), 1..4),
        exposure in 0..3_i32,
    ) {
        let request = pb::AssignRequest {
            namespace: namespace.clone(),
            unit: Some((&unit).into()),
            attributes: Some(attributes_to_struct(&attributes)),
            flag_keys: flag_keys.clone(),
            exposure,
        };
        let bytes = request.encode_to_vec();
        let expected = Asked {
            namespace: &namespace,
            unit,
            attributes,
            keys: flag_keys.iter().map(String::as_str).collect(),
            exposure: pb::Exposure::try_from(exposure).unwrap(),
        };
        prop_assert_eq!(asked(&bytes), Some(expected));
    }

    /// Whatever the bytes: what is read here, the generated types read, too, and the plain way does not refuse it.
    #[test]
    fn what_is_read_of_damaged_bytes_is_what_the_generated_types_read(
        unit in strategies::unit(),
        attributes in strategies::attributes(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let request = pb::AssignRequest {
            namespace: "n".to_owned(),
            unit: Some((&unit).into()),
            attributes: Some(attributes_to_struct(&attributes)),
            flag_keys: vec!["a".to_owned(), "b".to_owned()],
            exposure: 1,
        };
        let mut bytes = request.encode_to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let Some(read) = asked(&bytes) else { return Ok(()) };
        let generated = pb::AssignRequest::decode(&*bytes).unwrap();
        prop_assert_eq!(read.namespace, generated.namespace);
        prop_assert_eq!(Some(read.unit), optional_unit_from(generated.unit, "unit").unwrap());
        prop_assert_eq!(read.attributes, convert::attributes(generated.attributes, "attributes").unwrap());
        prop_assert_eq!(read.keys, generated.flag_keys);
        prop_assert_eq!(i32::from(read.exposure), generated.exposure);
    }
}

#[test]
fn what_is_out_of_the_ordinary_is_left_to_the_plain_way() {
    let ordinary = || pb::AssignRequest {
        unit: Some((&Unit::user("1").unwrap()).into()),
        flag_keys: vec!["gate".to_owned()],
        ..pb::AssignRequest::default()
    };
    let read = |request: pb::AssignRequest| asked(&request.encode_to_vec()).is_some();
    assert!(read(ordinary()));
    assert!(!read(pb::AssignRequest {
        unit: None,
        ..ordinary()
    }));
    assert!(!read(pb::AssignRequest {
        flag_keys: vec![],
        ..ordinary()
    }));
    assert!(!read(pb::AssignRequest {
        flag_keys: vec![String::new()],
        ..ordinary()
    }));
    assert!(!read(pb::AssignRequest {
        flag_keys: vec!["k".repeat(257)],
        ..ordinary()
    }));
    assert!(!read(pb::AssignRequest {
        exposure: 9,
        ..ordinary()
    }));
    let unit_twice = [ordinary().encode_to_vec(), ordinary().encode_to_vec()].concat();
    assert_eq!(asked(&unit_twice), None);
    for attribute in [f64::NAN.into(), "x".repeat(4_097).as_str().into()] {
        let attributes = Attributes::from([("a".to_owned(), attribute)]);
        let attributes = Some(attributes_to_struct(&attributes));
        assert!(!read(pb::AssignRequest {
            attributes,
            ..ordinary()
        }));
    }
}

#[test]
fn an_answer_without_a_variant_is_no_exposure() {
    let answer = Assignment {
        flag: None,
        experiment: None,
        variant: None,
        is_control: false,
        value: None,
        reason: Reason::UnknownFlag,
        cohort: 0,
        generation: 1,
        exposes: false,
        segmenting: &[],
        is_remembered: false,
        keep: Keep::No,
        needs: None,
    };
    let mut out = Vec::new();
    let unit = Unit::user("1").unwrap();
    let nothing = Attributes::new();
    exposure(
        &mut out,
        &Namespace::default(),
        &answer,
        &unit,
        nothing.iter(),
        Timestamp::default(),
    );
    assert!(out.is_empty());
}
