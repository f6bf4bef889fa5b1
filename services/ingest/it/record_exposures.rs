use assay_platform::{Code, Failure};
use assay_proto::{
    ingest::v1::{Exposure, RecordEventsRequest, RecordExposuresRequest, RecordStatus},
    stream::Records,
};
use assay_storage::event_log::Topic;

use crate::harness::{Harness, NOW, event, unit};

fn exposure(unit_id: &str, seconds: i64) -> Exposure {
    Exposure {
        experiment_key: "gate".into(),
        variant_key: "control".into(),
        unit: unit(unit_id),
        time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        attributes: None,
    }
}

#[tokio::test]
async fn imports_keep_their_times() {
    let mut harness = Harness::start(|_| ()).await;
    let exposures = vec![
        exposure("u1", 1_000_000),
        exposure("u2", NOW / 1_000_000 + 1),
        exposure("", 5),
    ];
    let request = RecordExposuresRequest {
        namespace: "shop".into(),
        exposures,
    };
    let results = harness
        .client
        .record_exposures(request)
        .await
        .unwrap()
        .into_inner()
        .results;
    let fates: Vec<_> = results.iter().map(|r| (r.status(), r.field.as_str())).collect();
    assert_eq!(
        fates,
        [
            (RecordStatus::Accepted, ""),
            (RecordStatus::Refused, "time"),
            (RecordStatus::Refused, "unit.id")
        ]
    );
    let written = harness.records(Topic::Exposures).await;
    let [(_, Records::Exposures(written))] = written.as_slice() else {
        panic!("{written:?}")
    };
    assert_eq!(written[0].time.micros(), 1_000_000_000_000);
    assert!(written[0].imported);
    assert_eq!((written[0].cohort, written[0].generation), (1, 0));
    harness.stop().await;
}

#[tokio::test]
async fn imports_need_the_permission() {
    let mut harness = Harness::start(|settings| settings.imports = Some(false)).await;
    let exposures = RecordExposuresRequest {
        namespace: String::new(),
        exposures: vec![exposure("u1", 5)],
    };
    let events = RecordEventsRequest {
        namespace: String::new(),
        events: vec![event("e", "u")],
        imported: true,
    };
    let statuses = [
        harness.client.record_exposures(exposures).await.unwrap_err(),
        harness.client.record_events(events).await.unwrap_err(),
    ];
    for status in statuses {
        let failure = Failure::from_status(&status);
        assert_eq!(
            (failure.code, &*failure.reason),
            (Code::PermissionDenied, "IMPORT_NOT_PERMITTED")
        );
    }
    harness.stop().await;
}
