//! Laws of publications.

use std::{collections::BTreeMap, sync::Arc};

use super::{Truth, Watcher, apply, names, read, read_of, strs, whole};
use crate::{Error, config_bus::ConfigBus};

/// What was published is read at once: values, generations, manifest.
pub async fn a_publication_is_read_back(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-read");
    truth.assert_is(&read_of(bus, &truth.namespace).await);
    truth
        .publish(bus, 3, &["flag/a", "flag/b", "experiment/a"], &[])
        .await;
    truth.assert_is(&read_of(bus, &truth.namespace).await);
    truth.publish(bus, 4, &["flag/a"], &[]).await;
    truth.assert_is(&read_of(bus, &truth.namespace).await);
    truth.publish(bus, 9, &[], &[]).await;
    truth.assert_is(&read_of(bus, &truth.namespace).await);
    let mut other = Truth::new("law-read.other");
    other.publish(bus, 1, &["flag/a"], &[]).await;
    other.assert_is(&read_of(bus, &other.namespace).await);
    truth.assert_is(&read_of(bus, &truth.namespace).await);
}

/// A generation cannot go back, and a key cannot be both written and removed.
pub async fn nonsense_is_refused(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-nonsense");
    truth.publish(bus, 5, &["flag/a"], &[]).await;
    let mut both = truth.clone().step(6, &["flag/a"], 1, &[]);
    both.deletes.push("flag/a".to_owned());
    for publication in [truth.clone().step(4, &["flag/a"], 1, &[]), both] {
        let error = bus.publish(publication).await.expect_err("nonsense");
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    }
    truth.assert_is(&read_of(bus, &truth.namespace).await);
}

/// Removed resources are gone; removing what is not there is no error.
pub async fn deletes_remove(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-deletes");
    truth.publish(bus, 1, &["flag/a", "flag/b"], &[]).await;
    truth
        .publish(bus, 2, &["flag/c"], &["flag/a", "flag/never"])
        .await;
    truth.assert_is(&read_of(bus, &truth.namespace).await);
    truth.publish(bus, 3, &["flag/a"], &["flag/b", "flag/c"]).await;
    truth.assert_is(&read_of(bus, &truth.namespace).await);
    truth.publish(bus, 4, &[], &["flag/a"]).await;
    truth.assert_is(&read_of(bus, &truth.namespace).await);
}

/// A publisher that does not start from the present manifest is refused, and nothing of it is seen.
pub async fn stale_publishers_are_harmless(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-stale");
    let mut early = truth.clone();
    early.generation = Some(7);
    let error = bus
        .publish(early.step(8, &["flag/a"], 1, &[]))
        .await
        .expect_err("nothing is there");
    assert!(
        matches!(
            error,
            Error::Stale {
                expected: 7,
                found: 0,
                ..
            }
        ),
        "{error:?}"
    );
    truth.assert_is(&read_of(bus, &truth.namespace).await);

    truth.publish(bus, 1, &["flag/a", "flag/b"], &[]).await;
    let behind = truth.clone();
    truth.publish(bus, 2, &["flag/a"], &[]).await;
    let many = names(300);
    let mut blind = Truth::new("law-stale");
    for publication in [
        behind.clone().step(2, &["flag/b"], 1, &[]),
        behind.clone().step(3, &["flag/c"], 1, &["flag/a"]),
        behind.clone().step(4, &strs(&many), 10_000, &[]),
        blind.step(5, &["flag/a"], 1, &[]),
    ] {
        let error = bus.publish(publication).await.expect_err("stale");
        assert!(matches!(error, Error::Stale { found: 2, .. }), "{error:?}");
        truth.assert_is(&read_of(bus, &truth.namespace).await);
    }
}

/// The present generation can be published again, to put right what somebody has changed by hand.
pub async fn a_broken_projection_can_be_repaired(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-repair");
    truth.publish(bus, 6, &["flag/a", "flag/b"], &[]).await;
    let mut broken = truth.clone();
    broken.publish(bus, 6, &["flag/c"], &["flag/a"]).await;
    assert_ne!(read_of(bus, &truth.namespace).await.resources, truth.resources);
    truth.publish(bus, 6, &["flag/a", "flag/b"], &["flag/c"]).await;
    truth.assert_is(&read_of(bus, &truth.namespace).await);
}

/// Of many publishers that start from one manifest at once, exactly one succeeds, and what is read is exactly what it wrote.
pub async fn of_concurrent_publishers_one_wins(bus: &Arc<dyn ConfigBus>) {
    let mut truth = Truth::new("law-race");
    for _ in 0..3 {
        let next = truth.generation.unwrap_or(0) + 1;
        let mut publishers = vec![];
        for i in 0..6 {
            let (bus, mut mine) = (Arc::clone(bus), truth.clone());
            let publication = mine.step(next + i, &["flag/a", "flag/b"], 10, &[]);
            publishers.push(tokio::spawn(async move {
                bus.publish(publication).await.map(|()| mine)
            }));
        }
        truth = one_winner(publishers).await;
        truth.assert_is(&read_of(&**bus, &truth.namespace).await);
    }
}

async fn one_winner(publishers: Vec<tokio::task::JoinHandle<Result<Truth, Error>>>) -> Truth {
    let mut winners = vec![];
    for publisher in publishers {
        match publisher.await.expect("no panic") {
            Ok(truth) => winners.push(truth),
            Err(error) => assert!(matches!(error, Error::Stale { .. }), "{error:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    winners.remove(0)
}

/// 500 resources of 10 kB arrive, and half of them go again.
pub async fn a_large_publication_arrives_whole(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-large");
    let start = read(bus).await.revision;
    let mut watcher = Watcher::open(bus, &truth.namespace, start).await;
    let all = names(500);
    bus.publish(truth.step(1, &strs(&all), 10_000, &[]))
        .await
        .expect("publish");
    truth.assert_is(&read_of(bus, &truth.namespace).await);
    let events = watcher.until(1).await;
    assert_eq!(events.len(), 501);
    bus.publish(truth.step(2, &["flag/f499"], 5, &strs(&all[..250])))
        .await
        .expect("publish");
    truth.assert_is(&read_of(bus, &truth.namespace).await);
    let mut seen = crate::config_bus::NamespaceView::default();
    for event in events.into_iter().chain(watcher.until(2).await) {
        apply(&mut seen, event);
    }
    while !whole(&seen) {
        apply(&mut seen, watcher.next().await);
    }
    truth.assert_is(&seen);
}

/// The same for publications that are too large for one step; the next publication makes everything right.
pub async fn of_concurrent_large_publishers_one_wins(bus: &Arc<dyn ConfigBus>) {
    let start = Truth::new("law-large-race");
    let all = names(500);
    let mut publishers = vec![];
    for i in 1..=2 {
        let (bus, mut mine) = (Arc::clone(bus), start.clone());
        let publication = mine.step(i, &strs(&all), 5_000, &[]);
        publishers.push(tokio::spawn(async move {
            bus.publish(publication).await.map(|()| mine)
        }));
    }
    let winner = one_winner(publishers).await;
    let view = read_of(&**bus, &start.namespace).await;
    assert_eq!(
        view.manifest.as_ref().map(|manifest| manifest.generation),
        winner.generation
    );
    let wrong: BTreeMap<_, _> = winner
        .resources
        .iter()
        .filter(|&(key, value)| view.resources.get(key) != Some(value))
        .collect();
    let keys: Vec<&str> = wrong.keys().map(|key| key.as_str()).collect();
    let mut repaired = winner.clone();
    repaired.publish(&**bus, 3, &keys, &[]).await;
    repaired.assert_is(&read_of(&**bus, &start.namespace).await);
}
