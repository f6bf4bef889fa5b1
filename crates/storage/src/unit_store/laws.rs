//! What every [`UnitStore`] does.

use std::sync::Arc;

use assay_core::{
    key::{ExperimentKey, Namespace, Unit, VariantKey},
    memory::Remembered,
};

use super::{MAX_BATCH, Place, UnitStore};

const WELL: &str = "laws are well formed";

fn place(unit: &str, experiment: &str) -> Place {
    Place {
        namespace: Namespace::default(),
        unit: Unit::user(unit).expect(WELL),
        experiment: ExperimentKey::new(experiment).expect(WELL),
    }
}

fn remembered(variant: &str, cohort: u32) -> Remembered {
    Remembered {
        variant: VariantKey::new(variant).expect(WELL),
        cohort,
    }
}

/// All laws, on an empty store.
pub async fn all(store: Arc<dyn UnitStore>) {
    the_first_stays(&*store).await;
    places_are_apart(&*store).await;
    batches_keep_their_order(&*store).await;
    of_concurrent_puts_one_is_first(store).await;
}

async fn the_first_stays(store: &dyn UnitStore) {
    let here = place("first", "a");
    assert_eq!(store.get(std::slice::from_ref(&here)).await.expect("get"), [None]);
    let put = store.put_if_absent(&[(here.clone(), remembered("on", 1))]).await;
    assert_eq!(put.expect("put"), [remembered("on", 1)]);
    let again = store.put_if_absent(&[(here.clone(), remembered("off", 2))]).await;
    assert_eq!(again.expect("put"), [remembered("on", 1)]);
    assert_eq!(
        store.get(&[here]).await.expect("get"),
        [Some(remembered("on", 1))]
    );
}

async fn places_are_apart(store: &dyn UnitStore) {
    let shop = Place {
        namespace: Namespace::new("shop").expect(WELL),
        ..place("apart", "a")
    };
    let places = [
        place("apart", "a"),
        place("apart", "b"),
        place("{apart}/ключ 🎮", "a"),
        shop,
    ];
    for (i, place) in places.iter().enumerate() {
        let first = remembered(&format!("v{i}"), 1);
        store.put_if_absent(&[(place.clone(), first)]).await.expect("put");
    }
    let found = store.get(&places).await.expect("get");
    let expected: Vec<_> = (0..places.len())
        .map(|i| Some(remembered(&format!("v{i}"), 1)))
        .collect();
    assert_eq!(found, expected);
}

async fn batches_keep_their_order(store: &dyn UnitStore) {
    assert_eq!(store.get(&[]).await.expect("get"), []);
    assert_eq!(store.put_if_absent(&[]).await.expect("put"), []);
    let first = |i: usize| (place(&format!("batch-{i}"), "a"), remembered(&format!("v{i}"), 3));
    let odd: Vec<_> = (0..MAX_BATCH).filter(|i| i % 2 == 1).map(first).collect();
    store.put_if_absent(&odd).await.expect("put");
    let places: Vec<_> = (0..MAX_BATCH).map(|i| first(i).0).collect();
    let found = store.get(&places).await.expect("get");
    for (i, found) in found.iter().enumerate() {
        assert_eq!(*found, (i % 2 == 1).then(|| first(i).1));
    }
    // A place that stands twice in a batch has one first.
    let twice = [
        (place("twice", "a"), remembered("on", 1)),
        (place("twice", "a"), remembered("off", 1)),
    ];
    let kept = store.put_if_absent(&twice).await.expect("put");
    assert_eq!(kept, [remembered("on", 1), remembered("on", 1)]);
}

async fn of_concurrent_puts_one_is_first(store: Arc<dyn UnitStore>) {
    let puts = (0..8).map(|i| {
        let store = store.clone();
        tokio::spawn(async move {
            let mine = (place("race", "a"), remembered(&format!("v{i}"), i));
            store.put_if_absent(&[mine]).await.expect("put").remove(0)
        })
    });
    let mut kept = Vec::new();
    for put in puts.collect::<Vec<_>>() {
        kept.push(put.await.expect("no panic"));
    }
    assert!(kept.windows(2).all(|pair| pair[0] == pair[1]), "{kept:?}");
    assert_eq!(store.get(&[place("race", "a")]).await.expect("get"), [kept.pop()]);
}
