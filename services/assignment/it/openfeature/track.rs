//! Tracking calls, on their way to ingest.

use std::sync::{Arc, Mutex};

use assay_assignment::Settings;
use assay_platform::{ChannelOptions, Failure, connect_lazy};
use assay_proto::ingest::v1::{
    RecordEventsRequest, RecordEventsResponse, RecordExposuresRequest, RecordExposuresResponse, RecordResult,
    RecordStatus,
    ingest_service_server::{IngestService, IngestServiceServer},
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use super::{Open, flags, http::post};
use crate::support::World;

const TRACK: &str = "/ofrep/v1/track";

/// An ingest that writes down who has sent what, and refuses events without a name.
#[derive(Clone, Default)]
struct Ingest(Arc<Mutex<Vec<Sent>>>);

/// A request with the key that it came with.
type Sent = (Option<String>, RecordEventsRequest);

#[tonic::async_trait]
impl IngestService for Ingest {
    async fn record_events(
        &self,
        request: Request<RecordEventsRequest>,
    ) -> Result<Response<RecordEventsResponse>, Status> {
        let key = request.metadata().get("authorization");
        let key = key.map(|key| key.to_str().unwrap().to_owned());
        let request = request.into_inner();
        let refused = RecordResult {
            status: RecordStatus::Refused.into(),
            field: "name".into(),
            rule: "REQUIRED".into(),
            message: "is empty".into(),
        };
        let result = match request.events[0].name.as_str() {
            "" => refused,
            "away" => {
                return Err(Failure::unavailable(
                    "LOG",
                    "the log is away",
                    std::time::Duration::from_secs(2),
                )
                .into());
            }
            _ => RecordResult {
                status: RecordStatus::Accepted.into(),
                ..RecordResult::default()
            },
        };
        self.0.lock().unwrap().push((key, request));
        Ok(Response::new(RecordEventsResponse {
            results: vec![result],
            received_at: None,
        }))
    }

    async fn record_exposures(
        &self,
        _: Request<RecordExposuresRequest>,
    ) -> Result<Response<RecordExposuresResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it here"))
    }
}

#[tokio::test]
async fn a_tracking_call_goes_to_ingest_with_the_key_of_its_caller() {
    let ingest = Ingest::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let serving = Server::builder()
        .add_service(IngestServiceServer::new(ingest.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let serving = tokio::spawn(serving);
    let world = World::new().await;
    world.bus.publish("default", 1, &flags()).await;
    let channel = connect_lazy(&uri, &ChannelOptions::default()).unwrap();
    let open = Open::start_with(&world, Settings::default(), Some(channel)).await;
    let call = |name: &str| {
        json!({
            "name": name,
            "context": { "targetingKey": "u1" },
            "details": { "value": 12.5, "currency": "EUR" },
            "eventId": "e1",
        })
    };
    let headers = ["authorization: Bearer recorder", "flagd-selector: flagSetId=shop"];
    let told = post(&open.ofrep, TRACK, &headers, &call("purchase")).await;
    assert_eq!((told.status, told.json()), (200, json!({ "eventId": "e1" })));
    let refused = post(&open.ofrep, TRACK, &[], &call("")).await;
    assert_eq!(
        (refused.status, &refused.json()["errorDetails"]),
        (400, &json!("`name` is empty"))
    );
    let away = post(&open.ofrep, TRACK, &[], &call("away")).await;
    assert_eq!((away.status, away.header("retry-after")), (503, Some("2")));
    let (key, request) = ingest.0.lock().unwrap().remove(0);
    assert_eq!(key.as_deref(), Some("Bearer recorder"));
    assert_eq!((&*request.namespace, request.imported), ("shop", false));
    let event = &request.events[0];
    assert_eq!(
        (&*event.event_id, &*event.name, event.value),
        ("e1", "purchase", Some(12.5))
    );
    assert_eq!(event.unit.as_ref().unwrap().id, "u1");
    open.running.stop().await;
    serving.abort();
}

#[tokio::test]
async fn without_an_ingest_tracking_is_refused_with_the_setting() {
    let world = World::new().await;
    let open = Open::serving(&world).await;
    let told = post(&open.ofrep, TRACK, &[], &json!({ "name": "a" })).await;
    assert_eq!(told.status, 400);
    let details = told.json()["errorDetails"].as_str().unwrap().to_owned();
    assert!(details.contains("openfeature.ingest_endpoint"), "{details}");
    open.running.stop().await;
}
