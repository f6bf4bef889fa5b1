//! Laws of replicas.

use std::{collections::BTreeMap, time::Duration};

use assay_core::{key::Namespace, time::Timestamp};
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Truth, read};
use crate::{
    Error,
    config_bus::{ConfigBus, LEASE, Replica, Served},
};

fn replica(id: &str, generation: u64) -> Replica {
    let namespace = Namespace::new("law-replicas").expect("key");
    let since = Timestamp::from_micros(i64::try_from(generation).expect("small") * 1_000);
    let served = Served {
        generation,
        since,
        settled: generation / 2,
    };
    Replica {
        id: id.to_owned(),
        served: BTreeMap::from([(namespace, served)]),
    }
}

async fn say(bus: &dyn ConfigBus, replica: &Replica) {
    bus.acknowledge(replica).await.expect("acknowledge");
}

/// The replicas of one law, by the beginning of their ids.
async fn list(bus: &dyn ConfigBus, law: &str) -> Vec<Replica> {
    let mut all = bus.replicas().await.expect("list");
    all.retain(|replica| replica.id.starts_with(law));
    all
}

/// Each replica stands there as it said last, in order of id, whatever the others say; who leaves is gone at once.
pub async fn replicas_stand_as_they_said_last(bus: &dyn ConfigBus) {
    let (one, two) = (replica("said.1", 3), replica("said.2", 4));
    say(bus, &two).await;
    say(bus, &one).await;
    say(bus, &one).await;
    assert_eq!(list(bus, "said").await, [one.clone(), two.clone()]);
    let later = replica("said.1", 5);
    say(bus, &later).await;
    assert_eq!(list(bus, "said").await, [later.clone(), two]);
    bus.leave("said.2").await.expect("leave");
    bus.leave("said.2").await.expect("leave again");
    bus.leave("said.never").await.expect("leave without coming");
    assert_eq!(list(bus, "said").await, [later]);
    let again = replica("said.2", 6);
    say(bus, &again).await;
    assert_eq!(
        list(bus, "said").await.last(),
        Some(&again),
        "who left can come again"
    );
    for odd in ["", "a/b", "a b", &"x".repeat(129)] {
        let error = bus.acknowledge(&replica(odd, 1)).await.expect_err("no id");
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    }
}

/// Who says nothing for a lease is gone soon after and not before; who goes on saying the same stays.
pub async fn a_silent_replica_is_gone_when_its_lease_ends(bus: &dyn ConfigBus) {
    let (silent, alive) = (replica("lease.silent", 1), replica("lease.alive", 1));
    say(bus, &alive).await;
    let said = Instant::now();
    say(bus, &silent).await;
    while list(bus, "lease").await.contains(&silent) {
        assert!(said.elapsed() < PATIENCE, "it never goes");
        say(bus, &alive).await;
        sleep(Duration::from_millis(50)).await;
    }
    assert!(
        said.elapsed() > LEASE - Duration::from_millis(200),
        "{:?}",
        said.elapsed()
    );
    assert_eq!(list(bus, "lease").await, [alive], "renewed, it stays");
    say(bus, &silent).await;
    assert_eq!(list(bus, "lease").await.len(), 2, "it can come again");
}

/// What replicas say is no configuration: no read sees it, and no position moves for the namespaces.
pub async fn replicas_are_no_configuration(bus: &dyn ConfigBus) {
    let mut truth = Truth::new("law-replicas");
    truth.publish(bus, 1, &["flag/a"], &[]).await;
    say(bus, &replica("apart", 1)).await;
    let view = read(bus).await;
    truth.assert_is(&view.namespaces[&truth.namespace]);
    assert_eq!(list(bus, "apart").await.len(), 1);
}
