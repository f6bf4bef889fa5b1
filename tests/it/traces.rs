//! One trace from a caller's `Assign` through the log to the batch that counted it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use assay_client::{Client, Endpoints};
use assay_proto::{
    assignment::v1::{AssignRequest, Exposure, assignment_service_client::AssignmentServiceClient},
    common::v1::Unit,
};
use assay_tests::{eventually, port::Port, process::Process, story};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tonic::{Request, Response, Status};

const PATIENCE: Duration = Duration::from_secs(30);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Keeps every span that it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let spans = resources.flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
        self.0
            .lock()
            .map_err(|_| Status::internal("poisoned"))?
            .extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    fn find(&self, wanted: impl Fn(&Span) -> bool) -> Option<Span> {
        self.0.lock().ok()?.iter().find(|span| wanted(span)).cloned()
    }
}

fn is_ours(trace_id: &[u8]) -> bool {
    let hex: String = trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    hex == TRACE
}

/// The n-th call of the traced caller.
fn traced(n: u32) -> Result<Request<AssignRequest>> {
    let unit = Unit {
        kind: String::new(),
        id: format!("traced-{n}"),
    };
    let mut request = Request::new(AssignRequest {
        unit: Some(unit),
        flag_keys: vec!["checkout".into()],
        exposure: Exposure::Record.into(),
        ..Default::default()
    });
    let context = format!("00-{TRACE}-b7ad6b7169203331-01").parse()?;
    request.metadata_mut().insert("traceparent", context);
    Ok(request)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_leads_from_assign_to_the_batch_that_counted_it() -> Result<()> {
    let collector = Collector::default();
    let port = Port::reserve()?;
    let incoming = tonic::transport::server::TcpIncoming::from(port.listen()?);
    let serving = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector.clone()))
        .serve_with_incoming(incoming);
    let serving = tokio::spawn(serving);

    let dir = tempfile::tempdir()?;
    let ports = [
        Port::reserve()?,
        Port::reserve()?,
        Port::reserve()?,
        Port::reserve()?,
    ];
    let [config, assignment, ingest, analysis] = ports.each_ref().map(|port| port.addr().to_string());
    let otlp = format!("http://{}", port.addr());
    let data_dir = dir.path().display().to_string();
    let env = [
        ("ASSAY__CONFIG__LISTEN", config.as_str()),
        ("ASSAY__ASSIGNMENT__LISTEN", &assignment),
        ("ASSAY__INGEST__LISTEN", &ingest),
        ("ASSAY__ANALYSIS__LISTEN", &analysis),
        ("ASSAY__OPENFEATURE__FLAGD_LISTEN", "off"),
        ("ASSAY__OPENFEATURE__OFREP_LISTEN", "off"),
        ("ASSAY__STORES__DATA_DIR", &data_dir),
        ("ASSAY__TELEMETRY__OTLP_ENDPOINT", &otlp),
    ];
    let mut assay = Process::assay(&["serve"], &env)?;
    assay
        .wait_for_line("Assay runs in this process", PATIENCE)
        .await?;
    let uri = |address: &str| format!("http://{address}");
    let endpoints = Endpoints {
        config: uri(&config),
        assignment: uri(&assignment),
        ingest: uri(&ingest),
        analysis: uri(&analysis),
    };
    let client = Client::connect(&endpoints)?;
    let generation = story::begin(&client).await?;
    story::expose(&client, generation, 0..10).await?;

    // A channel without our own tracing: the context is the caller's.
    let channel = tonic::transport::Channel::from_shared(uri(&assignment))?
        .connect()
        .await?;
    let caller = AssignmentServiceClient::new(channel);

    let served = "assay.assignment.v1.AssignmentService/Assign";
    let mut n = 0;
    let counted = eventually(PATIENCE, async || {
        // A batch carries the context of one of its requests: ask again until one of ours is it.
        n += 1;
        caller.clone().assign(traced(n)?).await?;
        let seen = collector.find(|s| s.name == served && is_ours(&s.trace_id));
        seen.context("no span of Assign in the caller's trace")?;
        let linked = |s: &Span| s.links.iter().any(|link| is_ours(&link.trace_id));
        let counted = collector.find(|s| s.name == "process records" && linked(s));
        counted.context("no batch links to the caller's trace")
    })
    .await?;
    ensure!(
        !is_ours(&counted.trace_id),
        "a batch of many callers belongs to none of their traces"
    );

    let status = assay.terminate(PATIENCE).await?;
    ensure!(
        status.success(),
        "serve ended with {status}:\n{}",
        assay.output().join("\n")
    );
    serving.abort();
    Ok(())
}
