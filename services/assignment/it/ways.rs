//! `Assign` goes one of two ways, and no caller can tell which: the same bytes come back, and the same exposures are recorded.

use assay_core::{lifecycle::State, segment::Segment};
use assay_proto::{assignment::v1 as pb, bus::Published};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tonic::body::Body;
use tower::{Service as _, ServiceExt as _};

use crate::{
    fixtures::{experiment, flag, overridden, segment},
    support::{Running, World, attributes, request, text, unit},
};

/// An ordinary call names this type and goes the short way.
const ORDINARY: &str = "application/grpc";
/// No client of ours names this one, and it goes through the routes.
const LONG: &str = "application/grpc+proto";

/// The bytes of the answer with their frame, and the status with its details.
async fn call(running: &Running, content_type: &str, message: &[u8]) -> (Vec<u8>, HeaderMap) {
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let uri = format!("{}/assay.assignment.v1.AssignmentService/Assign", running.uri);
    let request = Request::post(uri).header("content-type", content_type);
    let request = request.body(Body::new(Full::from(body))).unwrap();
    let mut channel = running.channel.clone();
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let mut told = head.headers;
    told.remove("date");
    told.extend(body.trailers().cloned().unwrap_or_default());
    (body.to_bytes().into(), told)
}

async fn world() -> (World, Running) {
    let world = World::new().await;
    let dutch: Segment = segment("dutch");
    let targeted = assay_core::experiment::Experiment {
        segment: Some(dutch.key.clone()),
        segment_version: Some(dutch.meta.version),
        ..experiment("gate", State::Running)
    };
    let resources = [
        Published::Segment(dutch),
        Published::Flag(flag("gate")),
        Published::Flag(overridden("fixed", "u1")),
        Published::Experiment(targeted),
    ];
    world.bus.publish("default", 1, &resources).await;
    let running = world.serving(1).await;
    (world, running)
}

#[tokio::test]
async fn both_ways_answer_with_the_same_bytes() {
    let (_world, running) = world().await;
    let dutch = || attributes(&[("country", text("NL")), ("age", text("7"))]);
    let peek = |request: pb::AssignRequest| pb::AssignRequest {
        exposure: pb::Exposure::Peek.into(),
        ..request
    };
    let mut requests: Vec<_> = (0..50)
        .map(|n| pb::AssignRequest {
            attributes: dutch(),
            ..request(
                &format!("u{n}"),
                &["gate", "fixed", "gate-test", "nowhere", "no key at all!"],
            )
        })
        .collect();
    requests.extend([
        pb::AssignRequest {
            namespace: "elsewhere".into(),
            ..request("u1", &["gate"])
        },
        pb::AssignRequest {
            namespace: "no namespace!".into(),
            ..request("u1", &["gate"])
        },
        pb::AssignRequest {
            unit: None,
            ..request("", &["gate"])
        },
        pb::AssignRequest {
            exposure: 77,
            ..request("u1", &["gate"])
        },
        pb::AssignRequest {
            unit: unit("a\nb"),
            ..request("u1", &["gate"])
        },
        request("u1", &[]),
        request("u1", &[""]),
        request("u1", &vec!["gate"; 1_001]),
    ]);
    for request in requests.into_iter().map(peek) {
        let message = request.encode_to_vec();
        let short = call(&running, ORDINARY, &message).await;
        assert_eq!(short, call(&running, LONG, &message).await, "{request:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn both_ways_record_the_same_exposures() {
    let (world, running) = world().await;
    let ask = |n: u32| pb::AssignRequest {
        attributes: attributes(&[("country", text("NL")), ("secret", text("x"))]),
        ..request(&format!("u{n}"), &["gate"])
    };
    for n in 0..20 {
        call(&running, ORDINARY, &ask(n).encode_to_vec()).await;
        call(&running, LONG, &ask(n).encode_to_vec()).await;
    }
    assert_eq!(world.exposed_units(40).await.len(), 40);
    running.stop().await;
    let mut exposures = world.exposures().await;
    exposures.sort_by(|a, b| a.unit.cmp(&b.unit));
    for pair in exposures.chunks(2) {
        assert_eq!(pair[0], pair[1]);
        assert_eq!(pair[0].attributes.keys().collect::<Vec<_>>(), ["country"]);
    }
}
