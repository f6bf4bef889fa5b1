use std::path::Path;

use super::*;
use crate::config_store::laws::samples::full;

fn identity(resource: &Resource) -> Identity {
    Identity {
        namespace: resource.namespace().clone(),
        kind: resource.kind(),
        key: resource.key().to_owned(),
        meta: *resource.meta(),
    }
}

/// What was written once can be read for ever. A golden file never changes; a new version adds files.
#[test]
fn golden_documents_decode() {
    for resource in full(&Namespace::default()) {
        let name = format!("{}-{}.v1.json", resource.kind().name(), resource.key());
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/config_store/golden")
            .join(&name);
        let document = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            decode(identity(&resource), &document).expect("decodes"),
            resource,
            "{name}"
        );
        let written: serde_json::Value =
            serde_json::from_str(&encode(&resource).expect("encodes")).expect("JSON");
        let golden: serde_json::Value = serde_json::from_str(&document).expect("JSON");
        assert_eq!(
            written, golden,
            "{name}: what is written has changed, so it needs a new version"
        );
    }
}

#[test]
fn fields_that_a_later_release_added_are_ignored() {
    for resource in full(&Namespace::default()) {
        let mut document: serde_json::Value =
            serde_json::from_str(&encode(&resource).expect("encodes")).expect("JSON");
        document["added_later"] = serde_json::json!({"x": 1});
        assert_eq!(
            decode(identity(&resource), &document.to_string()).expect("decodes"),
            resource
        );
    }
}

#[test]
fn what_cannot_be_understood_is_corrupt() {
    let flag = full(&Namespace::default()).remove(0);
    let good = encode(&flag).expect("encodes");
    let bad = [
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        r#"{"v":1}"#.into(),
        good.replace("\"v\":1", "\"v\":2"),
        good.replace("\"v\":1", "\"v\":-1"),
        good.replace("\"control\"", "\"no key\""),
        good.get(..good.len() - 1).expect("ASCII end").to_owned(),
    ];
    for document in bad {
        let error = decode(identity(&flag), &document).expect_err("corrupt");
        assert!(matches!(error, Error::Corrupt { .. }), "{document}: {error:?}");
    }
}

#[test]
fn states_are_stored_under_their_names() {
    for resource in full(&Namespace::default()) {
        let Resource::Experiment(experiment) = &resource else {
            continue;
        };
        let document: serde_json::Value =
            serde_json::from_str(&encode(&resource).expect("encodes")).expect("JSON");
        assert_eq!(document["state"]["name"], experiment.state.name());
        assert_eq!(state_name(&resource), Some(experiment.state.name()));
    }
}
