//! Laws of watches.

use std::{future::Future, sync::Arc};

use futures::StreamExt;

use super::{PATIENCE, Truth, Watcher, apply, read, read_of, revision_of, whole};
use crate::config_bus::{BusEvent, ConfigBus, NamespaceView};

/// A watch yields a publication's writes, then its removals, and its manifest last.
pub async fn a_publication_is_watched_in_order(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-order");
    truth.publish(bus, 1, &["flag/old", "flag/kept"], &[]).await;
    let view = read(bus).await;
    let mut watcher = Watcher::open(bus, &truth.namespace, view.revision).await;
    let step = truth
        .publish(bus, 2, &["flag/b", "flag/a", "flag/kept"], &["flag/old"])
        .await;
    truth.publish(bus, 3, &["flag/a"], &[]).await;

    let mut written = vec![];
    for expected in ["flag/a", "flag/b", "flag/kept"] {
        let BusEvent::Put { key, value, .. } = watcher.next().await else {
            panic!("a put of {expected}")
        };
        assert_eq!(step.puts.get(&key), Some(&value));
        written.push(key);
    }
    written.sort();
    assert_eq!(written, ["flag/a", "flag/b", "flag/kept"]);
    assert!(matches!(watcher.next().await, BusEvent::Delete { key, .. } if key == "flag/old"));
    assert!(matches!(watcher.next().await, BusEvent::Manifest { manifest, .. } if manifest == step.manifest));
    assert!(matches!(watcher.next().await, BusEvent::Put { value, .. } if value.generation == 3));
    let BusEvent::Manifest {
        manifest, revision, ..
    } = watcher.next().await
    else {
        panic!("a manifest")
    };
    assert_eq!((manifest.generation, revision), (3, read(bus).await.revision));
}

/// Two watchers see the same.
pub async fn every_watcher_sees_everything(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-watchers");
    let start = read(bus).await.revision;
    let mut early = Watcher::open(bus, &truth.namespace, start).await;
    truth.publish(bus, 1, &["flag/a", "flag/b"], &[]).await;
    let mut late = Watcher::open(bus, &truth.namespace, start).await;
    truth.publish(bus, 2, &["flag/b"], &["flag/a"]).await;
    assert_eq!(early.until(2).await, late.until(2).await);
}

/// A watch from the revision of a manifest yields exactly what came after it; from any other event's, nothing is missing.
pub async fn a_watch_resumes_after_any_position(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-resume");
    let start = read(bus).await.revision;
    for generation in 1..=5 {
        let deletes: &[&str] = if generation % 2 == 0 { &["flag/b"] } else { &[] };
        let puts: &[&str] = if generation % 2 == 0 {
            &["flag/a"]
        } else {
            &["flag/a", "flag/b", "flag/c"]
        };
        truth.publish(bus, generation, puts, deletes).await;
    }
    let all = Watcher::open(bus, &truth.namespace, start).await.until(5).await;
    assert!(all.iter().map(revision_of).is_sorted());
    for (i, event) in all.iter().enumerate().take(all.len() - 1) {
        let rest = Watcher::open(bus, &truth.namespace, revision_of(event))
            .await
            .until(5)
            .await;
        assert!(all.ends_with(&rest), "from {event:?}: {rest:?}");
        assert!(
            rest.len() >= all.len() - i - 1,
            "something is missing after {event:?}"
        );
        if matches!(event, BusEvent::Manifest { .. }) {
            assert_eq!(
                rest.len(),
                all.len() - i - 1,
                "something is repeated after {event:?}"
            );
        }
    }
}

/// Whoever starts from a read, applies every event and believes digests alone, sees whole generations, none older than one seen before, and
/// comes to the last one, however publications and the read overlap.
pub async fn a_watcher_that_checks_digests_sees_whole_generations(bus: &Arc<dyn ConfigBus>) {
    let truth = Truth::new("law-whole");
    let publisher = {
        let (bus, mut truth) = (Arc::clone(bus), truth.clone());
        tokio::spawn(async move {
            for generation in 1..=40 {
                let keys: Vec<String> = (0..=generation % 3).map(|i| format!("flag/{i}")).collect();
                let gone = format!("flag/{}", generation % 3 + 1);
                truth
                    .publish(&*bus, generation, &super::strs(&keys), &[&gone])
                    .await;
                tokio::task::yield_now().await;
            }
            truth
        })
    };
    let view = read(&**bus).await;
    let mut seen = view.namespaces.get(&truth.namespace).cloned().unwrap_or_default();
    let mut watcher = Watcher::open(&**bus, &truth.namespace, view.revision).await;
    let mut believed = seen.manifest.as_ref().map_or(0, |manifest| manifest.generation);
    while believed < 40 {
        apply(&mut seen, watcher.next().await);
        let Some(manifest) = seen.manifest.as_ref().filter(|_| whole(&seen)) else {
            continue;
        };
        assert!(manifest.generation >= believed);
        believed = manifest.generation;
    }
    let truth = publisher.await.expect("no panic");
    truth.assert_is(&seen);
    truth.assert_is(&read_of(&**bus, &truth.namespace).await);
}

/// Who comes from a bus that was ahead of this one is told to read everything again.
pub async fn a_position_that_never_was_relists(bus: &dyn ConfigBus) {
    let truth = Truth::new("law-future");
    let revision = read(bus).await.revision;
    let mut watcher = Watcher::open(bus, &truth.namespace, revision + 1_000_000).await;
    assert_eq!(watcher.next().await, BusEvent::Relist);
    assert_ends(watcher).await;
}

/// Who comes from before the loss of history is told to read everything again; who does, goes on from there.
pub async fn a_lost_history_relists<F: Future<Output = ()>>(bus: &dyn ConfigBus, forget: impl FnOnce() -> F) {
    let mut truth = Truth::new("law-history");
    truth.publish(bus, 1, &["flag/a"], &[]).await;
    let old = read(bus).await.revision;
    truth.publish(bus, 2, &["flag/a"], &[]).await;
    truth.publish(bus, 3, &["flag/a"], &[]).await;
    forget().await;
    let mut watcher = Watcher::open(bus, &truth.namespace, old).await;
    assert_eq!(watcher.next().await, BusEvent::Relist);
    assert_ends(watcher).await;

    let view = read(bus).await;
    let mut seen: NamespaceView = view
        .namespaces
        .get(&truth.namespace)
        .cloned()
        .expect("what is there is still there");
    truth.assert_is(&seen);
    let mut watcher = Watcher::open(bus, &truth.namespace, view.revision).await;
    truth.publish(bus, 4, &["flag/b"], &[]).await;
    for event in watcher.until(4).await {
        apply(&mut seen, event);
    }
    truth.assert_is(&seen);
}

async fn assert_ends(mut watcher: Watcher) {
    let end = tokio::time::timeout(PATIENCE, watcher.stream.next())
        .await
        .expect("an end in time");
    assert!(end.is_none(), "the stream ends after Relist");
}
