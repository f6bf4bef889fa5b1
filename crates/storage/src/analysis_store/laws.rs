//! What every [`AnalysisStore`] does. A law that does not hold is a panic that says which.

mod model;
mod reads;

use std::{sync::Arc, time::Duration};

use assay_core::{
    key::{ExperimentKey, MetricKey, Namespace, Unit, VariantKey},
    time::{Day, Timestamp},
};

pub use self::{
    model::{Model, Random},
    reads::*,
};
use super::{
    AnalysisStore, CellKey, Commit, Contribution, ExposureRow, Measure, Progress, Sums, Tally, UnitChange,
    UnitRef, UnitState,
};
use crate::{Error, event_log::Position};

/// All laws, on a store that nobody else uses and that was empty at first. A law uses a partition and a namespace of its own.
pub async fn all(store: Arc<dyn AnalysisStore>) {
    an_empty_store_knows_nothing(&*store).await;
    progress_is_kept(&*store).await;
    a_stale_commit_changes_nothing(&*store).await;
    one_of_many_committers_wins(store.clone()).await;
    a_commit_that_fails_late_changes_nothing(&*store).await;
    a_canceled_commit_happens_whole_or_not_at_all(store.clone()).await;
    sums_are_exact_beyond_64_bits(&*store).await;
    dues_come_in_order_and_go(&*store).await;
    assignments_are_paged(&*store).await;
    tallies_add_up(&*store).await;
    many_units_at_once(&*store).await;
    for seed in 0..4 {
        random_changes(&*store, seed).await;
    }
    callers_are_kept_with_their_latest_time(&*store).await;
}

/// A commit of `units` on partition `partition`, from what is stored now.
pub async fn next_commit(store: &dyn AnalysisStore, partition: u32, units: Vec<UnitChange>) -> Commit {
    let from = store.progress(partition + 1).await.expect("progress")[partition as usize];
    let to = Progress {
        through: Timestamp::from_micros(from.through.micros() + 1),
        ..from
    };
    Commit {
        partition,
        from,
        to,
        units,
        tallies: Vec::new(),
        callers: Vec::new(),
    }
}

async fn commit(store: &dyn AnalysisStore, partition: u32, units: Vec<UnitChange>) {
    let commit = next_commit(store, partition, units).await;
    store.commit(commit).await.expect("commit");
}

fn namespace(law: &str) -> Namespace {
    Namespace::new(law).expect("namespace")
}

fn experiment() -> ExperimentKey {
    ExperimentKey::new("gate").expect("experiment")
}

fn variant(key: &str) -> VariantKey {
    VariantKey::new(key).expect("variant")
}

fn unit(law: &str, id: impl Into<String>) -> UnitRef {
    UnitRef {
        namespace: namespace(law),
        unit: Unit::user(id).expect("unit"),
    }
}

fn change(unit: UnitRef) -> UnitChange {
    UnitChange {
        unit,
        exposures: Vec::new(),
        events: Vec::new(),
        retracted: Vec::new(),
        added: Vec::new(),
        dues_removed: Vec::new(),
        dues_added: Vec::new(),
    }
}

fn exposure(key: &str, cohort: u32, time: i64) -> ExposureRow {
    ExposureRow {
        experiment: experiment(),
        variant: variant(key),
        cohort,
        time: Timestamp::from_micros(time),
    }
}

/// `unit` counts in the metric `revenue` with `value`.
fn counted(unit: &UnitRef, value: i64) -> Contribution {
    let cell = CellKey {
        namespace: unit.namespace.clone(),
        experiment: experiment(),
        cohort: 1,
        variant: variant("control"),
        measure: Measure::Metric(MetricKey::new("revenue").expect("metric")),
        day: Day(20_000),
    };
    Contribution { cell, value }
}

async fn sums(store: &dyn AnalysisStore, law: &str) -> Vec<Sums> {
    let cells = store.cells(&namespace(law), &experiment()).await.expect("cells");
    cells.into_iter().map(|(_, sums)| sums).collect()
}

/// Nothing was ever committed: default progress, no units, no sums.
pub async fn an_empty_store_knows_nothing(store: &dyn AnalysisStore) {
    assert_eq!(
        store.progress(3).await.expect("progress"),
        [Progress::default(); 3]
    );
    assert_eq!(store.units(&[]).await.expect("units"), []);
    let asked = [unit("empty", "1"), unit("empty", "2")];
    assert_eq!(
        store.units(&asked).await.expect("units"),
        [UnitState::default(), UnitState::default()]
    );
    assert_eq!(store.due(0, Timestamp::MAX, 9).await.expect("due"), []);
    assert_eq!(sums(store, "empty").await, []);
    assert_eq!(
        store.tally(&namespace("empty")).await.expect("tally"),
        Tally::default()
    );
    let page = store
        .assignments(&namespace("empty"), &experiment(), None, None, 9)
        .await;
    assert_eq!(page.expect("assignments"), []);
}

/// A partition's progress is what its last commit said, with the next version; other partitions keep theirs.
pub async fn progress_is_kept(store: &dyn AnalysisStore) {
    let mut from = Progress::default();
    for version in 0..3u64 {
        let to = Progress {
            exposures: Position {
                major: 1_700_000_000_000 + version,
                minor: u64::MAX,
            },
            events: Position {
                major: u64::MAX,
                minor: version,
            },
            through: Timestamp::from_micros(version as i64 - 1),
            version: 77,
        };
        let commit = Commit {
            partition: 2,
            from,
            to,
            units: Vec::new(),
            tallies: Vec::new(),
            callers: Vec::new(),
        };
        store.commit(commit).await.expect("commit");
        from = Progress {
            version: version + 1,
            ..to
        };
        let expected = [
            Progress::default(),
            Progress::default(),
            from,
            Progress::default(),
        ];
        assert_eq!(store.progress(4).await.expect("progress"), expected);
    }
    assert_eq!(
        store.progress(2).await.expect("progress"),
        [Progress::default(); 2]
    );
}

/// Of two commits from one progress the second is stale, and nothing of it happens, at the first version as at later ones.
pub async fn a_stale_commit_changes_nothing(store: &dyn AnalysisStore) {
    let (one, other) = (unit("stale", "1"), unit("stale", "2"));
    for round in 0..2 {
        let mine = UnitChange {
            added: vec![counted(&one, 5)],
            ..change(one.clone())
        };
        let first = next_commit(store, 3, if round == 0 { vec![mine] } else { Vec::new() }).await;
        let late = UnitChange {
            exposures: vec![exposure("control", 1, 5)],
            added: vec![counted(&other, 7)],
            dues_added: vec![Timestamp::from_micros(9)],
            ..change(other.clone())
        };
        let tallies = vec![(
            namespace("stale"),
            Tally {
                late: 1,
                ..Tally::default()
            },
        )];
        let second = Commit {
            units: vec![late],
            tallies,
            ..first.clone()
        };
        store.commit(first.clone()).await.expect("first");
        let refused = store.commit(second).await.expect_err("second");
        let (expected, found) = (first.from.version, first.from.version + 1);
        assert!(
            matches!(&refused, Error::Stale { expected: e, found: f, .. } if (*e, *f) == (expected, found)),
            "{refused:?}"
        );
        assert_eq!(
            store.units(std::slice::from_ref(&other)).await.expect("units"),
            [UnitState::default()]
        );
        assert_eq!(
            sums(store, "stale").await,
            [Sums {
                n: 1,
                nonzero: 1,
                sum: 5,
                sum_squares: 25
            }]
        );
        assert_eq!(
            store.tally(&namespace("stale")).await.expect("tally"),
            Tally::default()
        );
        assert_eq!(store.due(3, Timestamp::MAX, 9).await.expect("due"), []);
    }
    let mut ahead = next_commit(store, 3, Vec::new()).await;
    ahead.from.version += 1;
    assert!(
        matches!(store.commit(ahead).await, Err(Error::Stale { .. })),
        "a version that was never stored"
    );
}

/// Of many readers of one partition that commit at the same time exactly one gets through.
pub async fn one_of_many_committers_wins(store: Arc<dyn AnalysisStore>) {
    for round in 0..5i64 {
        let seen = next_commit(&*store, 4, Vec::new()).await;
        let mut tasks = Vec::new();
        for reader in 0..4i64 {
            let who = unit("race", format!("{round}-{reader}"));
            let mine = UnitChange {
                added: vec![counted(&who, 1)],
                ..change(who)
            };
            let (store, commit) = (
                store.clone(),
                Commit {
                    units: vec![mine],
                    ..seen.clone()
                },
            );
            tasks.push(tokio::spawn(async move { store.commit(commit).await }));
        }
        let mut won = 0;
        for task in tasks {
            match task.await.expect("reader") {
                Ok(()) => won += 1,
                Err(error) => assert!(matches!(error, Error::Stale { .. }), "{error:?}"),
            }
        }
        assert_eq!(won, 1);
        let expected = round + 1;
        assert_eq!(
            sums(&*store, "race").await,
            [Sums {
                n: expected,
                nonzero: expected,
                sum: expected.into(),
                sum_squares: expected.into()
            }]
        );
    }
}

/// A commit whose last part cannot be written leaves no trace of its first parts: here the sum of squares would exceed 128 bits.
pub async fn a_commit_that_fails_late_changes_nothing(store: &dyn AnalysisStore) {
    let (first, second) = (unit("overflow", "1"), unit("overflow", "2"));
    let greatest = UnitChange {
        added: vec![counted(&first, i64::MIN)],
        ..change(first)
    };
    commit(store, 5, vec![greatest]).await;
    let before = store.progress(6).await.expect("progress");
    let too_much = UnitChange {
        exposures: vec![exposure("control", 1, 1)],
        added: vec![counted(&second, i64::MIN)],
        dues_added: vec![Timestamp::from_micros(1)],
        ..change(second.clone())
    };
    let refused = store.commit(next_commit(store, 5, vec![too_much]).await).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    assert_eq!(store.progress(6).await.expect("progress"), before);
    assert_eq!(
        store.units(&[second]).await.expect("units"),
        [UnitState::default()]
    );
    assert_eq!(
        sums(store, "overflow").await,
        [Sums {
            n: 1,
            nonzero: 1,
            sum: i64::MIN.into(),
            sum_squares: 1 << 126
        }]
    );
}

/// A commit whose caller goes away has happened whole or not at all, and the next commit from the same progress says which.
pub async fn a_canceled_commit_happens_whole_or_not_at_all(store: Arc<dyn AnalysisStore>) {
    for round in 0..12u64 {
        let changes: Vec<_> = (0..50)
            .map(|index| {
                let who = unit("cancel", format!("{round}-{index}"));
                let exposures = vec![exposure("control", 1, 1)];
                UnitChange {
                    exposures,
                    added: vec![counted(&who, 1)],
                    ..change(who)
                }
            })
            .collect();
        let asked: Vec<_> = changes.iter().map(|change| change.unit.clone()).collect();
        let before = sums(&*store, "cancel").await.first().map_or(0, |sums| sums.n);
        let commit = next_commit(&*store, 6, changes).await;
        // To commit from the same progress settles what became of the first: one of the two has happened.
        let again = Commit {
            units: Vec::new(),
            ..commit.clone()
        };
        let limit = Duration::from_micros(200 << (round % 6));
        let _ = tokio::time::timeout(limit, store.commit(commit)).await;
        let happened = match store.commit(again).await {
            Ok(()) => false,
            Err(Error::Stale { .. }) => true,
            Err(error) => panic!("{error:?}"),
        };
        let added = if happened { 50 } else { 0 };
        assert_eq!(
            sums(&*store, "cancel").await.first().map_or(0, |sums| sums.n),
            before + added
        );
        for state in store.units(&asked).await.expect("units") {
            assert_eq!(
                (state.exposures.len(), state.contributions.len()),
                if happened { (1, 1) } else { (0, 0) }
            );
        }
    }
}

/// After any sequence of changes the store holds what a model in memory holds, and its sums are those of the contributions.
///
/// The answer is the model, to check the store again after it was reopened.
pub async fn random_changes(store: &dyn AnalysisStore, seed: u64) -> Model {
    let mut model = Model::new(namespace(&format!("random-{seed}")));
    let mut random = Random::new(seed);
    for _ in 0..25 {
        let partition = 20 + random.below(2) as u32;
        let units = model.random_changes(&mut random, partition);
        commit(store, partition, units).await;
        model.assert_holds(store).await;
    }
    model
}
