//! Laws of live experiments: a flag has one at most.

use std::sync::Arc;

use assay_core::{experiment::AssignmentSource, lifecycle::State};

use super::{commit, committed, create, generation, namespace, samples::experiment, update};
use crate::{
    Error,
    config_store::{ConfigStore, Resource},
};

/// A second experiment cannot reserve a flag: the error names the one that has it. Drafts, completed and imported ones do not count.
pub async fn a_flag_has_one_live_experiment(store: &dyn ConfigStore) {
    let here = namespace("law-live");
    let make = |key: &str, state| create(Resource::Experiment(experiment(&here, key, "gate", state)));
    committed(
        store,
        &here,
        vec![make("first", State::Scheduled), make("draft", State::Draft)],
    )
    .await;
    let error = commit(store, &here, vec![make("second", State::Running)])
        .await
        .expect_err("taken");
    assert!(
        matches!(&error, Error::Taken { what, by } if what.contains("gate") && by.contains("first")),
        "{error:?}"
    );
    let start = update(
        Resource::Experiment(experiment(&here, "draft", "gate", State::Running)),
        1,
    );
    let error = commit(store, &here, vec![start.clone()])
        .await
        .expect_err("taken");
    assert!(
        matches!(&error, Error::Taken { by, .. } if by.contains("first")),
        "{error:?}"
    );
    let mut imported = experiment(&here, "imported", "gate", State::Running);
    imported.source = AssignmentSource::Imported;
    let other = create(Resource::Experiment(experiment(
        &here,
        "other-flag",
        "lever",
        State::Running,
    )));
    committed(store, &here, vec![create(Resource::Experiment(imported)), other]).await;
    committed(
        store,
        &here,
        vec![update(
            Resource::Experiment(experiment(&here, "first", "gate", State::Draft)),
            1,
        )],
    )
    .await;
    committed(store, &here, vec![start]).await;
    let elsewhere = namespace("law-live-elsewhere");
    committed(
        store,
        &elsewhere,
        vec![create(Resource::Experiment(experiment(
            &elsewhere,
            "first",
            "gate",
            State::Running,
        )))],
    )
    .await;
}

/// One change may end a live experiment and begin another on its flag, in whatever order it lists them.
pub async fn a_live_experiment_can_be_replaced(store: &dyn ConfigStore) {
    let here = namespace("law-replace");
    let make = |key: &str, state| Resource::Experiment(experiment(&here, key, "gate", state));
    committed(
        store,
        &here,
        vec![create(make("a", State::Running)), create(make("b", State::Draft))],
    )
    .await;
    let done = committed(
        store,
        &here,
        vec![
            update(make("b", State::Running), 1),
            update(make("a", State::Draft), 1),
        ],
    )
    .await;
    let keys: Vec<_> = done.resources.iter().map(Resource::key).collect();
    assert_eq!(keys, ["b", "a"], "resources come back in the order of their puts");
    let error = commit(
        store,
        &here,
        vec![
            create(make("c", State::Running)),
            create(make("d", State::Running)),
        ],
    )
    .await;
    assert!(matches!(error, Err(Error::Taken { .. })), "{error:?}");
}

/// Of many experiments that are started on one flag at once, exactly one is.
pub async fn of_concurrent_live_experiments_one_wins(store: &Arc<dyn ConfigStore>) {
    let here = namespace("law-live-race");
    let starters = (0..8).map(|i| {
        let (store, here) = (Arc::clone(store), here.clone());
        tokio::spawn(async move {
            let running = experiment(&here, &format!("e{i}"), "gate", State::Running);
            commit(&*store, &here, vec![create(Resource::Experiment(running))]).await
        })
    });
    let results = futures::future::join_all(starters).await;
    let (won, lost): (Vec<_>, Vec<_>) = results
        .into_iter()
        .map(|result| result.expect("no panic"))
        .partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(
        lost.iter()
            .all(|result| matches!(result, Err(Error::Taken { .. }))),
        "{lost:?}"
    );
    assert_eq!(generation(&**store, &here).await, 1);
}
