//! Says of each generation when nothing of an earlier one is on its way any more: each request that began with an older snapshot has ended,
//! and what is to be remembered of it is in the unit store. Config opens a cohort when every replica has said so.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak, atomic},
    time::Duration,
};

use assay_core::snapshot::Snapshot;
use assay_platform::Shutdown;
use tokio::{sync::watch, time::sleep};

use crate::{acknowledge::Serves, memories::Written};

/// How often it is looked whether the last request has ended: they take milliseconds.
const LOOK: Duration = Duration::from_millis(5);

/// The snapshots that are served no more and with which requests may still be under way.
#[derive(Debug, Default)]
pub(crate) struct Replaced(Mutex<Vec<Weak<Snapshot>>>);

impl Replaced {
    /// Adds `snapshots`; those that nobody has any more are forgotten.
    pub(crate) fn add(&self, snapshots: Vec<Weak<Snapshot>>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|snapshot| snapshot.strong_count() > 0);
        all.extend(snapshots);
    }

    fn in_use(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|snapshot| snapshot.strong_count() > 0)
    }
}

/// Writes [`Served::settled`](assay_storage::config_bus::Served::settled) into what is `acknowledged`, until `stop`. What is served must
/// be added to `replaced` before it is acknowledged.
pub(crate) async fn settle(
    acknowledged: Arc<watch::Sender<Serves>>,
    replaced: Arc<Replaced>,
    written: Written,
    stop: Shutdown,
) {
    let mut served = acknowledged.subscribe();
    let settling = async {
        loop {
            let serves = served.borrow_and_update().clone();
            while replaced.in_use() {
                sleep(LOOK).await;
            }
            // What the last holders of a snapshot did before they let go of it comes before what we do now.
            atomic::fence(atomic::Ordering::Acquire);
            if !written.all().await {
                return;
            }
            acknowledged.send_if_modified(|now| settled(now, &serves));
            if served.changed().await.is_err() {
                return;
            }
        }
    };
    stop.or_done(settling).await;
}

/// Marks the generations of `before` as settled in what is served `now`; whether that is news.
fn settled(now: &mut Serves, before: &Serves) -> bool {
    let mut is_news = false;
    for (namespace, served) in now {
        let reached = before.get(namespace).map_or(0, |before| before.generation);
        is_news |= reached > served.settled;
        served.settled = served.settled.max(reached);
    }
    is_news
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use assay_core::{
        key::{ExperimentKey, Namespace, Unit, UnitKind, VariantKey},
        memory::Remembered,
        snapshot::Configuration,
        time::Timestamp,
    };
    use assay_storage::{
        Error,
        config_bus::Served,
        unit_store::{EmbeddedUnitStore, Place, UnitStore},
    };
    use tokio::sync::Semaphore;

    use super::*;
    use crate::memories::Memories;

    /// A store that writes when it is let.
    struct Gated(EmbeddedUnitStore, Semaphore);

    #[async_trait::async_trait]
    impl UnitStore for Gated {
        async fn get(&self, places: &[Place]) -> Result<Vec<Option<Remembered>>, Error> {
            self.0.get(places).await
        }

        async fn put_if_absent(&self, firsts: &[(Place, Remembered)]) -> Result<Vec<Remembered>, Error> {
            self.1.acquire().await.expect("open").forget();
            self.0.put_if_absent(firsts).await
        }
    }

    fn first() -> (Place, Remembered) {
        let place = Place {
            namespace: Namespace::new("default").expect("key"),
            unit: Unit::new(UnitKind::default(), "1").expect("unit"),
            experiment: ExperimentKey::new("gate-test").expect("key"),
        };
        let variant = VariantKey::new("on").expect("key");
        (place, Remembered { variant, cohort: 1 })
    }

    fn serves(generation: u64, settled: u64) -> Serves {
        let since = Timestamp::from_micros(0);
        let served = Served {
            generation,
            since,
            settled,
        };
        BTreeMap::from([(Namespace::new("default").expect("key"), served)])
    }

    #[tokio::test]
    async fn a_generation_is_settled_when_the_requests_of_the_last_have_ended_and_are_written() {
        let units = EmbeddedUnitStore::connect("sqlite::memory:")
            .await
            .expect("memory");
        let store = Arc::new(Gated(units, Semaphore::new(0)));
        let (memories, _writer) = Memories::start(store.clone());
        let (replaced, stop) = (Arc::new(Replaced::default()), Shutdown::new());
        let acknowledged = Arc::new(watch::Sender::new(serves(1, 0)));
        let task = tokio::spawn(settle(
            acknowledged.clone(),
            replaced.clone(),
            memories.written(),
            stop.clone(),
        ));
        let mut told = acknowledged.subscribe();
        told.wait_for(|now| *now == serves(1, 1))
            .await
            .expect("nothing was before");

        let (snapshot, _) = Snapshot::compile(&Configuration::default());
        let in_use = Arc::new(snapshot);
        replaced.add(vec![Arc::downgrade(&in_use)]);
        acknowledged.send_replace(serves(2, 1));
        sleep(LOOK * 10).await;
        assert_eq!(*acknowledged.borrow(), serves(2, 1), "a request is under way");

        let (place, remembered) = first();
        memories.later(place.clone(), remembered.clone());
        drop(in_use);
        sleep(LOOK * 10).await;
        assert_eq!(*acknowledged.borrow(), serves(2, 1), "its memory is not written");

        store.1.add_permits(1);
        told.wait_for(|now| *now == serves(2, 2)).await.expect("settled");
        assert_eq!(store.get(&[place]).await.expect("read"), [Some(remembered)]);
        stop.trigger();
        task.await.expect("ends when told");
    }
}
