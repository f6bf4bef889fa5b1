//! Laws of changes.

use std::sync::Arc;

use assay_core::{lifecycle::State, time::Timestamp};

use super::{
    change, commit, committed, create, generation, namespace,
    samples::{described, experiment, flag},
    update,
};
use crate::{
    Error,
    config_store::{ConfigStore, Kind, Resource, Write},
};

/// A change leaves its resources, one audit row and one outbox row; a refused one leaves nothing, whichever write was refused.
pub async fn a_change_happens_whole_or_not_at_all(store: &dyn ConfigStore) {
    let here = namespace("law-whole");
    let first = committed(
        store,
        &here,
        vec![create(flag(&here, "a")), create(flag(&here, "b"))],
    )
    .await;
    assert_eq!((first.generation, first.resources.len()), (1, 2));
    let outbox = store.unpublished().await.expect("unpublished");
    let row = outbox
        .iter()
        .find(|row| row.namespace == here)
        .expect("an outbox row");
    assert_eq!((row.generation, row.since), (1, Timestamp::from_micros(1_000)));

    for last in [
        create(flag(&here, "a")),
        update(flag(&here, "b"), 7),
        Write::Check {
            kind: Kind::Flag,
            key: "b".into(),
            version: 2,
        },
        Write::Delete {
            kind: Kind::Flag,
            key: "none".into(),
            version: 1,
        },
    ] {
        let writes = vec![
            create(flag(&here, "c")),
            update(described(&here, "a", "new"), 1),
            Write::Delete {
                kind: Kind::Flag,
                key: "b".into(),
                version: 1,
            },
            last,
        ];
        commit(store, &here, writes)
            .await
            .expect_err("the last write does not fit");
        assert_eq!(generation(store, &here).await, 1);
        assert_eq!(store.get(&here, Kind::Flag, "c").await.expect("get"), None);
        assert_eq!(
            store.get(&here, Kind::Flag, "a").await.expect("get").as_ref(),
            first.resources.first()
        );
        assert!(store.get(&here, Kind::Flag, "b").await.expect("get").is_some());
        assert_eq!(store.audit(&here, None, None, 10).await.expect("audit").len(), 1);
    }

    let writes = vec![
        update(described(&here, "a", "new"), 1),
        Write::Delete {
            kind: Kind::Flag,
            key: "b".into(),
            version: 1,
        },
    ];
    let second = store
        .commit(change(&here, 2_000, writes))
        .await
        .expect("the change fits");
    assert_eq!(second.generation, 2);
    assert_eq!(store.get(&here, Kind::Flag, "b").await.expect("get"), None);
    let audit = store
        .audit(&here, Some("law/check"), None, 10)
        .await
        .expect("audit");
    let generations: Vec<_> = audit
        .iter()
        .map(|entry| (entry.generation, entry.at.micros()))
        .collect();
    assert_eq!(generations, [(2, 2_000), (1, 1_000)]);
    let latest = audit.first().expect("two entries");
    assert_eq!(
        (latest.audit.actor.as_str(), latest.audit.action.as_str()),
        ("tester", "law.check")
    );
    let before: serde_json::Value = serde_json::from_str(&latest.before).expect("JSON");
    let after: serde_json::Value = serde_json::from_str(&latest.after).expect("JSON");
    assert_eq!(
        (
            before["flag/a"]["description"].as_str(),
            after["flag/a"]["description"].as_str()
        ),
        (Some(""), Some("new"))
    );
    assert!(before["flag/b"].is_object() && after["flag/b"].is_null());
}

/// Who names another version than the stored one loses, and is told which one is stored.
pub async fn stale_writers_lose(store: &dyn ConfigStore) {
    let here = namespace("law-stale");
    committed(store, &here, vec![create(flag(&here, "a"))]).await;
    committed(store, &here, vec![update(described(&here, "a", "second"), 1)]).await;
    for write in [
        update(described(&here, "a", "late"), 1),
        Write::Delete {
            kind: Kind::Flag,
            key: "a".into(),
            version: 1,
        },
        Write::Check {
            kind: Kind::Flag,
            key: "a".into(),
            version: 1,
        },
    ] {
        let error = commit(store, &here, vec![write]).await.expect_err("stale");
        assert!(
            matches!(
                error,
                Error::Stale {
                    expected: 1,
                    found: 2,
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let error = commit(store, &here, vec![create(flag(&here, "a"))])
        .await
        .expect_err("exists");
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error:?}");
    let error = commit(store, &here, vec![update(flag(&here, "b"), 1)])
        .await
        .expect_err("missing");
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    let error = commit(
        store,
        &here,
        vec![Write::Delete {
            kind: Kind::Segment,
            key: "a".into(),
            version: 2,
        }],
    )
    .await;
    assert!(
        matches!(error, Err(Error::NotFound { .. })),
        "another kind: {error:?}"
    );
    assert_eq!(generation(store, &here).await, 2);
}

/// A check writes nothing, and makes a change fail when what was read has changed.
pub async fn checks_guard_a_change(store: &dyn ConfigStore) {
    let here = namespace("law-check");
    let made = committed(
        store,
        &here,
        vec![create(flag(&here, "read")), create(flag(&here, "written"))],
    )
    .await;
    let check = Write::Check {
        kind: Kind::Flag,
        key: "read".into(),
        version: 1,
    };
    let done = committed(
        store,
        &here,
        vec![check.clone(), update(flag(&here, "written"), 1)],
    )
    .await;
    assert_eq!((done.generation, done.resources.len()), (2, 1));
    assert_eq!(
        store.get(&here, Kind::Flag, "read").await.expect("get").as_ref(),
        made.resources.first()
    );
    committed(store, &here, vec![update(flag(&here, "read"), 1)]).await;
    let error = commit(store, &here, vec![check, update(flag(&here, "written"), 2)])
        .await
        .expect_err("stale");
    assert!(matches!(error, Error::Stale { .. }), "{error:?}");
}

/// A change cannot write into another namespace, and numbers that are none cannot be stored.
pub async fn foreign_resources_are_refused(store: &dyn ConfigStore) {
    let here = namespace("law-foreign");
    let there = namespace("law-foreign-other");
    let error = commit(store, &here, vec![create(flag(&there, "a"))])
        .await
        .expect_err("foreign");
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    let mut odd = experiment(&here, "odd", "f", State::Draft);
    odd.confidence = f64::NAN;
    let error = commit(store, &here, vec![create(Resource::Experiment(odd))])
        .await
        .expect_err("not a number");
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert_eq!(
        (generation(store, &here).await, generation(store, &there).await),
        (0, 0)
    );
}

/// Of many who write the same version of a resource at once, exactly one succeeds; the others are stale.
pub async fn of_concurrent_writers_one_wins(store: &Arc<dyn ConfigStore>) {
    let here = namespace("law-race");
    committed(&**store, &here, vec![create(flag(&here, "a"))]).await;
    for version in 1..=3 {
        let writers = (0..8).map(|i| {
            let (store, here) = (Arc::clone(store), here.clone());
            tokio::spawn(async move {
                commit(
                    &*store,
                    &here,
                    vec![update(described(&here, "a", &format!("writer {i}")), version)],
                )
                .await
            })
        });
        let results = futures::future::join_all(writers).await;
        let (won, lost): (Vec<_>, Vec<_>) = results
            .into_iter()
            .map(|result| result.expect("no panic"))
            .partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        assert!(
            lost.iter()
                .all(|result| matches!(result, Err(Error::Stale { .. }))),
            "{lost:?}"
        );
        let winner = won
            .into_iter()
            .next()
            .and_then(Result::ok)
            .expect("one")
            .resources;
        assert_eq!(
            store.get(&here, Kind::Flag, "a").await.expect("get").as_ref(),
            winner.first()
        );
    }
}
