//! What is read back: sums, due times, assignments, counts, many units.

use assay_core::{
    key::{FlagKey, Unit},
    record::Sighting,
    time::Timestamp,
};

use super::{change, commit, counted, experiment, exposure, namespace, next_commit, sums, unit};
use crate::analysis_store::{AnalysisStore, Commit, Due, Sums, Tally, UnitChange, UnitState};

/// Sums of values and of squares far beyond 64 bits are exact, over commits and partitions, and come back to nothing.
pub async fn sums_are_exact_beyond_64_bits(store: &dyn AnalysisStore) {
    let value = i64::MAX / 4;
    let who: Vec<_> = (0..20).map(|index| unit("wide", index.to_string())).collect();
    for (index, one) in who.iter().enumerate() {
        let added = vec![counted(one, if index % 4 == 3 { -value } else { value })];
        commit(
            store,
            7 + (index as u32 % 2),
            vec![UnitChange {
                added,
                ..change(one.clone())
            }],
        )
        .await;
    }
    let value = i128::from(value);
    assert_eq!(
        sums(store, "wide").await,
        [Sums {
            n: 20,
            nonzero: 20,
            sum: 10 * value,
            sum_squares: 20 * value * value
        }]
    );
    for (index, one) in who.iter().enumerate() {
        let [state] = &store.units(std::slice::from_ref(one)).await.expect("units")[..] else {
            panic!("one unit")
        };
        let retracted = state.contributions.clone();
        commit(
            store,
            7 + (index as u32 % 2),
            vec![UnitChange {
                retracted,
                ..change(one.clone())
            }],
        )
        .await;
    }
    assert_eq!(
        sums(store, "wide").await,
        [],
        "a cell that all units left is no cell"
    );
}

/// Due times come earliest first, up to an instant and a limit, of one partition alone; removed ones are gone; added twice is once.
pub async fn dues_come_in_order_and_go(store: &dyn AnalysisStore) {
    let at = Timestamp::from_micros;
    let due = |id: &str, time| Due {
        at: at(time),
        unit: unit("due", id),
    };
    let wait = |id: &str, times: &[i64]| UnitChange {
        dues_added: times.iter().map(|time| at(*time)).collect(),
        ..change(unit("due", id))
    };
    commit(
        store,
        9,
        vec![wait("b", &[30, 10]), wait("a", &[20, 10]), wait("c", &[-5])],
    )
    .await;
    commit(store, 9, vec![wait("b", &[10])]).await;
    commit(store, 10, vec![wait("other", &[1])]).await;
    let all = [
        due("c", -5),
        due("a", 10),
        due("b", 10),
        due("a", 20),
        due("b", 30),
    ];
    assert_eq!(store.due(9, Timestamp::MAX, 99).await.expect("due"), all);
    assert_eq!(store.due(9, at(10), 99).await.expect("due"), all[..3]);
    assert_eq!(store.due(9, at(9), 99).await.expect("due"), all[..1]);
    assert_eq!(store.due(9, Timestamp::MAX, 2).await.expect("due"), all[..2]);
    assert_eq!(
        store.units(&[unit("due", "a")]).await.expect("units")[0].dues,
        [at(10), at(20)]
    );
    let later = UnitChange {
        dues_removed: vec![at(10), at(20)],
        dues_added: vec![at(20)],
        ..change(unit("due", "a"))
    };
    commit(store, 9, vec![later]).await;
    assert_eq!(
        store.due(9, Timestamp::MAX, 99).await.expect("due"),
        [due("c", -5), due("b", 10), due("a", 20), due("b", 30)]
    );
}

/// Pages of assignments follow the order of units by bytes, without gaps or repetition; one unit can be asked for.
pub async fn assignments_are_paged(store: &dyn AnalysisStore) {
    let ids = ["B", "a", "a b", "ä", "🎮", "Z", "10", "9", "é\"\\"];
    let mut changes: Vec<_> = ids
        .iter()
        .map(|id| UnitChange {
            exposures: vec![exposure("control", 1, 5)],
            ..change(unit("paged", *id))
        })
        .collect();
    changes[1].exposures = vec![
        exposure("treatment", 2, 9),
        exposure("control", 1, 7),
        exposure("treatment", 1, 7),
    ];
    let device = assay_core::key::UnitKind::new("device").expect("kind");
    changes[2].unit.unit = Unit::new(device, "z").expect("unit");
    let elsewhere = UnitChange {
        exposures: vec![exposure("control", 1, 5)],
        ..change(unit("paged-not", "a"))
    };
    let mut expected: Vec<_> = changes.iter().map(|change| change.unit.unit.clone()).collect();
    expected.sort();
    changes.push(elsewhere);
    commit(store, 11, changes).await;
    let (namespace, experiment) = (namespace("paged"), experiment());
    for limit in [1, 2, 3, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store
                .assignments(&namespace, &experiment, None, after.as_ref(), limit)
                .await
                .expect("assignments");
            assert!(page.len() as u64 <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.unit.clone());
            found.extend(page.into_iter().map(|row| row.unit));
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
    let one = unit("paged", "a").unit;
    let [row] = &store
        .assignments(&namespace, &experiment, Some(&one), None, 9)
        .await
        .expect("assignments")[..]
    else {
        panic!("one unit")
    };
    assert_eq!(row.unit, one);
    assert_eq!(
        row.exposures,
        [
            exposure("control", 1, 7),
            exposure("treatment", 1, 7),
            exposure("treatment", 2, 9)
        ]
    );
    let nobody = unit("paged", "nobody").unit;
    assert_eq!(
        store
            .assignments(&namespace, &experiment, Some(&nobody), None, 9)
            .await
            .expect("assignments"),
        []
    );
}

/// Counts add up over commits, partitions, and repetition within one commit; namespaces have their own.
pub async fn tallies_add_up(store: &dyn AnalysisStore) {
    let tally = |n: u64| Tally {
        duplicates: n,
        conflicts: 10 * n,
        late: 100 * n,
        invalid: 1000 * n,
        before_counting: 10_000 * n,
        older_generation: 100_000 * n,
    };
    for partition in [12, 13, 12] {
        let mut commit = next_commit(store, partition, Vec::new()).await;
        commit.tallies = vec![
            (namespace("tally"), tally(1)),
            (namespace("tally-2"), tally(5)),
            (namespace("tally"), tally(2)),
        ];
        store.commit(commit).await.expect("commit");
    }
    assert_eq!(store.tally(&namespace("tally")).await.expect("tally"), tally(9));
    assert_eq!(
        store.tally(&namespace("tally-2")).await.expect("tally"),
        tally(15)
    );
}

/// Thousands of units in one commit and one read, asked for in any order, also twice.
pub async fn many_units_at_once(store: &dyn AnalysisStore) {
    const UNITS: i64 = 5_000;
    let who = |index: i64| unit("many", format!("unit-{index}"));
    let changes = (0..UNITS)
        .map(|index| {
            let (exposures, added) = (
                vec![exposure("control", 1, index)],
                vec![counted(&who(index), index)],
            );
            UnitChange {
                exposures,
                added,
                ..change(who(index))
            }
        })
        .collect();
    commit(store, 14, changes).await;
    let mut asked: Vec<_> = (0..UNITS).rev().map(who).collect();
    asked.extend([unit("many", "nobody"), who(7)]);
    let states = store.units(&asked).await.expect("units");
    assert_eq!(states.len(), asked.len());
    for (index, state) in (0..UNITS).rev().zip(&states) {
        assert_eq!(state.exposures, [exposure("control", 1, index)]);
        assert_eq!(state.contributions, [counted(&who(index), index)]);
    }
    assert_eq!(states[UNITS as usize], UnitState::default());
    assert_eq!(states[UNITS as usize + 1], states[(UNITS - 1 - 7) as usize]);
    let sum = i128::from(UNITS * (UNITS - 1) / 2);
    let sum_squares = i128::from((UNITS - 1) * UNITS * (2 * UNITS - 1) / 6);
    assert_eq!(
        sums(store, "many").await,
        [Sums {
            n: UNITS,
            nonzero: UNITS - 1,
            sum,
            sum_squares
        }]
    );
}

/// Of each caller of each key the latest time is kept, whatever comes in which order; the latest come first.
pub async fn callers_are_kept_with_their_latest_time(store: &dyn AnalysisStore) {
    let here = namespace("callers");
    let seen = |caller: &str, key: &str, at: i64| Sighting {
        namespace: here.clone(),
        key: FlagKey::new(key).expect("laws name their keys well"),
        caller: caller.to_owned(),
        seen_at: Timestamp::from_micros(at),
    };
    let both = ["gate", "lever"].map(|key| FlagKey::new(key).expect("laws name their keys well"));
    let day = 86_400_000_000;
    for (partition, callers) in [
        (
            0,
            vec![
                seen("shop", "gate", 5),
                seen("shop", "gate", 7),
                seen("a\0b", "lever", 6),
            ],
        ),
        (
            1,
            vec![
                seen("shop", "gate", 6),
                seen("app", "gate", 6),
                seen("app", "other", 9),
            ],
        ),
    ] {
        let commit = Commit {
            callers,
            ..next_commit(store, partition, Vec::new()).await
        };
        store.commit(commit).await.expect("commit");
    }
    let read = async |since: i64, limit| {
        let since = Timestamp::from_micros(since);
        store.callers(&here, &both, since, limit).await.expect("callers")
    };
    let all = [
        seen("shop", "gate", 7),
        seen("app", "gate", 6),
        seen("a\u{fffd}b", "lever", 6),
    ];
    assert_eq!(read(0, 10).await, all);
    assert_eq!(read(7, 10).await, all[..1]);
    assert_eq!(read(0, 2).await, all[..2]);
    let none = store
        .callers(&here, &[], Timestamp::MIN, 10)
        .await
        .expect("callers");
    assert_eq!(none, []);
    let later = Commit {
        callers: vec![seen("late", "gate", 40 * day)],
        ..next_commit(store, 0, Vec::new()).await
    };
    store.commit(later).await.expect("commit");
    assert_eq!(
        read(0, 10).await,
        [seen("late", "gate", 40 * day)],
        "what is long ago is forgotten"
    );
}
