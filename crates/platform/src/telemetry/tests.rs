use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tracing::Instrument;

use super::*;
use crate::test_rpc::{Gate, READY, start};

const CHECK: &str = "grpc.health.v1.Health/Check";

#[test]
fn each_wrong_value_is_named() {
    let wrong = |edit: fn(&mut TelemetrySettings)| {
        let mut settings = TelemetrySettings::default();
        edit(&mut settings);
        let check = settings.check();
        check
            .wrong()
            .iter()
            .map(|one| one.key.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(wrong(|_| {}), Vec::<String>::new());
    assert_eq!(
        wrong(|s| s.otlp_endpoint = Some(String::new())),
        Vec::<String>::new()
    );
    assert_eq!(wrong(|s| s.sample_ratio = f64::NAN), ["telemetry.sample_ratio"]);
    assert_eq!(wrong(|s| s.service_name.clear()), ["telemetry.service_name"]);
    assert_eq!(
        wrong(|s| s.log_filter = "a=b=c".to_owned()),
        ["telemetry.log_filter"]
    );
    assert_eq!(
        wrong(|s| s.otlp_endpoint = Some("collector".to_owned())),
        ["telemetry.otlp_endpoint"]
    );
}

/// An OTLP receiver that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request
            .into_inner()
            .resource_spans
            .into_iter()
            .flat_map(|r| r.scope_spans);
        self.0
            .lock()
            .unwrap()
            .extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start(&self) -> String {
        let (listener, uri) = listen().await;
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let mut server = tonic::transport::Server::builder();
        let server = server.add_service(TraceServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(incoming));
        uri
    }

    /// The spans called `name`.
    fn named(&self, name: &str) -> Vec<Span> {
        let spans = self.0.lock().unwrap();
        spans.iter().filter(|span| span.name == name).cloned().collect()
    }

    fn one(&self, name: &str, kind: SpanKind) -> Span {
        let mut spans = self.named(name);
        spans.retain(|span| span.kind() == kind);
        assert_eq!(spans.len(), 1, "{kind:?} {name} in {:?}", self.0.lock().unwrap());
        spans.remove(0)
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    (listener, uri)
}

fn exporting_to(uri: &str, sample_ratio: f64) -> TelemetrySettings {
    TelemetrySettings {
        otlp_endpoint: Some(uri.to_owned()),
        log_filter: "off".to_owned(),
        sample_ratio,
        ..TelemetrySettings::default()
    }
}

/// One checked health call from client to server, after which the server has ended.
async fn check(service: &str) -> Result<(), Status> {
    let running = start(&Gate::closed(), |server| server).await;
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let done = HealthClient::new(running.channel())
        .check(request)
        .await
        .map(drop);
    running.stop().await.unwrap();
    done
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn a_trace_goes_from_caller_through_client_to_server() {
    let collector = Collector::default();
    let (subscriber, telemetry) = build(&exporting_to(&collector.start().await, 1.0)).unwrap();
    let guard = tracing::subscriber::set_default(subscriber);
    check(READY)
        .instrument(tracing::info_span!("caller"))
        .await
        .unwrap();
    telemetry.shutdown().await;
    drop(guard);

    let caller = collector.one("caller", SpanKind::Internal);
    let client = collector.one(CHECK, SpanKind::Client);
    let server = collector.one(CHECK, SpanKind::Server);
    assert_eq!(client.parent_span_id, caller.span_id);
    assert_eq!(server.parent_span_id, client.span_id);
    assert_eq!(server.trace_id, caller.trace_id);
    for span in [client, server] {
        assert_eq!(attribute(&span, "rpc.system.name"), Some("grpc"));
        assert_eq!(attribute(&span, "rpc.method"), Some(CHECK));
        assert_eq!(attribute(&span, "rpc.status_code"), Some("OK"));
        assert_eq!(attribute(&span, "error.type"), None);
        assert_eq!(span.status.unwrap_or_default().code, 0);
    }
}

#[tokio::test]
async fn a_refused_call_is_an_error_of_the_client_alone() {
    let collector = Collector::default();
    let (subscriber, telemetry) = build(&exporting_to(&collector.start().await, 1.0)).unwrap();
    let guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(
        check("no.such.Service").await.unwrap_err().code(),
        tonic::Code::NotFound
    );
    telemetry.shutdown().await;
    drop(guard);

    let client = collector.one(CHECK, SpanKind::Client);
    let server = collector.one(CHECK, SpanKind::Server);
    assert_eq!(attribute(&client, "error.type"), Some("NOT_FOUND"));
    assert_eq!(client.status.unwrap().code, 2);
    assert_eq!(attribute(&server, "rpc.status_code"), Some("NOT_FOUND"));
    assert_eq!(server.status.unwrap_or_default().code, 0);
}

#[tokio::test]
async fn a_consumer_links_to_the_producers_of_its_entries() {
    let collector = Collector::default();
    let (subscriber, telemetry) = build(&exporting_to(&collector.start().await, 1.0)).unwrap();
    let guard = tracing::subscriber::set_default(subscriber);
    let entry = tracing::info_span!("send exposures", otel.kind = "producer")
        .in_scope(|| current_traceparent().unwrap());
    let process = tracing::info_span!("process exposures", otel.kind = "consumer");
    link_span(&process, &entry);
    link_span(&process, "not a traceparent");
    drop(process);
    telemetry.shutdown().await;
    drop(guard);

    let producer = collector.one("send exposures", SpanKind::Producer);
    let consumer = collector.one("process exposures", SpanKind::Consumer);
    assert_eq!(consumer.links.len(), 1);
    assert_eq!(consumer.links[0].span_id, producer.span_id);
    assert_ne!(consumer.trace_id, producer.trace_id);
}

#[tokio::test]
async fn what_is_not_sampled_is_not_exported_but_told_to_servers() {
    let collector = Collector::default();
    let (subscriber, telemetry) = build(&exporting_to(&collector.start().await, 0.0)).unwrap();
    let guard = tracing::subscriber::set_default(subscriber);
    check(READY).await.unwrap();
    let unsampled = tracing::info_span!("caller").in_scope(|| current_traceparent().unwrap());
    telemetry.shutdown().await;
    drop(guard);
    assert!(unsampled.ends_with("-00"), "{unsampled}");
    assert_eq!(collector.named(CHECK).len(), 0);
}

#[tokio::test]
async fn r3_a_dead_collector_holds_up_neither_work_nor_the_end() {
    let (listener, uri) = listen().await;
    drop(listener);
    assert_ends_in_time(&uri).await;
}

#[tokio::test]
async fn r3_a_collector_that_never_answers_holds_up_neither_work_nor_the_end() {
    let (_never_accepts, uri) = listen().await;
    assert_ends_in_time(&uri).await;
}

/// Records more spans than the queue holds, then shuts down, on a `current_thread` runtime.
async fn assert_ends_in_time(uri: &str) {
    let (subscriber, telemetry) = build(&exporting_to(uri, 1.0)).unwrap();
    let guard = tracing::subscriber::set_default(subscriber);
    let begin = Instant::now();
    for _ in 0..10_000 {
        tracing::info_span!("work").in_scope(|| ());
    }
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "recording took {:?}",
        begin.elapsed()
    );
    let begin = Instant::now();
    telemetry.shutdown().await;
    drop(guard);
    let margin = Duration::from_secs(1);
    assert!(
        begin.elapsed() < FLUSH_DEADLINE + margin,
        "shutdown took {:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let problem = |settings: TelemetrySettings| build(&settings).map(drop).unwrap_err().to_string();
    let base = TelemetrySettings::default;
    let filter = problem(TelemetrySettings {
        log_filter: "info,=,x=loud".to_owned(),
        ..base()
    });
    assert!(filter.contains("`info,=,x=loud`"), "{filter}");
    let ratio = problem(TelemetrySettings {
        sample_ratio: 1.5,
        ..base()
    });
    assert!(ratio.contains("1.5"), "{ratio}");
    let endpoint = problem(TelemetrySettings {
        otlp_endpoint: Some("collector:4317".to_owned()),
        ..base()
    });
    assert!(endpoint.contains("`collector:4317`"), "{endpoint}");
}
