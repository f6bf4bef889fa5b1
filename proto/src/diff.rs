//! Which fields of two messages differ. Messages are compared as they are encoded, and fields are named by the descriptors, so a field that
//! is new in a .proto file is compared without a line here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::LazyLock,
};

use prost::{
    Message,
    encoding::{DecodeContext, decode_key, skip_field},
};
use prost_types::FileDescriptorSet;

/// What every write changes, and says nothing of the content.
const OF_WRITING: [&str; 4] = ["version", "generation", "created_at", "updated_at"];

/// The names of fields by number.
type Names = BTreeMap<u32, String>;

static NAMES: LazyLock<HashMap<String, Names>> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(crate::DESCRIPTORS).expect("the build has made them");
    let mut names = HashMap::new();
    for file in &set.file {
        for message in &file.message_type {
            let fields = message.field.iter();
            let of = fields.map(|field| (field.number().unsigned_abs(), field.name().to_owned()));
            names.insert(format!("{}.{}", file.package(), message.name()), of.collect());
        }
    }
    names
});

/// The names of the fields that differ between two messages of type `name`, such as `assay.config.v1.Flag`, in order of their numbers.
/// What every write changes is left out: version, generation and the times of writing.
pub fn differing_fields<M: Message>(name: &str, one: &M, other: &M) -> Vec<String> {
    let (one, other) = (fields(&one.encode_to_vec()), fields(&other.encode_to_vec()));
    let numbers: BTreeSet<_> = one.keys().chain(other.keys()).copied().collect();
    let names = NAMES.get(name);
    let called = |number: u32| {
        let known = names.and_then(|names| names.get(&number));
        known.cloned().unwrap_or_else(|| number.to_string())
    };
    let differing = numbers
        .into_iter()
        .filter(|number| one.get(number) != other.get(number));
    differing
        .map(called)
        .filter(|field| !OF_WRITING.contains(&field.as_str()))
        .collect()
}

/// The bytes of each field of an encoded message, by number; those of a repeated field follow one another.
fn fields(encoded: &[u8]) -> BTreeMap<u32, Vec<u8>> {
    let mut fields: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut rest = encoded;
    while !rest.is_empty() {
        let before = rest;
        let (number, wire) = decode_key(&mut rest).expect("it was encoded here");
        skip_field(wire, number, &mut rest, DecodeContext::default()).expect("it was encoded here");
        let length = before.len() - rest.len();
        fields.entry(number).or_default().extend(&before[..length]);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::v1::{Flag, Variation};

    const FLAG: &str = "assay.config.v1.Flag";

    #[test]
    fn fields_that_differ_are_named_and_what_a_write_changes_is_not() {
        let variation = |key: &str| Variation {
            key: key.to_owned(),
            ..Default::default()
        };
        let one = Flag {
            key: "gate".to_owned(),
            name: "Gate".to_owned(),
            variations: vec![variation("off"), variation("on")],
            version: 1,
            ..Default::default()
        };
        let other = Flag {
            description: "it opens".to_owned(),
            variations: vec![variation("on"), variation("off")],
            version: 2,
            generation: 7,
            ..one.clone()
        };
        assert_eq!(
            differing_fields(FLAG, &one, &other),
            ["description", "variations"]
        );
        assert_eq!(differing_fields(FLAG, &other, &other), [""; 0]);
        let renamed = Flag {
            name: String::new(),
            ..one.clone()
        };
        assert_eq!(differing_fields(FLAG, &one, &renamed), ["name"]);
    }
}
