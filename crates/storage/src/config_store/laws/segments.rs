//! Laws of segments: every version is kept.

use assay_core::{
    key::{Namespace, SegmentKey},
    lifecycle::State,
    segment::{Condition, Operator, Rule, Segment, SegmentReference},
};

use super::{
    commit, committed, create, namespace,
    samples::{experiment, flag, full},
    update,
};
use crate::{
    Error,
    config_store::{ConfigStore, Kind, Resource, Write},
};

/// Segment `key` with a rule that says `text`, and the `nested` ones.
fn segment(namespace: &Namespace, key: &str, text: &str, nested: &[(&str, u64)]) -> Resource {
    let sample = full(namespace).into_iter().find_map(|resource| match resource {
        Resource::Segment(segment) => Some(segment),
        _ => None,
    });
    let rule = Condition::Rule(Rule {
        attribute: "x".into(),
        operator: Operator::Eq,
        operands: vec![text.into()],
    });
    let reference = |(key, version): &(&str, u64)| {
        Condition::Segment(SegmentReference {
            key: SegmentKey::new(*key).expect("a key"),
            pinned: None,
            resolved: *version,
        })
    };
    Resource::Segment(Segment {
        key: SegmentKey::new(key).expect("a key"),
        rules: std::iter::once(rule)
            .chain(nested.iter().map(reference))
            .collect(),
        ..sample.expect("one of the samples is a segment")
    })
}

/// A version of a segment is read as it was stored, for ever; a segment that is created anew goes on with the next version.
pub async fn every_version_of_a_segment_is_kept(store: &dyn ConfigStore) {
    let here = namespace("law-revisions");
    let mut stored = committed(store, &here, vec![create(segment(&here, "s", "first", &[]))])
        .await
        .resources;
    let second = update(segment(&here, "s", "second", &[]), 1);
    stored.extend(committed(store, &here, vec![second]).await.resources);
    let delete = Write::Delete {
        kind: Kind::Segment,
        key: "s".into(),
        version: 2,
    };
    committed(store, &here, vec![delete]).await;
    stored.extend(
        committed(store, &here, vec![create(segment(&here, "s", "anew", &[]))])
            .await
            .resources,
    );
    for (version, stored) in (1..).zip(&stored) {
        assert_eq!(stored.meta().version, version);
        let read = store.segment_version(&here, "s", version).await.expect("read");
        assert_eq!(read.map(Resource::Segment).as_ref(), Some(stored));
    }
    for (key, version) in [("s", 0), ("s", 4), ("t", 1)] {
        assert_eq!(
            store.segment_version(&here, key, version).await.expect("read"),
            None
        );
    }
    let elsewhere = namespace("law-revisions-other");
    assert_eq!(
        store.segment_version(&elsewhere, "s", 1).await.expect("read"),
        None
    );
}

/// What is published has the versions that live experiments have pinned, and those that they nest, in the generation of each.
pub async fn published_has_every_version_that_is_needed(store: &dyn ConfigStore) {
    let here = namespace("law-needed");
    let first = vec![
        create(flag(&here, "f")),
        create(segment(&here, "inner", "first", &[])),
        create(segment(&here, "outer", "first", &[("inner", 1)])),
        create(segment(&here, "unused", "first", &[])),
    ];
    committed(store, &here, first).await;
    let second = vec![
        update(segment(&here, "inner", "second", &[]), 1),
        update(segment(&here, "outer", "second", &[("inner", 2)]), 1),
        update(segment(&here, "unused", "second", &[]), 1),
    ];
    committed(store, &here, second).await;
    let mut pinning = experiment(&here, "e", "f", State::Running);
    pinning.segment = Some(SegmentKey::new("outer").expect("a key"));
    pinning.segment_version = Some(1);
    committed(store, &here, vec![create(Resource::Experiment(pinning.clone()))]).await;
    let versions = |resources: &[Resource]| {
        let segments = resources
            .iter()
            .filter(|resource| resource.kind() == Kind::Segment);
        let mut found: Vec<_> = segments
            .map(|it| format!("{}@{} of {}", it.key(), it.meta().version, it.meta().generation))
            .collect();
        found.sort();
        found
    };
    let published = store.published(&here).await.expect("published");
    let expected = [
        "inner@1 of 1",
        "inner@2 of 2",
        "outer@1 of 1",
        "outer@2 of 2",
        "unused@2 of 2",
    ];
    assert_eq!(versions(&published.resources), expected);

    pinning.state = State::Draft;
    committed(store, &here, vec![update(Resource::Experiment(pinning), 1)]).await;
    let published = store.published(&here).await.expect("published");
    assert_eq!(
        versions(&published.resources),
        ["inner@2 of 2", "outer@2 of 2", "unused@2 of 2"]
    );
}

/// A change that names the generation it was decided at fails when anything of the namespace has changed since.
pub async fn a_change_can_name_its_generation(store: &dyn ConfigStore) {
    let here = namespace("law-moved");
    let at = |generation| Write::At { generation };
    committed(store, &here, vec![at(0), create(flag(&here, "a"))]).await;
    let error = commit(store, &here, vec![create(flag(&here, "b")), at(0)])
        .await
        .expect_err("moved");
    assert!(
        matches!(
            error,
            Error::Moved {
                expected: 0,
                found: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(store.get(&here, Kind::Flag, "b").await.expect("get"), None);
    let done = committed(store, &here, vec![at(1), create(flag(&here, "b"))]).await;
    assert_eq!(done.generation, 2);
}
