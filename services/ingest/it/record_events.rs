use std::sync::atomic::Ordering;

use assay_core::{
    bucketing,
    key::{Namespace, Unit},
};
use assay_platform::{Code, Failure};
use assay_proto::{
    ingest::v1::{Event, RecordEventsRequest, RecordStatus},
    stream::Records,
};
use assay_storage::event_log::Topic;

use crate::harness::{Harness, NOW, PARTITIONS, event};

fn request(events: Vec<Event>) -> RecordEventsRequest {
    RecordEventsRequest {
        namespace: String::new(),
        events,
        imported: false,
    }
}

fn events(records: Vec<(u32, Records)>) -> Vec<(u32, assay_core::record::Event)> {
    let of = |(partition, records)| match records {
        Records::Events(events) => events
            .into_iter()
            .map(move |event| (partition, event))
            .collect::<Vec<_>>(),
        other => panic!("not an event in the log of events: {other:?}"),
    };
    records.into_iter().flat_map(of).collect()
}

#[tokio::test]
async fn a_bad_record_leaves_the_others_accepted() {
    let mut harness = Harness::start(|_| ()).await;
    let nameless = Event {
        name: String::new(),
        ..event("e2", "u2")
    };
    let unitless = Event {
        unit: None,
        ..event("e3", "u3")
    };
    let endless = Event {
        value: Some(f64::INFINITY),
        ..event("e4", "u4")
    };
    let sent = vec![event("e1", "u1"), nameless, unitless, endless, event("e5", "u5")];
    let response = harness
        .client
        .record_events(request(sent))
        .await
        .unwrap()
        .into_inner();
    let fates: Vec<_> = response
        .results
        .iter()
        .map(|r| (r.status(), r.field.as_str(), r.rule.as_str()))
        .collect();
    assert_eq!(
        fates,
        [
            (RecordStatus::Accepted, "", ""),
            (RecordStatus::Refused, "name", "REQUIRED"),
            (RecordStatus::Refused, "unit", "REQUIRED"),
            (RecordStatus::Refused, "value", "VALUE_OUT_OF_RANGE"),
            (RecordStatus::Accepted, "", ""),
        ]
    );
    assert!(
        response
            .results
            .iter()
            .filter(|r| r.status() == RecordStatus::Refused)
            .all(|r| !r.message.is_empty())
    );
    let mut ids: Vec<_> = events(harness.records(Topic::Events).await)
        .into_iter()
        .map(|(_, e)| e.event_id)
        .collect();
    ids.sort();
    assert_eq!(ids, ["e1", "e5"]);
    harness.stop().await;
}

#[tokio::test]
async fn records_go_to_the_partition_of_their_unit_with_the_time_of_receipt() {
    let mut harness = Harness::start(|_| ()).await;
    let sent = (0..200)
        .map(|i| event(&format!("e{i}"), &format!("u{}", i % 50)))
        .collect();
    let response = harness
        .client
        .record_events(request(sent))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(response.received_at.unwrap().seconds * 1_000_000, NOW);
    let written = events(harness.records(Topic::Events).await);
    assert_eq!(written.len(), 200);
    for (partition, event) in written {
        let unit = Unit::user(event.unit.id()).unwrap();
        assert_eq!(
            partition,
            bucketing::partition(&Namespace::default(), &unit, PARTITIONS)
        );
        assert_eq!(event.received_at.micros(), NOW);
        assert_eq!(event.value_micros, Some(1_500_000));
    }
    harness.stop().await;
}

#[tokio::test]
async fn too_many_or_no_records_are_refused_as_a_whole() {
    let mut harness = Harness::start(|_| ()).await;
    for n in [0, 1_001] {
        let sent = (0..n).map(|i| event(&format!("e{i}"), "u")).collect();
        let status = harness.client.record_events(request(sent)).await.unwrap_err();
        let failure = Failure::from_status(&status);
        assert_eq!(
            (failure.code, failure.violations[0].field.as_str()),
            (Code::InvalidArgument, "events")
        );
    }
    harness.stop().await;
}

#[tokio::test]
async fn i3_the_log_away_is_unavailable_with_retry_info_and_nothing_is_acknowledged() {
    let mut harness = Harness::start(|_| ()).await;
    harness.log.away.store(true, Ordering::SeqCst);
    let status = harness
        .client
        .record_events(request(vec![event("e1", "u1")]))
        .await
        .unwrap_err();
    let failure = Failure::from_status(&status);
    assert_eq!(
        (failure.code, &*failure.reason),
        (Code::Unavailable, "LOG_UNAVAILABLE")
    );
    assert!(failure.retry_after.unwrap().as_secs_f64() <= 1.0);
    harness.log.away.store(false, Ordering::SeqCst);
    let response = harness
        .client
        .record_events(request(vec![event("e1", "u1")]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(response.results[0].status(), RecordStatus::Accepted);
    assert_eq!(harness.records(Topic::Events).await.len(), 1);
    harness.stop().await;
}

#[tokio::test]
async fn a_partition_away_answers_retry_for_its_records_alone() {
    let mut harness = Harness::start(|_| ()).await;
    harness.log.away_partition.store(0, Ordering::SeqCst);
    let sent: Vec<_> = (0..64)
        .map(|i| event(&format!("e{i}"), &format!("u{i}")))
        .collect();
    let response = harness
        .client
        .record_events(request(sent))
        .await
        .unwrap()
        .into_inner();
    for (i, result) in response.results.iter().enumerate() {
        let unit = Unit::user(format!("u{i}")).unwrap();
        let gone = bucketing::partition(&Namespace::default(), &unit, PARTITIONS) == 0;
        assert_eq!(
            result.status(),
            if gone {
                RecordStatus::Retry
            } else {
                RecordStatus::Accepted
            }
        );
    }
    let accepted = response
        .results
        .iter()
        .filter(|r| r.status() == RecordStatus::Accepted)
        .count();
    assert_eq!(events(harness.records(Topic::Events).await).len(), accepted);
    assert!(accepted < 64, "some unit of 64 is in partition 0");
    harness.stop().await;
}
