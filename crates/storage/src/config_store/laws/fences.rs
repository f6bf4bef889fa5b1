//! Laws of fences.

use std::{sync::Arc, time::Duration};

use assay_core::{
    experiment::{AssignmentSource, Experiment},
    key::Namespace,
    lifecycle::State,
    time::Timestamp,
};

use super::{committed, create, namespace, samples, update};
use crate::config_store::{ConfigStore, Counting, Fence, Publishing, Resource, Start};

fn publishing(namespace: &Namespace, generation: u64, at: i64) -> Publishing {
    Publishing {
        namespace: namespace.clone(),
        generation,
        published_at: Timestamp::from_micros(at),
        expected: vec!["one".to_owned(), "two \"2\"".to_owned()],
    }
}

fn fence(at: i64, unconfirmed: &[&str]) -> Fence {
    Fence {
        at: Timestamp::from_micros(at),
        replicas: 2,
        slowest: Duration::from_micros(7),
        unconfirmed: unconfirmed.iter().map(ToString::to_string).collect(),
    }
}

async fn opened(store: &dyn ConfigStore, namespace: &Namespace) -> Vec<Publishing> {
    let mut all = store.open_fences().await.expect("read");
    all.retain(|publishing| publishing.namespace == *namespace);
    all
}

/// A fence is opened once and closed once, each by who comes first; until then it is found among those that are open.
pub async fn the_first_fence_stands(store: &dyn ConfigStore) {
    let here = namespace("law-fence-first");
    let (first, second) = (publishing(&here, 3, 10), publishing(&here, 5, 20));
    store.open_fence(&second).await.expect("open");
    store.open_fence(&first).await.expect("open");
    store.open_fence(&publishing(&here, 3, 99)).await.expect("again");
    assert_eq!(opened(store, &here).await, [first.clone(), second.clone()]);
    store
        .close_fence(&here, 3, &fence(15, &["one"]))
        .await
        .expect("close");
    store.close_fence(&here, 3, &fence(16, &[])).await.expect("again");
    store.close_fence(&here, 4, &fence(17, &[])).await.expect("none");
    store.open_fence(&publishing(&here, 3, 99)).await.expect("known");
    assert_eq!(opened(store, &here).await, std::slice::from_ref(&second));
    let known = store.fence(&here, 1).await.expect("read");
    assert_eq!(
        known,
        Some((first, Some(fence(15, &["one"])))),
        "of the first from there on"
    );
    assert_eq!(store.fence(&here, 4).await.expect("read"), Some((second, None)));
    assert_eq!(store.fence(&here, 6).await.expect("read"), None);
    assert_eq!(
        store.fence(&namespace("law-fence-other"), 1).await.expect("read"),
        None
    );
}

fn experiment(namespace: &Namespace, key: &str, state: State) -> Experiment {
    samples::experiment(namespace, key, key, state)
}

async fn start(store: &dyn ConfigStore, namespace: &Namespace, key: &str) -> Option<Start> {
    let keys = [key.to_owned(), "law-nothing".to_owned()];
    let mut found = store.starts(namespace, &keys).await.expect("read");
    assert!(found.len() <= 1);
    found.pop()
}

/// An experiment counts from the first fence at or after the generation that began it, whatever becomes of it later.
pub async fn an_experiment_counts_from_the_fence_of_its_start(store: &dyn ConfigStore) {
    let here = namespace("law-fence-start");
    let put = |key: &str, state| create(Resource::Experiment(experiment(&here, key, state)));
    committed(store, &here, vec![put("a", State::Draft)]).await;
    assert_eq!(start(store, &here, "a").await, None, "a draft has not begun");
    let running = Resource::Experiment(experiment(&here, "a", State::Running));
    let begun = committed(store, &here, vec![update(running.clone(), 1)])
        .await
        .generation;
    let waiting = Start {
        experiment: "a".to_owned(),
        generation: begun,
        counting: None,
    };
    assert_eq!(start(store, &here, "a").await, Some(waiting.clone()));
    let imported = Experiment {
        source: AssignmentSource::Imported,
        ..experiment(&here, "imported", State::Running)
    };
    committed(store, &here, vec![create(Resource::Experiment(imported))]).await;
    assert_eq!(start(store, &here, "imported").await, None, "it has no fence");

    let close = async |generation: u64, at: i64, unconfirmed: &[&str]| {
        store
            .open_fence(&publishing(&here, generation, at))
            .await
            .expect("open");
        store
            .close_fence(&here, generation, &fence(at, unconfirmed))
            .await
            .expect("close");
    };
    close(begun - 1, 50, &[]).await;
    assert_eq!(
        start(store, &here, "a").await,
        Some(waiting.clone()),
        "that was before"
    );
    close(begun + 1, 60, &["two"]).await;
    let counting = Some(Counting {
        from: Timestamp::from_micros(60),
        unconfirmed: vec!["two".to_owned()],
    });
    let counts = Some(Start { counting, ..waiting });
    assert_eq!(start(store, &here, "a").await, counts);
    committed(store, &here, vec![update(running, 2)]).await;
    close(begun + 5, 70, &[]).await;
    assert_eq!(start(store, &here, "a").await, counts, "once for all");
}

/// Of many that close one fence one wins, and the experiment counts from what is stored.
pub async fn of_concurrent_fences_one_stands(store: &Arc<dyn ConfigStore>) {
    let here = namespace("law-fence-race");
    let running = Resource::Experiment(experiment(&here, "a", State::Running));
    let begun = committed(&**store, &here, vec![create(running)]).await.generation;
    store
        .open_fence(&publishing(&here, begun, 1))
        .await
        .expect("open");
    let mut closing = tokio::task::JoinSet::new();
    for at in 0..8 {
        let (store, here) = (Arc::clone(store), here.clone());
        closing.spawn(async move { store.close_fence(&here, begun, &fence(100 + at, &[])).await });
    }
    while let Some(closed) = closing.join_next().await {
        closed.expect("no panic").expect("close");
    }
    let (_, known) = store.fence(&here, begun).await.expect("read").expect("opened");
    let start = start(&**store, &here, "a").await.expect("it has begun");
    assert_eq!(
        start.counting.map(|counting| counting.from),
        known.map(|fence| fence.at)
    );
}
