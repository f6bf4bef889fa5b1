//! What a replica says of itself on the bus.

use std::time::Duration;

use assay_core::{key::Namespace, time::Timestamp};
use assay_proto::{assignment::v1::Reason, bus::Published};
use assay_storage::config_bus::{ConfigBus, Replica};

use crate::{
    fixtures::{flag, gate},
    support::{NOW, World, eventually},
};

/// The only replica, once it says that it serves `generation` of the default namespace.
async fn acknowledged(world: &World, generation: u64) -> Replica {
    eventually(async || {
        let replicas = world.bus.replicas().await.unwrap();
        match replicas.as_slice() {
            [one] if one.served.get(&Namespace::default()).map(|s| s.generation) == Some(generation) => {
                Ok(one.clone())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn a5_what_is_served_is_acknowledged_with_the_time_of_the_swap() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let first = acknowledged(&world, 1).await;
    let since = |replica: &Replica| replica.served[&Namespace::default()].since;
    assert_eq!(since(&first), Timestamp::from_micros(NOW));
    world.clock.advance(Duration::from_secs(5));
    world
        .bus
        .publish("default", 2, &[Published::Flag(flag("gate"))])
        .await;
    let second = acknowledged(&world, 2).await;
    assert_eq!(
        running.one("u1", "gate").await.unwrap().generation,
        2,
        "acknowledged is served"
    );
    assert_eq!(second.id, first.id);
    assert_eq!(
        since(&second),
        Timestamp::from_micros(NOW).plus(Duration::from_secs(5))
    );
    world.bus.publish("shop", 1, &gate()).await;
    eventually(async || {
        let replica = acknowledged(&world, 2).await;
        let served: Vec<_> = replica.served.keys().map(Namespace::as_str).collect();
        if served == ["default", "shop"] {
            Ok(())
        } else {
            Err(format!("{served:?}"))
        }
    })
    .await;
    assert_eq!(
        acknowledged(&world, 2).await.served[&Namespace::default()],
        second.served[&Namespace::default()]
    );
    running.stop().await;
    assert_eq!(
        world.bus.replicas().await.unwrap(),
        [],
        "who ends in order leaves at once"
    );
}

#[tokio::test]
async fn a8_a_replica_without_configuration_says_nothing() {
    let world = World::new().await;
    let mut running = world.start().await;
    eventually(async || match running.one("u1", "gate").await {
        Err(status) if status.message().contains("no configuration") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(world.bus.replicas().await.unwrap(), []);
    running.stop().await;
}

#[tokio::test]
async fn a1_an_outage_of_the_bus_delays_the_acknowledgement_and_no_answer() {
    let world = World::with_gate().await;
    let mut running = world.serving(1).await;
    let before = acknowledged(&world, 1).await;
    world.bus.cut(true);
    world.bus.leave_by_hand(&before.id).await;
    for _ in 0..50 {
        assert_eq!(running.one("u1", "gate").await.unwrap().reason(), Reason::Split);
    }
    assert_eq!(world.bus.replicas().await.unwrap(), []);
    world.bus.cut(false);
    assert_eq!(
        acknowledged(&world, 1).await,
        before,
        "the same is said again, with its old time"
    );
    running.stop().await;
}

#[tokio::test]
async fn two_lives_have_two_names() {
    let world = World::with_gate().await;
    let running = world.serving(1).await;
    let first = acknowledged(&world, 1).await;
    running.kill().await;
    let running = world.serving(1).await;
    eventually(async || {
        let replicas = world.bus.replicas().await.unwrap();
        if replicas.len() == 2 {
            Ok(())
        } else {
            Err(format!("{replicas:?}"))
        }
    })
    .await;
    world.bus.leave_by_hand(&first.id).await;
    assert_ne!(acknowledged(&world, 1).await.id, first.id);
    running.stop().await;
}
