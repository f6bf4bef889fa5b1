use serde_json::json;

use super::*;
use crate::{
    fixtures::{self, user, variant_key},
    flag::{SegmentOverride, UnitOverride, Variation},
    key::SegmentKey,
    validate::tests::{one, owned},
};

/// The fields and rules that `change` breaks in a valid flag.
fn flag_errors(change: impl FnOnce(&mut Flag)) -> Vec<(String, &'static str)> {
    let mut changed = fixtures::flag();
    change(&mut changed);
    owned(flag(&changed))
}

/// Makes the fixture a flag of the type of `value`, which it serves.
fn retype(flag: &mut Flag, value: Value) {
    flag.value_type = value.value_type();
    flag.variations.truncate(1);
    flag.variations[0].value = value.clone();
    flag.default_value = value;
}

#[test]
fn a_valid_flag_has_no_findings() {
    assert_eq!(flag(&fixtures::flag()), Findings::default());
    for value in [
        Value::Number(1.5),
        Value::String(String::new()),
        Value::Json(json!([])),
        Value::Json(json!({"a": 1})),
    ] {
        assert_eq!(flag_errors(|flag| retype(flag, value)), []);
    }
}

#[test]
fn a_flag_keeps_its_variations() {
    let twice = flag_errors(|flag| flag.variations[1].key = variant_key("off"));
    assert_eq!(twice, one("variations[1].key", "DUPLICATE_KEY"));
    assert_eq!(
        flag_errors(|flag| flag.variations.clear()),
        one("variations", "VARIATION_REQUIRED")
    );
    assert_eq!(
        flag_errors(|flag| flag.variations.reverse()),
        one("variations[0].value", "CONTROL_NOT_DEFAULT")
    );
    let number = flag_errors(|flag| flag.variations[1].value = Value::Number(1.0));
    assert_eq!(number, one("variations[1].value", "TYPE_MISMATCH"));
}

#[test]
fn the_values_of_a_flag_are_limited() {
    let long = "x".repeat(MAX_VALUE_BYTES + 1);
    let cases = [
        (Value::Json(json!(1)), "JSON_NOT_STRUCTURED"),
        (Value::Json(json!([long])), "VALUE_TOO_LARGE"),
        (Value::String(long), "VALUE_TOO_LARGE"),
    ];
    for (value, rule) in cases {
        let errors = flag_errors(|flag| retype(flag, value));
        assert_eq!(
            errors,
            [
                ("variations[0].value".into(), rule),
                ("default_value".into(), rule)
            ]
        );
    }
    let infinite = flag_errors(|flag| {
        retype(flag, Value::Number(1.0));
        let value = Value::Number(f64::INFINITY);
        flag.unit_overrides = vec![UnitOverride {
            unit: user("1"),
            value,
        }];
    });
    assert_eq!(infinite, one("unit_overrides[0].value", "NOT_FINITE"));
}

#[test]
fn the_overrides_of_a_flag_are_distinct_and_limited() {
    let by_segment = |key: String| SegmentOverride {
        segment: SegmentKey::new(key).unwrap(),
        value: Value::Bool(true),
    };
    let by_unit = |id: String| UnitOverride {
        unit: user(&id),
        value: Value::Bool(true),
    };
    let many = flag_errors(|flag| {
        flag.segment_overrides = (0..=MAX_SEGMENT_OVERRIDES)
            .map(|i| by_segment(i.to_string()))
            .collect();
        flag.unit_overrides = (0..=MAX_UNIT_OVERRIDES).map(|i| by_unit(i.to_string())).collect();
    });
    assert_eq!(
        many,
        [
            ("segment_overrides".into(), "TOO_MANY"),
            ("unit_overrides".into(), "TOO_MANY")
        ]
    );
    let twice = flag_errors(|flag| {
        flag.segment_overrides = vec![by_segment("a".into()), by_segment("a".into())];
        flag.unit_overrides = vec![by_unit("1".into()), by_unit("1".into())];
    });
    let rule = "DUPLICATE_OVERRIDE";
    assert_eq!(
        twice,
        [
            ("segment_overrides[1].segment_key".into(), rule),
            ("unit_overrides[1].unit".into(), rule)
        ]
    );
    let mistyped = flag_errors(|flag| {
        flag.segment_overrides = vec![SegmentOverride {
            value: Value::Number(1.0),
            ..by_segment("a".into())
        }];
    });
    assert_eq!(mistyped, one("segment_overrides[0].value", "TYPE_MISMATCH"));
}

#[test]
fn all_violations_come_at_once() {
    let errors = flag_errors(|flag| {
        flag.name = "x".repeat(MAX_NAME_BYTES + 1);
        flag.description = "x".repeat(MAX_TEXT_BYTES + 1);
        flag.value_type = ValueType::String;
        flag.variations.push(Variation {
            ..flag.variations[0].clone()
        });
    });
    assert_eq!(errors.len(), 7, "{errors:?}");
}
