//! Laws of history: what a generation had can be read again, whatever has happened since.

use assay_core::lifecycle::{PauseMode, State};

use super::{
    change, commit, committed, create, namespace,
    samples::{described, experiment, flag},
    update,
};
use crate::config_store::{ConfigStore, Kind, Published, Resource, Write};

/// Each generation reads as it was published: resources come, change, go, come again and leave DRAFT.
pub async fn every_generation_can_be_read_again_whole(store: &dyn ConfigStore) {
    let (here, elsewhere) = (namespace("law-history"), namespace("law-history-other"));
    let state = |state| Resource::Experiment(experiment(&here, "x", "a", state));
    let gone = |version| Write::Delete {
        kind: Kind::Flag,
        key: "b".into(),
        version,
    };
    let changes = [
        vec![create(flag(&here, "a")), create(state(State::Draft))],
        vec![create(flag(&here, "b")), update(state(State::Running), 1)],
        vec![update(described(&here, "a", "first"), 1)],
        vec![
            gone(1),
            update(described(&here, "a", "second"), 2),
            update(state(State::Paused(PauseMode::ServeDefault)), 2),
        ],
        vec![],
        vec![create(described(&here, "b", "again"))],
        vec![gone(1)],
    ];
    let mut seen: Vec<Published> = Vec::new();
    for writes in changes {
        let made = committed(store, &here, writes).await;
        committed(
            store,
            &elsewhere,
            vec![create(flag(&elsewhere, &format!("f{}", made.generation)))],
        )
        .await;
        seen.push(store.published(&here).await.expect("published"));
    }
    let failed = commit(
        store,
        &here,
        vec![update(described(&here, "a", "never"), 3), gone(9)],
    )
    .await;
    assert!(failed.is_err(), "{failed:?}");

    assert_eq!(seen.len(), 7);
    for published in seen {
        let again = store.published_at(&here, published.generation).await;
        assert_eq!(again.expect("history"), Some(published));
    }
}

/// Neither a generation to come, nor one of a change that failed, nor one that was skipped is answered for.
pub async fn a_generation_that_never_was_is_not_found(store: &dyn ConfigStore) {
    let here = namespace("law-history-gap");
    let at = async |generation| store.published_at(&here, generation).await.expect("history");
    assert_eq!(at(0).await, None);
    committed(store, &here, vec![create(flag(&here, "a"))]).await;
    commit(store, &here, vec![create(flag(&here, "a"))])
        .await
        .expect_err("it is there already");
    store.raise_generation(&here, 40).await.expect("raise");
    committed(store, &here, vec![create(flag(&here, "b"))]).await;
    let mut found = Vec::new();
    for generation in [1, 2, 40, 41, 42, u64::MAX] {
        found.push(at(generation).await.map(|published| published.resources.len()));
    }
    assert_eq!(found, [Some(1), None, None, Some(2), None, None]);
}

/// Generations are listed latest first, page by page, each with who made it.
pub async fn generations_name_the_changes_that_made_them(store: &dyn ConfigStore) {
    let here = namespace("law-history-list");
    for i in 1..=5 {
        let mut made = change(&here, i * 10, vec![create(flag(&here, &format!("f{i}")))]);
        made.audit.actor = format!("actor-{i}");
        store.commit(made).await.expect("the change fits");
    }
    let page = async |before, limit| {
        let page = store
            .generations(&here, before, limit)
            .await
            .expect("generations");
        let told = page.into_iter().map(|generation| {
            let change = generation.change.expect("each has been made by a change");
            assert_eq!(change.generation, generation.number);
            (generation.number, change.audit.actor, change.at.micros())
        });
        told.collect::<Vec<_>>()
    };
    let told = |i: i64| (i.unsigned_abs(), format!("actor-{i}"), i * 10);
    assert_eq!(page(None, 2).await, [told(5), told(4)]);
    assert_eq!(page(Some(4), 2).await, [told(3), told(2)]);
    assert_eq!(page(Some(2), 9).await, [told(1)]);
    assert_eq!(page(Some(1), 9).await, []);
    assert_eq!(
        store
            .generations(&namespace("law-history-none"), None, 9)
            .await
            .expect("none"),
        []
    );
}
