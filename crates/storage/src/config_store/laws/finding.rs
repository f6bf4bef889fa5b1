//! Laws of finding experiments: by what is written in them, and by what the clock is to do.

use assay_core::{
    experiment::Experiment,
    key::Namespace,
    lifecycle::{PauseMode, State},
    time::Timestamp,
};

use super::{
    committed, create, namespace,
    samples::{experiment, flag},
    update,
};
use crate::config_store::{ConfigStore, DueMark, Filter, Kind, Resource, Write};

/// Experiments are found by owner, by all of several tags, and by words that their texts begin with; in the version that is stored.
pub async fn experiments_are_found_by_owner_tags_and_words(store: &dyn ConfigStore) {
    let here = namespace("law-find");
    let make = |key: &str, owner: &str, tags: &[&str], hypothesis: &str| Experiment {
        owner: owner.to_owned(),
        tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
        hypothesis: hypothesis.to_owned(),
        ..experiment(&here, key, key, State::Draft)
    };
    let all = [
        make("gate-40", "ann", &["q4", "gates"], "Later gates keep players"),
        make("price", "bob", &["q4"], "Höhere Preise bringen mehr 100%"),
        make("title", "", &["\0", "Q4"], ""),
    ];
    let writes = all.iter().cloned().map(|e| create(Resource::Experiment(e)));
    committed(store, &here, writes.collect()).await;
    let other = namespace("law-find-elsewhere");
    let elsewhere = Experiment {
        namespace: other.clone(),
        ..all[0].clone()
    };
    committed(store, &other, vec![create(Resource::Experiment(elsewhere))]).await;

    let find = async |owner: &str, tags: &[&str], text: &str| {
        let filter = Filter {
            owner: (!owner.is_empty()).then(|| owner.to_owned()),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            text: text.to_owned(),
            ..Filter::default()
        };
        let page = store.list(&here, Kind::Experiment, &filter, None, 10).await;
        owned(&page.expect("list").resources)
    };
    assert_eq!(find("ann", &[], "").await, ["gate-40"]);
    assert_eq!(find("an", &[], "").await, [""; 0], "an owner is a whole name");
    assert_eq!(find("", &["q4"], "").await, ["gate-40", "price"]);
    assert_eq!(find("", &["q4", "gates"], "").await, ["gate-40"]);
    assert_eq!(find("", &["\0"], "").await, ["title"]);
    assert_eq!(find("bob", &["gates"], "").await, [""; 0]);
    assert_eq!(
        find("", &[], "PLAY gat").await,
        ["gate-40"],
        "in whatever case and order"
    );
    assert_eq!(find("", &[], "höh").await, ["price"]);
    assert_eq!(
        find("", &[], "ates").await,
        [""; 0],
        "a word is found by its beginning"
    );
    assert_eq!(
        find("", &[], "q4").await,
        ["gate-40", "price", "title"],
        "tags are words, too"
    );
    assert_eq!(
        find("", &[], " %_' ").await,
        ["gate-40", "price", "title"],
        "no word asks for nothing"
    );

    let renamed = Experiment {
        hypothesis: "Doors".to_owned(),
        ..all[0].clone()
    };
    committed(store, &here, vec![update(Resource::Experiment(renamed), 1)]).await;
    assert_eq!(find("", &[], "doors").await, ["gate-40"]);
    assert_eq!(find("", &[], "players").await, [""; 0]);
    let (kind, key) = (Kind::Experiment, "gate-40".to_owned());
    committed(
        store,
        &here,
        vec![Write::Delete {
            kind,
            key,
            version: 2,
        }],
    )
    .await;
    committed(
        store,
        &here,
        vec![create(Resource::Experiment(make("gate-40", "", &[], "")))],
    )
    .await;
    assert_eq!(
        find("ann", &[], "").await,
        [""; 0],
        "nothing is left of one that was deleted"
    );
}

/// Of the keys that are asked for, those that exist are read, each once, in order.
pub async fn many_are_read_by_key(store: &dyn ConfigStore) {
    let here = namespace("law-many");
    let writes = ["b", "a", "c"].map(|key| create(flag(&here, key)));
    committed(store, &here, writes.into()).await;
    let asked = ["c", "nope", "a", "c"].map(str::to_owned);
    let found = store.get_all(&here, Kind::Flag, &asked).await.expect("read");
    assert_eq!(keys(&found), ["a", "c"]);
    let none = store
        .get_all(&here, Kind::Experiment, &asked)
        .await
        .expect("read");
    assert_eq!(keys(&none), [""; 0]);
    assert_eq!(store.get_all(&here, Kind::Flag, &[]).await.expect("read"), []);
}

/// What is due is found over all namespaces, the longest overdue first, page by page; what was done is due no more.
pub async fn what_is_due_is_found_in_order(store: &dyn ConfigStore) {
    let (here, there) = (namespace("law-due"), namespace("law-due-too"));
    let make = |namespace: &Namespace, key: &str, state, start: i64, end: i64| {
        let mut made = experiment(namespace, key, key, state);
        made.start_time = Some(Timestamp::from_micros(start));
        made.end_time = Some(Timestamp::from_micros(end));
        Resource::Experiment(made)
    };
    let paused = State::Paused(PauseMode::ServeDefault);
    let first = [
        make(&here, "b", State::Scheduled, 5, 9),
        make(&here, "a", State::Running, 1, 5),
        make(&here, "draft", State::Draft, 1, 2),
        make(&here, "later", paused.clone(), 1, 8),
    ];
    committed(store, &here, first.into_iter().map(create).collect()).await;
    let second = [
        make(&there, "a", paused, 1, 5),
        make(&there, "c", State::Running, 1, 3),
    ];
    committed(store, &there, second.into_iter().map(create).collect()).await;

    let due = async |now: i64, page: u64| {
        let (mut found, mut mark): (Vec<String>, Option<DueMark>) = (vec![], None);
        loop {
            let due = store.due(Timestamp::from_micros(now), mark.as_ref(), page).await;
            let due = due.expect("due");
            assert!(due.len() as u64 <= page);
            let Some(last) = due.last() else { return found };
            mark = Some(DueMark {
                at: last.due_at().expect("it is due"),
                namespace: last.namespace().clone(),
                key: last.key().to_owned(),
            });
            let ours = due
                .iter()
                .filter(|it| it.namespace() == &here || it.namespace() == &there);
            found.extend(ours.map(|it| format!("{}/{}", it.namespace(), it.key())));
        }
    };
    let expected = ["law-due-too/c", "law-due/a", "law-due/b", "law-due-too/a"];
    for page in [1, 2, 3, 100] {
        assert_eq!(due(5, page).await, expected, "{page} a page");
    }
    assert_eq!(due(2, 9).await, [""; 0]);
    committed(
        store,
        &here,
        vec![update(make(&here, "a", State::Draft, 1, 5), 1)],
    )
    .await;
    assert_eq!(
        due(8, 9).await,
        ["law-due-too/c", "law-due/b", "law-due-too/a", "law-due/later"]
    );
}

fn owned(resources: &[Resource]) -> Vec<String> {
    resources
        .iter()
        .map(|resource| resource.key().to_owned())
        .collect()
}

fn keys(resources: &[Resource]) -> Vec<&str> {
    resources.iter().map(Resource::key).collect()
}
