//! Laws of generations and of the outbox.

use std::{collections::BTreeSet, sync::Arc};

use super::{change, committed, create, generation, namespace, samples::flag};
use crate::config_store::ConfigStore;

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
