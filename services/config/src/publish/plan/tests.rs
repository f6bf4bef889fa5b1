use assay_core::{
    flag::{Flag, Meta, Variation},
    key::{FlagKey, Namespace, SegmentKey, VariantKey},
    segment::Segment,
    value::Value as FlagValue,
};

use assay_storage::config_store::Kind;

use super::*;

fn meta(version: u64, generation: u64) -> Meta {
    Meta {
        version,
        generation,
        ..Meta::default()
    }
}

fn flag(key: &str, generation: u64) -> Resource {
    let control = VariantKey::new("off").unwrap();
    Resource::Flag(Flag {
        namespace: Namespace::default(),
        key: FlagKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        value_type: FlagValue::Bool(false).value_type(),
        variations: vec![Variation {
            key: control,
            name: String::new(),
            value: FlagValue::Bool(false),
        }],
        default_value: FlagValue::Bool(false),
        segment_overrides: Vec::new(),
        unit_overrides: Vec::new(),
        target_path: None,
        held_defaults: Vec::new(),
        meta: meta(1, generation),
    })
}

fn segment(version: u64) -> Resource {
    Resource::Segment(Segment {
        namespace: Namespace::default(),
        key: SegmentKey::new("ios").unwrap(),
        name: String::new(),
        description: String::new(),
        rules: Vec::new(),
        meta: meta(version, version),
    })
}

fn truth(generation: u64, resources: Vec<Resource>) -> Published {
    Published {
        namespace: Namespace::default(),
        generation,
        resources,
        unreadable: Vec::new(),
    }
}

fn unreadable(kind: Kind, key: &str) -> Unreadable {
    Unreadable {
        kind,
        key: key.to_owned(),
        detail: "broken".to_owned(),
    }
}

fn publication(held: &NamespaceView, truth: Published) -> Publication {
    match plan(held, truth) {
        Plan::Publish(publication) => publication,
        other => panic!("{other:?}"),
    }
}

/// The bus after `truth` was published on an empty one.
fn filled(truth: Published) -> NamespaceView {
    let publication = publication(&NamespaceView::default(), truth);
    NamespaceView {
        manifest: Some(publication.manifest),
        resources: publication.puts,
    }
}

#[test]
fn what_was_published_needs_nothing() {
    let held = filled(truth(2, vec![flag("a", 1), flag("b", 2)]));
    assert_eq!(
        held.manifest
            .as_ref()
            .map(|manifest| (manifest.generation, manifest.count)),
        Some((2, 2))
    );
    assert!(matches!(
        plan(&held, truth(2, vec![flag("a", 1), flag("b", 2)])),
        Plan::Nothing
    ));
}

#[test]
fn a7_of_what_cannot_be_read_the_last_good_version_stays_and_others_go_on() {
    let held = filled(truth(2, vec![flag("a", 1), flag("ab", 2)]));
    let broken = Published {
        unreadable: vec![unreadable(Kind::Flag, "a")],
        ..truth(3, vec![flag("ab", 3)])
    };
    let next = publication(&held, broken.clone());
    assert_eq!(next.puts.keys().collect::<Vec<_>>(), ["flag/ab"]);
    assert_eq!(next.deletes, Vec::<String>::new());
    assert_eq!(next.manifest.count, 2);
    let mut held = held;
    held.resources.extend(next.puts);
    held.manifest = Some(next.manifest);
    assert!(matches!(plan(&held, broken), Plan::Nothing));
}

#[test]
fn a7_what_never_was_readable_is_left_out() {
    let broken = Published {
        unreadable: vec![unreadable(Kind::Flag, "a")],
        ..truth(1, vec![flag("b", 1)])
    };
    assert_eq!(filled(broken).resources.keys().collect::<Vec<_>>(), ["flag/b"]);
}

#[test]
fn only_the_difference_is_written() {
    let held = filled(truth(2, vec![flag("a", 1), flag("b", 2)]));
    let next = publication(&held, truth(3, vec![flag("a", 3)]));
    assert_eq!(
        (next.from, next.puts.keys().cloned().collect()),
        (Some(2), vec!["flag/a".to_owned()])
    );
    assert_eq!(
        (next.deletes, next.manifest.generation),
        (vec!["flag/b".to_owned()], 3)
    );
    // A change that is not published, such as that of a metric, moves the manifest alone.
    let next = publication(&held, truth(3, vec![flag("a", 1), flag("b", 2)]));
    assert!(next.puts.is_empty() && next.deletes.is_empty());
}

#[test]
fn what_is_newer_than_the_truth_is_overtaken() {
    let held = filled(truth(5, vec![flag("a", 5)]));
    assert!(matches!(
        plan(&held, truth(4, vec![flag("a", 4)])),
        Plan::Raise { to: 6 }
    ));
    assert!(matches!(
        plan(&held, truth(5, vec![flag("b", 5)])),
        Plan::Raise { to: 6 }
    ));
    assert_eq!(publication(&held, truth(6, vec![flag("b", 5)])).from, Some(5));
}

#[test]
fn a_hand_edit_is_undone_within_the_same_generation() {
    let mut held = filled(truth(2, vec![flag("a", 1)]));
    held.resources.insert(
        "flag/a".to_owned(),
        Value {
            generation: 9,
            bytes: Bytes::new(),
        },
    );
    let next = publication(&held, truth(2, vec![flag("a", 1)]));
    assert_eq!(
        (next.from, next.manifest.generation, next.puts.len()),
        (Some(2), 2, 1)
    );
}

#[test]
fn every_version_of_a_segment_has_a_place_of_its_own() {
    let held = filled(truth(3, vec![segment(3), segment(1)]));
    assert_eq!(
        held.resources.into_keys().collect::<Vec<_>>(),
        ["segment/ios@1", "segment/ios@3"]
    );
}
