//! Laws of reads.

use std::{collections::BTreeSet, sync::Arc};

use assay_core::{
    key::Namespace,
    lifecycle::{Outcome, State},
    time::Timestamp,
};

use super::{
    change, committed, create, generation, namespace,
    samples::{described, experiment, flag, full},
    update,
};
use crate::config_store::{ConfigStore, Filter, Kind, Page, Resource};

/// What was committed is read back exactly, with the version, generation and times that the store has set.
pub async fn a_committed_change_is_read_at_once(store: &dyn ConfigStore) {
    let here = namespace("law-read");
    let wanted = full(&here);
    let made = store
        .commit(change(&here, 10, wanted.iter().cloned().map(create).collect()))
        .await
        .expect("the change fits");
    assert_eq!((made.generation, made.resources.len()), (1, wanted.len()));
    let again = store
        .commit(change(
            &here,
            20,
            wanted.iter().cloned().map(|it| update(it, 1)).collect(),
        ))
        .await
        .expect("the change fits");
    for (mut wanted, stored) in wanted.into_iter().zip(&again.resources) {
        let meta = stored.meta();
        assert_eq!((meta.version, meta.generation), (2, 2));
        assert_eq!(
            (meta.created_at, meta.updated_at),
            (Timestamp::from_micros(10), Timestamp::from_micros(20))
        );
        *wanted.meta_mut() = *meta;
        assert_eq!(&wanted, stored);
        let read = store.get(&here, stored.kind(), stored.key()).await.expect("get");
        assert_eq!(read.as_ref(), Some(stored));
    }
    let elsewhere = namespace("law-read-elsewhere");
    assert_eq!(
        store.get(&elsewhere, Kind::Flag, "full.flag").await.expect("get"),
        None
    );
    assert_eq!(
        store.get(&here, Kind::Metric, "full.flag").await.expect("get"),
        None
    );
}

async fn pages(
    store: &dyn ConfigStore,
    here: &Namespace,
    kind: Kind,
    filter: &Filter,
    limit: u64,
) -> Vec<Page> {
    let mut pages: Vec<Page> = vec![];
    loop {
        let after = pages.last().and_then(|page| page.next.clone());
        let page = store
            .list(here, kind, filter, after.as_deref(), limit)
            .await
            .expect("list");
        let done = page.next.is_none();
        pages.push(page);
        assert!(pages.len() < 100, "the pages do not end");
        if done {
            return pages;
        }
    }
}

fn keys(pages: &[Page]) -> Vec<String> {
    pages
        .iter()
        .flat_map(|page| &page.resources)
        .map(|resource| resource.key().to_owned())
        .collect()
}

/// Pages of every size cover everything exactly once, in order of the keys' bytes.
pub async fn paging_covers_everything_once(store: &dyn ConfigStore) {
    let here = namespace("law-paging");
    let wanted: BTreeSet<String> = ["B", "a", "a.b", "a-b", "a_b", "Z", "z", "0", "ab", "10", "9"]
        .map(str::to_owned)
        .into();
    let writes = wanted.iter().rev().map(|key| create(flag(&here, key))).collect();
    committed(store, &here, writes).await;
    for limit in [1, 2, 5, 10, 11, 12, 1_000] {
        let pages = pages(store, &here, Kind::Flag, &Filter::default(), limit).await;
        assert!(pages.iter().all(|page| page.resources.len() as u64 <= limit));
        assert!(keys(&pages).iter().eq(&wanted), "{:?}", keys(&pages));
        assert_eq!(
            pages.len() as u64,
            11_u64.div_ceil(limit),
            "no empty page at the end"
        );
    }
    let none = pages(
        store,
        &namespace("law-paging-empty"),
        Kind::Flag,
        &Filter::default(),
        3,
    )
    .await;
    assert!(keys(&none).is_empty());
}

/// Experiments are found by state and flag; archived ones only when asked for.
pub async fn lists_filter_experiments(store: &dyn ConfigStore) {
    let here = namespace("law-filter");
    let archived = State::Archived {
        outcome: Outcome::NoWinner,
        ended: false,
    };
    let make =
        |key: &str, flag: &str, state| create(Resource::Experiment(experiment(&here, key, flag, state)));
    let writes = vec![
        make("archived", "gate", archived),
        make("draft", "lever", State::Draft),
        make("ended", "gate", State::Ended(Outcome::Pending)),
        make("running", "gate", State::Running),
        create(flag(&here, "gate")),
    ];
    committed(store, &here, writes).await;
    let list = async |states: &[&str], flag: Option<&str>| {
        let filter = Filter {
            states: states.iter().map(|&state| state.to_owned()).collect(),
            flag: flag.map(str::to_owned),
            ..Filter::default()
        };
        keys(&pages(store, &here, Kind::Experiment, &filter, 2).await)
    };
    assert_eq!(list(&[], None).await, ["draft", "ended", "running"]);
    assert_eq!(
        list(&["ARCHIVED", "RUNNING"], None).await,
        ["archived", "running"]
    );
    assert_eq!(list(&[], Some("gate")).await, ["ended", "running"]);
    assert_eq!(list(&["DRAFT"], Some("gate")).await, [""; 0]);
    let filter = Filter {
        states: vec!["RUNNING".into()],
        flag: Some("x".into()),
        owner: Some("x".into()),
        tags: vec!["x".into()],
        text: "x".into(),
    };
    assert_eq!(
        keys(&pages(store, &here, Kind::Flag, &filter, 9).await),
        ["gate"],
        "filters are for experiments only"
    );
}

/// The audit trail is read from its latest entry, page by page, of one namespace.
pub async fn audit_pages_from_the_latest(store: &dyn ConfigStore) {
    let here = namespace("law-audit");
    for i in 0..5 {
        committed(store, &here, vec![create(flag(&here, &format!("f{i}")))]).await;
    }
    let first = store.audit(&here, None, None, 3).await.expect("audit");
    let before = first.last().map(|entry| entry.id);
    let rest = store.audit(&here, None, before, 3).await.expect("audit");
    let generations: Vec<_> = first.iter().chain(&rest).map(|entry| entry.generation).collect();
    assert_eq!(generations, [5, 4, 3, 2, 1]);
    assert!(
        store
            .audit(&here, Some("law/other"), None, 3)
            .await
            .expect("audit")
            .is_empty()
    );
}

/// Flags, segments and all experiments but drafts are published, each with its own generation.
pub async fn published_leaves_out_drafts_and_metrics(store: &dyn ConfigStore) {
    let here = namespace("law-published");
    committed(store, &here, full(&here).into_iter().map(create).collect()).await;
    committed(
        store,
        &here,
        vec![update(described(&here, "full.flag", "second"), 1)],
    )
    .await;
    let published = store.published(&here).await.expect("published");
    assert_eq!((published.namespace, published.generation), (here.clone(), 2));
    let draft = |resource: &Resource| matches!(resource, Resource::Experiment(experiment) if experiment.state == State::Draft);
    let wanted = full(&here)
        .into_iter()
        .filter(|it| !matches!(it.kind(), Kind::Metric | Kind::Layer) && !draft(it));
    let wanted: BTreeSet<_> = wanted.map(|it| (it.kind(), it.key().to_owned())).collect();
    let found: BTreeSet<_> = published
        .resources
        .iter()
        .map(|it| (it.kind(), it.key().to_owned()))
        .collect();
    assert_eq!((found, published.resources.len()), (wanted.clone(), wanted.len()));
    for resource in &published.resources {
        let expected = if resource.key() == "full.flag" { 2 } else { 1 };
        assert_eq!(resource.meta().generation, expected, "{}", resource.key());
    }
    let empty = store
        .published(&namespace("law-published-empty"))
        .await
        .expect("published");
    assert_eq!((empty.generation, empty.resources.len()), (0, 0));
}

/// While others write, what is published is always the whole of one generation.
pub async fn published_sees_changes_whole(store: &Arc<dyn ConfigStore>) {
    let here = namespace("law-snapshot");
    committed(
        &**store,
        &here,
        vec![create(flag(&here, "a")), create(flag(&here, "b"))],
    )
    .await;
    let writer = {
        let (store, here) = (Arc::clone(store), here.clone());
        tokio::spawn(async move {
            for version in 1..=20 {
                let text = version.to_string();
                let writes = vec![
                    update(described(&here, "a", &text), version),
                    update(described(&here, "b", &text), version),
                ];
                committed(&*store, &here, writes).await;
            }
        })
    };
    let mut done = false;
    while !done {
        done = writer.is_finished();
        let published = store.published(&here).await.expect("published");
        let generations: Vec<_> = published
            .resources
            .iter()
            .map(|resource| resource.meta().generation)
            .collect();
        assert_eq!(generations, [published.generation; 2]);
    }
    writer.await.expect("no panic");
    assert_eq!(generation(&**store, &here).await, 21);
}

/// `default` is there before anything was written, with generation 0.
pub async fn namespaces_include_the_default(store: &dyn ConfigStore) {
    let before = store.namespaces().await.expect("namespaces");
    assert!(before.contains(&(Namespace::default(), 0)));
    assert!(before.iter().map(|(name, _)| name).is_sorted());
    committed(
        store,
        &Namespace::default(),
        vec![create(flag(&Namespace::default(), "a"))],
    )
    .await;
    assert!(
        store
            .namespaces()
            .await
            .expect("namespaces")
            .contains(&(Namespace::default(), 1))
    );
}
