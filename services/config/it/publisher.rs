//! The bus equals the truth, whatever happens to it.

use std::sync::{Arc, atomic::Ordering};

use assay_core::key::Namespace;
use assay_proto::{
    bus::{Published, decode},
    config::v1 as pb,
};
use assay_storage::config_bus::{NamespaceView, Value};

use crate::support::{
    Service,
    bus::{HandBus, is_whole},
    eventually, make, store,
};

/// A service on a bus that the test has in its hands.
async fn start() -> (Service, HandBus) {
    let bus = HandBus::default();
    (Service::start_on(store().await, Arc::new(bus.clone())).await, bus)
}

/// Why the bus is not at the generation of the truth.
async fn equals_the_truth(service: &Service) -> Result<(), String> {
    let truth = service.store.published(&Namespace::default()).await.unwrap();
    let view = service.bus.read().await.map_err(|error| error.to_string())?;
    let held = view
        .namespaces
        .get(&Namespace::default())
        .ok_or("nothing is published")?;
    is_whole(held, truth.generation)
}

async fn settled(service: &Service) {
    eventually(|| equals_the_truth(service)).await;
}

fn keys(held: &NamespaceView) -> Vec<&str> {
    held.resources.keys().map(String::as_str).collect()
}

fn garbage() -> Value {
    Value {
        generation: 1,
        bytes: "garbage".into(),
    }
}

#[tokio::test]
async fn an_empty_truth_is_published_so_that_replicas_can_serve() {
    let (service, bus) = start().await;
    settled(&service).await;
    assert_eq!(bus.namespace("default").manifest.unwrap().generation, 0);
}

#[tokio::test]
async fn c2_each_change_reaches_the_bus_and_leaves_the_outbox() {
    let (mut service, bus) = start().await;
    service.segment(make::segment("ios", "ios")).await;
    service.running("a").await;
    service.experiment(make::draft("draft")).await;
    settled(&service).await;
    let held = bus.namespace("default");
    assert_eq!(
        keys(&held),
        ["experiment/a", "flag/a", "flag/draft", "segment/ios@1"],
        "no drafts, no metrics"
    );
    let Published::Experiment(running) = decode(&held.resources["experiment/a"].bytes).unwrap() else {
        panic!("an experiment")
    };
    assert_eq!(running.meta.generation, held.resources["experiment/a"].generation);
    eventually(|| async {
        let waiting = service.store.unpublished().await.unwrap();
        if waiting.is_empty() {
            Ok(())
        } else {
            Err(format!("{waiting:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn deleted_resources_leave_the_bus() {
    let (mut service, bus) = start().await;
    service.flag(make::flag("gate")).await;
    settled(&service).await;
    let request = pb::DeleteFlagRequest {
        key: "gate".to_owned(),
        version: 1,
        ..Default::default()
    };
    service.flags.delete_flag(request).await.unwrap();
    settled(&service).await;
    assert!(keys(&bus.namespace("default")).is_empty());
}

#[tokio::test]
async fn a_pinned_version_of_a_segment_stays_published() {
    let (mut service, bus) = start().await;
    let segment = service.segment(make::segment("ios", "ios")).await;
    service.metric(make::retention("retention_7")).await;
    let ready = pb::Experiment {
        segment_key: "ios".to_owned(),
        ..make::ready("a")
    };
    let draft = service.experiment(ready).await;
    service.try_start(&draft).await.unwrap();
    let named = pb::Segment {
        name: "iOS".to_owned(),
        ..segment
    };
    let request = pb::UpdateSegmentRequest {
        segment: Some(named),
        update_mask: make::mask(&["name"]),
    };
    service.segments.update_segment(request).await.unwrap();
    settled(&service).await;
    let held = bus.namespace("default");
    assert_eq!(
        keys(&held),
        ["experiment/a", "flag/a", "segment/ios@1", "segment/ios@2"]
    );
    for version in [1, 2] {
        let Published::Segment(segment) =
            decode(&held.resources[&format!("segment/ios@{version}")].bytes).unwrap()
        else {
            panic!("a segment")
        };
        assert_eq!((segment.meta.version, segment.rules.len()), (version, 1));
    }
}

#[tokio::test]
async fn c2_a_wiped_bus_is_filled_again() {
    let (mut service, bus) = start().await;
    service.running("a").await;
    settled(&service).await;
    let before = bus.namespace("default");
    bus.edit(|view| view.namespaces.clear());
    settled(&service).await;
    assert_eq!(bus.namespace("default"), before);
}

#[tokio::test]
async fn c2_hand_edits_are_undone() {
    let (mut service, bus) = start().await;
    service.running("a").await;
    settled(&service).await;
    let before = bus.namespace("default");
    bus.edit(|view| {
        let held = view.namespaces.get_mut(&Namespace::default()).unwrap();
        held.resources.insert("flag/a".to_owned(), garbage());
        held.resources.insert("flag/mine".to_owned(), garbage());
        held.resources.remove("experiment/a");
    });
    settled(&service).await;
    assert_eq!(bus.namespace("default"), before);
}

#[tokio::test]
async fn a_bus_ahead_of_the_truth_is_overtaken_never_set_back() {
    let (mut service, bus) = start().await;
    service.running("a").await;
    settled(&service).await;
    let generation = bus.namespace("default").manifest.unwrap().generation;
    bus.edit(|view| {
        let held = view.namespaces.get_mut(&Namespace::default()).unwrap();
        held.manifest.as_mut().unwrap().generation = 40;
    });
    eventually(|| async { is_whole(&bus.namespace("default"), 41) }).await;
    assert!(generation < 40);
    let flag = service.flag(make::flag("next")).await;
    assert_eq!(flag.generation, 42);

    // The same generation with other content counts as ahead, too.
    settled(&service).await;
    bus.edit(|view| {
        let held = view.namespaces.get_mut(&Namespace::default()).unwrap();
        held.manifest.as_mut().unwrap().digest = [7; 32];
    });
    eventually(|| async { is_whole(&bus.namespace("default"), 43) }).await;
}

#[tokio::test]
async fn a_namespace_that_the_truth_does_not_know_is_emptied() {
    let (service, bus) = start().await;
    settled(&service).await;
    bus.edit(|view| {
        let held = view
            .namespaces
            .entry(Namespace::new("lost").unwrap())
            .or_default();
        held.resources.insert("flag/a".to_owned(), garbage());
    });
    eventually(|| async { is_whole(&bus.namespace("lost"), 0) }).await;
}

#[tokio::test]
async fn c1_changes_wait_while_the_bus_is_away() {
    let (mut service, bus) = start().await;
    settled(&service).await;
    bus.set_away(true);
    let flag = service.flag(make::flag("gate")).await;
    let refused = bus.refused.clone();
    eventually(|| async {
        let n = refused.load(Ordering::SeqCst);
        if n >= 3 {
            Ok(())
        } else {
            Err(format!("{n} attempts"))
        }
    })
    .await;
    let waiting = service.store.unpublished().await.unwrap();
    assert_eq!((waiting.len(), waiting[0].generation), (1, flag.generation));
    assert!(keys(&bus.namespace("default")).is_empty());
    bus.set_away(false);
    settled(&service).await;
    assert_eq!(keys(&bus.namespace("default")), ["flag/gate"]);
}

#[tokio::test]
async fn replicas_publish_side_by_side() {
    let (mut one, bus) = start().await;
    let mut two = Service::start_on(one.store.clone(), Arc::new(bus.clone())).await;
    for n in 0..20 {
        let (a, b) = (make::flag(&format!("a{n}")), make::flag(&format!("b{n}")));
        tokio::join!(one.flag(a), two.flag(b));
    }
    settled(&one).await;
    let held = bus.namespace("default");
    assert_eq!(
        (held.resources.len(), held.manifest.unwrap().generation),
        (40, 40)
    );

    let (reads, writes) = (
        bus.reads.load(Ordering::SeqCst),
        bus.writes.load(Ordering::SeqCst),
    );
    // Of three more rounds of two replicas at least one has begun and ended after this.
    eventually(|| async {
        let seen = bus.reads.load(Ordering::SeqCst) - reads;
        if seen >= 6 {
            Ok(())
        } else {
            Err(format!("{seen} reads"))
        }
    })
    .await;
    assert_eq!(
        bus.writes.load(Ordering::SeqCst),
        writes,
        "a bus that equals the truth is left alone"
    );
}

#[tokio::test]
async fn what_was_accepted_before_a_shutdown_is_published() {
    let (mut service, bus) = start().await;
    settled(&service).await;
    bus.set_away(true);
    service.flag(make::flag("gate")).await;
    bus.set_away(false);
    service.stop().await;
    assert_eq!(equals_the_truth(&service).await, Ok(()));
}

#[tokio::test]
async fn the_embedded_bus_is_filled_at_start_and_follows() {
    let mut first = Service::start().await;
    first.running("a").await;
    first.stop().await;
    // The embedded bus ends with its process; the truth does not.
    let bus = Arc::new(assay_storage::config_bus::EmbeddedConfigBus::new());
    let mut second = Service::start_on(first.store.clone(), bus).await;
    settled(&second).await;
    second.flag(make::flag("gate")).await;
    settled(&second).await;
}
