//! Laws of generations and of the outbox.

use std::{collections::BTreeSet, sync::Arc};

use assay_core::lifecycle::State;

use super::{
    change, committed, create, generation, namespace,
    samples::{described, experiment, flag},
    update,
};
use crate::config_store::{ConfigStore, Kind, Resource, Write};

/// Changes made at once get generations without a gap or a repetition, each namespace its own.
pub async fn generations_grow_by_one(store: &Arc<dyn ConfigStore>) {
    let spaces = [namespace("law-generation-a"), namespace("law-generation-b")];
    let writers = (0..24).map(|i| {
        let (store, here) = (Arc::clone(store), spaces[i % 2].clone());
        tokio::spawn(
            async move { committed(&*store, &here, vec![create(flag(&here, &format!("f{i}")))]).await },
        )
    });
    let mut seen = BTreeSet::new();
    for done in futures::future::join_all(writers).await {
        let done = done.expect("no panic");
        let resource = done.resources.first().expect("one resource");
        assert_eq!(resource.meta().generation, done.generation);
        seen.insert((resource.namespace().clone(), done.generation));
    }
    let expected = spaces
        .iter()
        .flat_map(|here| (1..=12).map(|generation| (here.clone(), generation)));
    assert_eq!(seen, expected.collect());
    assert_eq!(generation(&**store, &spaces[0]).await, 12);
}

/// A mark removes what it covers: a change made meanwhile stays unpublished.
pub async fn marks_remove_what_was_published(store: &dyn ConfigStore) {
    let here = namespace("law-mark");
    for (i, at) in [(0, 5_000), (1, 4_000), (2, 6_000)] {
        store
            .commit(change(&here, at, vec![create(flag(&here, &format!("f{i}")))]))
            .await
            .expect("the change fits");
    }
    let find = async || {
        store
            .unpublished()
            .await
            .expect("unpublished")
            .into_iter()
            .find(|row| row.namespace == here)
    };
    assert_eq!(
        find().await.map(|row| (row.generation, row.since.micros())),
        Some((3, 4_000))
    );
    store.mark_published(&here, 2).await.expect("mark");
    store
        .mark_published(&here, 1)
        .await
        .expect("an older mark changes nothing");
    assert_eq!(
        find().await.map(|row| (row.generation, row.since.micros())),
        Some((3, 6_000))
    );
    store.mark_published(&here, 3).await.expect("mark");
    assert_eq!(find().await, None);
    store
        .mark_published(&namespace("law-mark-never-seen"), 3)
        .await
        .expect("nothing to mark");
}

/// A generation can be raised, never lowered; the next change goes on from there.
pub async fn a_generation_can_be_raised(store: &dyn ConfigStore) {
    let here = namespace("law-raise");
    store
        .raise_generation(&here, 41)
        .await
        .expect("raise a namespace that was never changed");
    assert_eq!(generation(store, &here).await, 41);
    store
        .raise_generation(&here, 7)
        .await
        .expect("an older one changes nothing");
    assert_eq!(
        committed(store, &here, vec![create(flag(&here, "a"))])
            .await
            .generation,
        42
    );
    store.raise_generation(&here, 50).await.expect("raise");
    assert_eq!(store.published(&here).await.expect("published").generation, 50);
    let unpublished = store.unpublished().await.expect("unpublished");
    assert_eq!(
        unpublished
            .iter()
            .find(|row| row.namespace == here)
            .map(|row| row.generation),
        Some(50)
    );
}

/// What has changed is what was written or removed since, as it is now, and nothing else.
pub async fn changes_are_those_since(store: &dyn ConfigStore) {
    let here = namespace("law-changed");
    let writes = ["a", "b", "c"].map(|key| create(flag(&here, key)));
    committed(store, &here, writes.into()).await;
    let since = generation(store, &here).await;
    let changed = async |since| {
        let changed = store.changed(&here, since).await.expect("changed");
        let changed = changed.expect("little has changed");
        let keys: Vec<_> = changed.resources.iter().map(|r| r.key().to_owned()).collect();
        (changed.generation, keys, changed.gone)
    };
    assert_eq!(changed(since).await, (since, vec![], vec![]));

    committed(store, &here, vec![update(described(&here, "b", "newer"), 1)]).await;
    let draft = experiment(&here, "draft", "a", State::Draft);
    let writes = vec![
        Write::Delete {
            kind: Kind::Flag,
            key: "c".into(),
            version: 1,
        },
        create(Resource::Experiment(draft)),
    ];
    let last = committed(store, &here, writes).await.generation;
    let gone = vec![(Kind::Flag, "c".to_owned())];
    let written = vec!["b".to_owned(), "draft".to_owned()];
    assert_eq!(changed(since).await, (last, written, gone.clone()));
    assert_eq!(changed(last - 1).await, (last, vec!["draft".to_owned()], gone));

    committed(store, &here, vec![create(flag(&here, "c"))]).await;
    let found = store
        .changed(&here, since)
        .await
        .expect("changed")
        .expect("little");
    assert_eq!(found.gone, []);
    let now = store.published(&here).await.expect("published");
    for resource in &found.resources {
        let expected = resource.kind() != Kind::Experiment;
        assert_eq!(now.resources.contains(resource), expected, "{}", resource.key());
    }

    let many = (0..200).map(|i| create(flag(&here, &format!("f{i}")))).collect();
    committed(store, &here, many).await;
    assert_eq!(store.changed(&here, since).await.expect("changed"), None);
}
