use assay_core::{
    assign::{Reason, assign},
    experiment::Experiment as CoreExperiment,
    flag::Flag as CoreFlag,
    key::Unit,
    lifecycle::State,
    snapshot::{Configuration, Snapshot},
    time::Timestamp,
    value::{Attribute, Attributes, Value as CoreValue},
};
use serde_json::json;

use super::*;

fn file(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn growthbook() -> Translation {
    let payload = file(include_str!("../../../../testdata/move-in/growthbook.json"));
    growthbook::translate(&payload).unwrap()
}

fn flagd() -> Translation {
    let flags = file(include_str!("../../../../testdata/move-in/flagd.json"));
    flagd::translate(&flags, "SCALED").unwrap()
}

/// The translation as it is served when all its experiments run.
fn serve(translation: &Translation) -> Snapshot {
    let segments = translation.segments.iter().cloned();
    let segments = segments.map(|segment| CoreSegment::try_from(segment.message().unwrap()).unwrap());
    let flags = translation.flags.iter().cloned();
    let flags = flags.map(|flag| CoreFlag::try_from(flag.message().unwrap()).unwrap());
    let flags: Vec<_> = flags.collect();
    let experiments = translation.experiments.iter().cloned().map(|experiment| {
        let experiment = CoreExperiment::try_from(experiment.message().unwrap()).unwrap();
        let references = validate::References {
            flag: flags.iter().find(|flag| flag.key == experiment.flag),
            ..Default::default()
        };
        let findings = validate::draft(&experiment, &references);
        assert!(findings.is_ok(), "{}: {findings:?}", experiment.key);
        CoreExperiment {
            state: State::Running,
            ..experiment
        }
    });
    let experiments = experiments.collect();
    for flag in &flags {
        let findings = validate::flag(flag);
        assert!(findings.is_ok(), "{}: {findings:?}", flag.key);
    }
    let configuration = Configuration {
        segments: segments.collect(),
        flags,
        experiments,
        ..Configuration::default()
    };
    for segment in &configuration.segments {
        let findings = validate::segment(segment);
        assert!(findings.is_ok(), "{}: {findings:?}", segment.key);
    }
    let (snapshot, rejected) = Snapshot::compile(&configuration);
    assert_eq!(rejected, []);
    snapshot
}

fn attributes(given: &Value) -> Attributes {
    let attribute = |value: &Value| match value {
        Value::Bool(value) => Attribute::Bool(*value),
        Value::Number(number) => Attribute::Number(number.as_f64().unwrap()),
        other => Attribute::String(other.as_str().unwrap().to_owned()),
    };
    let given = given.as_object().unwrap().iter();
    given
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}

/// Every unit is served what the other system served it.
fn nobody_moves(translation: &Translation, answers: &str) {
    let snapshot = serve(translation);
    let answers = file(answers);
    let flags: Vec<_> = answers["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| flag.as_str().unwrap())
        .collect();
    let rows = answers["answers"].as_array().unwrap();
    assert_eq!(rows.len(), 1_000);
    let mut n_split = 0;
    for row in rows {
        let unit = Unit::user(row[0].as_str().unwrap()).unwrap();
        let attributes = attributes(&row[1]);
        for (flag, expected) in flags.iter().zip(row[2].as_array().unwrap()) {
            let answer = assign(
                &snapshot,
                flag,
                Some(&unit),
                &attributes,
                Timestamp::from_micros(0),
            );
            let served = match answer.value.unwrap() {
                CoreValue::Bool(value) => json!(value),
                CoreValue::String(value) => json!(value),
                CoreValue::Number(value) => json!(value),
                CoreValue::Json(value) => value.clone(),
            };
            let same = match (served.as_f64(), expected.as_f64()) {
                (Some(served), Some(expected)) => served == expected,
                _ => served == *expected,
            };
            assert!(same, "{flag} for {row}: {served}, {:?}", answer.reason);
            n_split += u32::from(answer.reason == Reason::Split);
        }
    }
    assert!(n_split > 500, "{n_split}");
}

#[test]
fn nobody_who_comes_from_growthbook_moves() {
    let answers = include_str!("../../../../testdata/move-in/growthbook.answers.json");
    nobody_moves(&growthbook(), answers);
}

#[test]
fn nobody_who_comes_from_flagd_moves() {
    nobody_moves(
        &flagd(),
        include_str!("../../../../testdata/move-in/flagd.answers.json"),
    );
}

fn paths(remarks: &[Remark]) -> Vec<&str> {
    remarks.iter().map(|remark| remark.path.as_str()).collect()
}

#[test]
fn what_growthbook_has_and_assay_cannot_say_is_listed() {
    let translation = growthbook();
    let mut left_out = paths(&translation.left_out);
    left_out.sort_unstable();
    assert_eq!(
        left_out,
        [
            "experiments[0]",
            "features.maintenance.rules[1]",
            "features.no value",
            "features.nothing",
            "features.strange.rules[0].condition.tags.$elemMatch",
            "features.strange.rules[1].bucketVersion",
            "features.strange.rules[1].fallbackAttribute",
            "features.strange.rules[2]",
        ]
    );
    let why = |path: &str| {
        let found = translation.left_out.iter().find(|remark| remark.path == path);
        found.unwrap().reason.as_str()
    };
    assert!(why("features.strange.rules[2]").contains("stands behind an experiment"));
    assert!(
        why("features.strange.rules[0].condition.tags.$elemMatch")
            .contains("which no rule can say; the units")
    );
    let keys: Vec<_> = translation.experiments.iter().map(|e| e.key.as_str()).collect();
    for key in [
        "checkout-color",
        "gate",
        "layout-test",
        "dark-mode-rollout",
        "ranged",
        "sticky",
    ] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    // A coverage that can be said as a coverage can grow.
    let color = translation
        .experiments
        .iter()
        .find(|e| e.key == "checkout-color")
        .unwrap();
    assert_eq!(color.coverage, Some(Share(8_000)));
    assert_eq!(color.hashing.as_ref().unwrap().ranges, []);
}

#[test]
fn what_flagd_has_and_assay_cannot_say_is_listed() {
    let translation = flagd();
    let mut left_out = paths(&translation.left_out);
    left_out.sort_unstable();
    assert_eq!(
        left_out,
        [
            "flags.code-default",
            "flags.computed.metadata",
            "flags.computed.targeting.if[2].==",
            "flags.old.state",
        ]
    );
    assert!(
        translation
            .notes
            .iter()
            .any(|note| note.reason.contains("--fractional"))
    );
}

#[test]
fn what_is_no_payload_is_refused() {
    assert!(
        growthbook::translate(&json!({"encryptedFeatures": "x"}))
            .unwrap_err()
            .contains("decrypted")
    );
    assert!(
        growthbook::translate(&json!([]))
            .unwrap_err()
            .contains("`features`")
    );
    assert!(
        flagd::translate(&json!({"flags": []}), "CBOR")
            .unwrap_err()
            .contains("`flags`")
    );
}

/// Whatever is in a file, it is translated or listed, and no panic.
#[test]
fn odd_files_are_listed() {
    let odd = [
        json!({"features": {"a": 1, "b": {"defaultValue": 1, "rules": [1, {}, {"variations": 3}, {"force": "x"}]}}}),
        json!({"features": {"a": {"defaultValue": 1, "rules": [{"variations": [1, 2], "hashVersion": 9}]}}}),
        json!({"features": {"a": {"defaultValue": 1, "rules": [{"force": 2, "condition": {"b": {"$regex": "(?=x)"}}}]}}}),
        json!({"features": {"a": {"defaultValue": 1, "rules": [{"variations": [1, 2], "namespace": ["n", 0.5, 0.5]}]}}}),
        json!({"features": {"a": {"defaultValue": 1, "rules": [{"variations": [1, 2], "condition": {"$or": []}}]}}}),
    ];
    for payload in odd {
        assert!(
            !growthbook::translate(&payload).unwrap().left_out.is_empty(),
            "{payload}"
        );
    }
    let flag = |targeting: Value| json!({"flags": {"a": {"variants": {"x": 1, "y": 2}, "defaultVariant": "x", "targeting": targeting}}});
    let odd = [
        json!({"flags": {"a": 1}}),
        flag(json!({"fractional": []})),
        flag(json!({"fractional": [["x", 1.5], ["y", 1]]})),
        flag(json!({"fractional": [["z", 1]]})),
        flag(json!({"fractional": [["x", 2_147_483_647], ["y", 1]]})),
        flag(json!({"fractional": [{"cat": [{"var": "a"}, {"var": "b"}]}, ["x"], ["y"]]})),
        flag(json!({"if": [{"$ref": "none"}, "x"]})),
        flag(json!({"if": [{"<": [{"var": "a"}, "text"]}, "x"]})),
        flag(json!({"+": [1, 2]})),
    ];
    for file in odd {
        assert!(
            !flagd::translate(&file, "SCALED").unwrap().left_out.is_empty(),
            "{file}"
        );
    }
}

/// `null` is the default variant, also where an `else` serves everybody another.
#[test]
fn null_in_flagd_is_the_default_variant() {
    let file = json!({"flags": {"a": {
        "variants": {"x": 1, "y": 2},
        "defaultVariant": "x",
        "targeting": {"if": [{"==": [{"var": "b"}, true]}, null, "y"]},
    }}});
    let translation = flagd::translate(&file, "SCALED").unwrap();
    let flag = &translation.flags[0];
    assert_eq!(
        (&flag.default_value, &flag.segment_overrides[0].value),
        (&json!(2), &json!(1))
    );
}

#[test]
fn a_control_that_nobody_had_is_added_and_nobody_gets_it() {
    let alternative = |key: &str, value: Value| Alternative {
        key: key.to_owned(),
        name: String::new(),
        value,
    };
    let given = vec![alternative("a", json!(1)), alternative("default", json!(2))];
    let ordered = Ordered::new(given.clone(), &json!(3));
    let keys: Vec<_> = ordered.alternatives.iter().map(|a| a.key.as_str()).collect();
    assert_eq!(
        (keys, ordered.places.clone()),
        (vec!["default-", "a", "default"], vec![1, 2])
    );
    let ordered = Ordered::new(given, &json!(2));
    assert_eq!(ordered.places, [1, 0]);
    assert!(!ordered.is_as_given());
}

#[test]
fn neighbors_with_the_same_answer_are_one_range() {
    let answers = [Some(1), Some(1), None, Some(1), Some(0)];
    assert_eq!(runs(answers.into_iter()), [(0..2, 1), (3..4, 1), (4..5, 0)]);
}
