use assay_core::{
    assign::{Reason, assign},
    flag::{Flag, Meta, Variation},
    key::{FlagKey, SegmentKey, VariantKey},
    segment::{Condition, Operator, Rule, Segment, SegmentReference},
    time::Timestamp,
    value::{Attributes, Value as Served, ValueType},
};
use assay_proto::bus::{self, Published};
use assay_storage::config_bus::{Manifest, NamespaceView, View, digest};

use super::*;

mod interleavings;
mod small;

fn flag(key: &str, number: f64) -> Published {
    let variation = Variation {
        key: VariantKey::new("a").unwrap(),
        name: String::new(),
        value: Served::Number(number),
    };
    Published::Flag(Flag {
        namespace: Namespace::default(),
        key: FlagKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        value_type: ValueType::Number,
        variations: vec![variation],
        default_value: Served::Number(number),
        segment_overrides: vec![],
        unit_overrides: vec![],
        target_path: None,
        held_defaults: Vec::new(),
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    })
}

fn segment(version: u64, operands: Vec<f64>) -> Published {
    let operands = operands.into_iter().map(Into::into).collect();
    Published::Segment(Segment {
        namespace: Namespace::default(),
        key: SegmentKey::new("s").unwrap(),
        name: String::new(),
        description: String::new(),
        rules: vec![Condition::Rule(Rule {
            attribute: "level".into(),
            operator: Operator::Between,
            operands,
        })],
        meta: Meta {
            version,
            ..Meta::default()
        },
    })
}

fn value(generation: u64, published: &Published) -> Value {
    Value {
        generation,
        bytes: bus::encode(published).into(),
    }
}

type Content = BTreeMap<String, Value>;

fn manifest(generation: u64, content: &Content) -> Manifest {
    Manifest {
        generation,
        count: content.len() as u64,
        digest: digest(content),
    }
}

fn put(key: &str, value: &Value) -> BusEvent {
    BusEvent::Put {
        namespace: Namespace::default(),
        key: key.into(),
        value: value.clone(),
        revision: 0,
    }
}

fn delete(key: &str) -> BusEvent {
    BusEvent::Delete {
        namespace: Namespace::default(),
        key: key.into(),
        revision: 0,
    }
}

fn announce(manifest: Manifest) -> BusEvent {
    BusEvent::Manifest {
        namespace: Namespace::default(),
        manifest,
        revision: 0,
    }
}

fn view(manifest: Option<Manifest>, resources: Content) -> View {
    View {
        namespaces: BTreeMap::from([(Namespace::default(), NamespaceView { manifest, resources })]),
        revision: 0,
    }
}

fn number(snapshot: &Snapshot, key: &str) -> Option<f64> {
    let answer = assign(snapshot, key, None, &Attributes::new(), Timestamp::default());
    match answer.value {
        Some(Served::Number(number)) => Some(*number),
        _ => None,
    }
}

/// The steps of publishing `content` as `generation` after `before`.
fn publication(before: &Content, generation: u64, content: &Content) -> Vec<BusEvent> {
    let puts = content
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value))
        .map(|(key, value)| put(key, value));
    let deletes = before
        .keys()
        .filter(|key| !content.contains_key(*key))
        .map(|key| delete(key));
    puts.chain([announce(manifest(generation, content))])
        .chain(deletes)
        .collect()
}

fn one(generation: u64, published: &[Published]) -> Content {
    published
        .iter()
        .map(|published| (published.key(), value(generation, published)))
        .collect()
}

#[test]
fn a4_generation_never_goes_back() {
    let mut replica = ReplicaView::default();
    let newer = one(5, &[flag("a", 5.0)]);
    assert_eq!(
        replica
            .relist(view(Some(manifest(5, &newer)), newer.clone()))
            .len(),
        1
    );
    let older = one(4, &[flag("a", 4.0)]);
    assert!(
        replica
            .relist(view(Some(manifest(4, &older)), older.clone()))
            .is_empty()
    );
    assert!(replica.relist(View::default()).is_empty(), "wiped");
    assert!(replica.apply(put("flag/a", &older["flag/a"])).is_none());
    assert!(replica.apply(announce(manifest(4, &older))).is_none());
    assert_eq!(replica.n_regressed(), 2);
    assert!(!replica.is_unsettled());
    assert_eq!(
        replica.save().namespaces[&Namespace::default()]
            .manifest
            .generation,
        5
    );
    // The truth catches up: what comes next is served, though the bus was not what we believed.
    let next = one(6, &[flag("a", 6.0)]);
    let steps: Vec<_> = publication(&older, 6, &next)
        .into_iter()
        .filter_map(|event| replica.apply(event))
        .collect();
    assert_eq!(number(&steps[0].snapshot, "a"), Some(6.0));
}

#[test]
fn nothing_newer_than_the_manifest_is_believed() {
    let mut replica = ReplicaView::default();
    let first = one(1, &[flag("a", 1.0)]);
    replica.relist(view(Some(manifest(1, &first)), first.clone()));
    let second = one(2, &[flag("a", 2.0), flag("b", 2.0)]);
    let third = one(3, &[flag("a", 3.0)]);
    // A publisher that is to lose the race writes its values before the winner's manifest.
    assert!(replica.apply(put("flag/a", &second["flag/a"])).is_none());
    assert!(replica.apply(put("flag/b", &second["flag/b"])).is_none());
    assert!(replica.apply(put("flag/a", &third["flag/a"])).is_none());
    let step = replica.apply(announce(manifest(2, &second))).unwrap();
    assert_eq!(
        (step.snapshot.generation(), number(&step.snapshot, "a")),
        (2, Some(2.0))
    );
    assert!(
        replica.apply(announce(manifest(3, &third))).is_none(),
        "not confirmed before `b` is gone"
    );
    assert!(replica.is_unsettled());
    let step = replica.apply(delete("flag/b")).unwrap();
    assert_eq!(
        (
            step.snapshot.generation(),
            number(&step.snapshot, "a"),
            number(&step.snapshot, "b")
        ),
        (3, Some(3.0), None)
    );
}

#[test]
fn a7_a_broken_resource_stays_as_it_was_and_a_restart_keeps_it() {
    let mut replica = ReplicaView::default();
    let first = one(1, &[flag("a", 1.0), flag("b", 1.0)]);
    replica.relist(view(Some(manifest(1, &first)), first.clone()));
    let mut second = one(2, &[flag("a", 2.0), flag("b", 2.0), flag("c", 2.0)]);
    second.insert(
        "flag/b".into(),
        Value {
            generation: 2,
            bytes: Bytes::from_static(b"\xff\xff"),
        },
    );
    second.insert(
        "flag/c".into(),
        Value {
            generation: 2,
            bytes: Bytes::from_static(b"\xff"),
        },
    );
    let check = |steps: Vec<Step>| {
        let snapshot = &steps[0].snapshot;
        assert_eq!(
            (
                number(snapshot, "a"),
                number(snapshot, "b"),
                number(snapshot, "c")
            ),
            (Some(2.0), Some(1.0), None)
        );
        // There is a flag `c`, and no good version of it; the last good one of `b` is served.
        let quarantined = ["a", "b", "c", "d"].map(|key| snapshot.is_quarantined(key));
        assert_eq!(quarantined, [false, false, true, false]);
        assert_eq!(steps[0].rejected.len(), 2);
    };
    check(
        publication(&first, 2, &second)
            .into_iter()
            .filter_map(|event| replica.apply(event))
            .collect(),
    );
    let saved = replica.save();
    let mut restarted = ReplicaView::default();
    check(restarted.restore(saved.clone()));
    assert_eq!(restarted.save(), saved);
    let third = one(3, &[flag("a", 3.0), flag("b", 3.0)]);
    let steps: Vec<_> = publication(&second, 3, &third)
        .into_iter()
        .filter_map(|event| restarted.apply(event))
        .collect();
    assert_eq!(
        (number(&steps[0].snapshot, "b"), steps[0].rejected.len()),
        (Some(3.0), 0)
    );
    assert!(!steps[0].snapshot.is_quarantined("c"), "it is gone");
    assert!(
        restarted.save().namespaces[&Namespace::default()]
            .last_good
            .is_empty()
    );
}

#[test]
fn a7_a_broken_segment_does_not_break_the_flag_that_uses_it() {
    let with_override = |number| {
        let Published::Flag(mut flag) = flag("a", number) else {
            panic!("a flag")
        };
        let segment = SegmentKey::new("s").unwrap();
        flag.segment_overrides = vec![assay_core::flag::SegmentOverride {
            segment,
            value: Served::Number(9.0),
        }];
        Published::Flag(flag)
    };
    let mut replica = ReplicaView::default();
    let first = one(1, &[with_override(1.0), segment(1, vec![0.0, 10.0])]);
    replica.relist(view(Some(manifest(1, &first)), first.clone()));
    // Bytes of a newer release, under the key of a new version.
    let mut second = one(2, &[with_override(2.0)]);
    second.insert(
        "segment/s@2".into(),
        Value {
            generation: 2,
            bytes: Bytes::from_static(b"\xff"),
        },
    );
    let steps: Vec<_> = publication(&first, 2, &second)
        .into_iter()
        .filter_map(|event| replica.apply(event))
        .collect();
    let snapshot = &steps[0].snapshot;
    let attributes = Attributes::from([("level".into(), 5.0.into())]);
    let answer = assign(snapshot, "a", None, &attributes, Timestamp::default());
    assert_eq!(
        (answer.reason, answer.value),
        (Reason::Override, Some(&Served::Number(9.0)))
    );
    assert_eq!(number(snapshot, "a"), Some(2.0));
}

/// Segment `outer` in `version`, which nests segment `s` in the same version.
fn nesting(version: u64) -> Published {
    let Published::Segment(inner) = segment(version, vec![]) else {
        panic!("a segment")
    };
    let reference = SegmentReference {
        key: inner.key.clone(),
        pinned: None,
        resolved: version,
    };
    Published::Segment(Segment {
        key: SegmentKey::new("outer").unwrap(),
        rules: vec![Condition::Segment(reference)],
        ..inner
    })
}

#[test]
fn a7_a_broken_nested_segment_does_not_break_what_nests_it() {
    let with_override = |number| {
        let Published::Flag(mut flag) = flag("a", number) else {
            panic!("a flag")
        };
        flag.segment_overrides = vec![assay_core::flag::SegmentOverride {
            segment: SegmentKey::new("outer").unwrap(),
            value: Served::Number(9.0),
        }];
        Published::Flag(flag)
    };
    let mut replica = ReplicaView::default();
    let first = one(1, &[with_override(1.0), nesting(1), segment(1, vec![0.0, 10.0])]);
    replica.relist(view(Some(manifest(1, &first)), first.clone()));
    // The nested one is broken in the version that the new outer one needs.
    let second = one(2, &[with_override(2.0), nesting(2), segment(2, vec![10.0, 0.0])]);
    let steps: Vec<_> = publication(&first, 2, &second)
        .into_iter()
        .filter_map(|event| replica.apply(event))
        .collect();
    let snapshot = &steps[0].snapshot;
    let given = |level: f64| {
        let attributes = Attributes::from([("level".into(), level.into())]);
        assign(snapshot, "a", None, &attributes, Timestamp::default())
            .value
            .cloned()
    };
    assert_eq!(given(5.0), Some(Served::Number(9.0)));
    assert_eq!(given(11.0), Some(Served::Number(2.0)));
    let mut rejected: Vec<_> = steps[0].rejected.iter().map(|r| r.resource.as_str()).collect();
    rejected.sort_unstable();
    assert_eq!(rejected, ["segment outer", "segment s"]);
}

#[test]
fn values_under_a_foreign_key_or_namespace_are_rejected() {
    let mut replica = ReplicaView::default();
    let content = Content::from([("flag/z".to_owned(), value(1, &flag("a", 1.0)))]);
    let steps = replica.relist(view(Some(manifest(1, &content)), content));
    assert_eq!(steps[0].rejected[0].resource, "flag z");
    assert_eq!(number(&steps[0].snapshot, "a"), None);
}
