//! The JSON mapping of proto3 for the messages of this door: names in lowerCamelCase or as they stand in the .proto files, enums by name or
//! number, null for what is not said; a field that does not exist is an error, as in every parser of that mapping. 64-bit numbers are texts.

use assay_platform::Failure;
use assay_proto::{assignment::v1 as pb, common::v1 as common, convert::json_to};
use prost_types::{Struct, value::Kind};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::{Map, Value, json};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Unit {
    kind: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct AssignRequest {
    namespace: Option<String>,
    unit: Option<Unit>,
    attributes: Option<Map<String, Value>>,
    #[serde(alias = "flag_keys")]
    flag_keys: Option<Vec<String>>,
    #[serde(deserialize_with = "exposure")]
    exposure: i32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct AssignBatchItem {
    unit: Option<Unit>,
    attributes: Option<Map<String, Value>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct AssignBatchRequest {
    namespace: Option<String>,
    items: Option<Vec<AssignBatchItem>>,
    #[serde(alias = "flag_keys")]
    flag_keys: Option<Vec<String>>,
    #[serde(deserialize_with = "exposure")]
    exposure: i32,
}

/// The `AssignRequest` that `bytes` say.
pub(super) fn request(bytes: &[u8]) -> Result<pb::AssignRequest, serde_json::Error> {
    let asked: AssignRequest = object(bytes)?;
    Ok(pb::AssignRequest {
        namespace: asked.namespace.unwrap_or_default(),
        unit: asked.unit.map(unit),
        attributes: asked.attributes.map(attributes),
        flag_keys: asked.flag_keys.unwrap_or_default(),
        exposure: asked.exposure,
    })
}

/// The `AssignBatchRequest` that `bytes` say.
pub(super) fn batch_request(bytes: &[u8]) -> Result<pb::AssignBatchRequest, serde_json::Error> {
    let asked: AssignBatchRequest = object(bytes)?;
    let item = |item: AssignBatchItem| pb::AssignBatchItem {
        unit: item.unit.map(unit),
        attributes: item.attributes.map(attributes),
    };
    Ok(pb::AssignBatchRequest {
        namespace: asked.namespace.unwrap_or_default(),
        items: asked.items.unwrap_or_default().into_iter().map(item).collect(),
        flag_keys: asked.flag_keys.unwrap_or_default(),
        exposure: asked.exposure,
    })
}

/// The message that `bytes` are; serde would take a list for one, too.
fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    match bytes.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(bytes),
        _ => Err(serde_json::Error::custom("give an object: `{…}`")),
    }
}

fn unit(unit: Unit) -> common::Unit {
    common::Unit {
        kind: unit.kind.unwrap_or_default(),
        id: unit.id.unwrap_or_default(),
    }
}

fn attributes(given: Map<String, Value>) -> Struct {
    match json_to(&Value::Object(given)).kind {
        Some(Kind::StructValue(attributes)) => attributes,
        _ => Struct::default(),
    }
}

fn exposure<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(0),
        Value::String(name) => match pb::Exposure::from_str_name(&name) {
            Some(exposure) => Ok(exposure.into()),
            None => Err(D::Error::custom(format_args!(
                "`{name}` is no exposure; give EXPOSURE_RECORD or EXPOSURE_PEEK"
            ))),
        },
        Value::Number(number) => {
            let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
            number.ok_or_else(|| D::Error::custom("the number of an enum has 32 bits"))
        }
        _ => Err(D::Error::custom("an enum is a name or a number")),
    }
}

/// The JSON of an `AssignResponse`.
pub(super) fn response(response: pb::AssignResponse) -> Value {
    json!({ "assignments": assignments(response.assignments) })
}

/// The JSON of an `AssignBatchResponse`.
pub(super) fn batch_response(response: pb::AssignBatchResponse) -> Value {
    let result = |result: pb::AssignBatchResult| {
        json!({
            "assignments": assignments(result.assignments),
            "errorField": result.error_field,
            "errorMessage": result.error_message,
        })
    };
    json!({ "results": response.results.into_iter().map(result).collect::<Vec<_>>() })
}

fn assignments(answers: Vec<pb::Assignment>) -> Vec<Value> {
    let assignment = |answer: pb::Assignment| {
        let mut object = json!({
            "flagKey": answer.flag_key,
            "experimentKey": answer.experiment_key,
            "variantKey": answer.variant_key,
            "isControl": answer.is_control,
            "reason": pb::Reason::try_from(answer.reason).unwrap_or_default().as_str_name(),
            "cohort": answer.cohort,
            "generation": answer.generation.to_string(),
            "remembered": answer.remembered,
        });
        // Absent for an unknown flag, unlike a value that is null.
        if let (Some(object), Some(served)) = (object.as_object_mut(), answer.value) {
            object.insert("value".to_owned(), value(served));
        }
        object
    };
    answers.into_iter().map(assignment).collect()
}

/// The JSON of a `google.protobuf.Value`; all numbers of ours are finite.
fn value(value: prost_types::Value) -> Value {
    assay_proto::convert::json_from(Some(value), "value").unwrap_or_default()
}

/// The JSON of a refusal.
pub(super) fn error(failure: &Failure) -> Value {
    let fields = failure.violations.iter().map(|violation| {
        json!({
            "field": violation.field,
            "rule": violation.reason,
            "message": violation.description,
        })
    });
    json!({
        "error": {
            "code": failure.code.name(),
            "reason": failure.reason,
            "message": failure.message,
            "fields": fields.collect::<Vec<_>>(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_a_field_are_read_and_null_is_nothing() {
        let asked = |text: &str| request(text.as_bytes());
        let full = asked(
            r#"{"namespace": "shop", "unit": {"id": "7"}, "attributes": {"level": 3, "app": {"v": "1.2"}},
                "flagKeys": ["a"], "exposure": "EXPOSURE_PEEK"}"#,
        )
        .unwrap();
        assert_eq!(
            (full.namespace.as_str(), full.flag_keys.as_slice()),
            ("shop", ["a".to_owned()].as_slice())
        );
        assert_eq!(full.exposure(), pb::Exposure::Peek);
        assert_eq!(full.unit.unwrap().id, "7");
        assert_eq!(full.attributes.unwrap().fields.len(), 2);
        assert_eq!(
            asked(r#"{"flag_keys": ["a"], "exposure": 1}"#)
                .unwrap()
                .exposure(),
            pb::Exposure::Record
        );
        let nothing = asked(r#"{"unit": null, "attributes": null, "flagKeys": null, "exposure": null}"#);
        assert_eq!(nothing.unwrap(), pb::AssignRequest::default());
        assert_eq!(asked("{}").unwrap(), pb::AssignRequest::default());
    }

    #[test]
    fn what_is_no_message_says_what_is_wrong() {
        for (text, said) in [
            (r#"{"flags": []}"#, "unknown field `flags`"),
            (r#"{"exposure": "LOUD"}"#, "`LOUD` is no exposure"),
            (r#"{"exposure": 1e12}"#, "32 bits"),
            (r#"{"unit": "7"}"#, "struct Unit"),
            (r#"{"unit""#, "EOF"),
            ("[]", "give an object"),
        ] {
            let error = request(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn long_numbers_are_texts_and_no_value_is_no_field() {
        let answer = pb::Assignment {
            flag_key: "a".into(),
            reason: pb::Reason::UnknownFlag.into(),
            generation: 1 << 60,
            ..Default::default()
        };
        let known = pb::Assignment {
            value: Some(json_to(&Value::Null)),
            ..answer.clone()
        };
        let json = response(pb::AssignResponse {
            assignments: vec![answer, known],
        });
        let [unknown, known] = &json["assignments"].as_array().unwrap()[..] else {
            panic!("two")
        };
        assert_eq!(unknown["generation"], "1152921504606846976");
        assert_eq!(unknown["reason"], "REASON_UNKNOWN_FLAG");
        assert!(unknown.get("value").is_none() && known.get("value").is_some_and(Value::is_null));
    }
}
