//! `Assign` through gRPC, exposures and spool on, beside a tonic echo that decodes the same message and returns a prepared reply.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use assay_platform::{Shutdown, SystemClock};
use assay_proto::{
    assignment::v1::{
        AssignBatchRequest, AssignBatchResponse, AssignRequest, AssignResponse, AssignStreamRequest,
        AssignStreamResponse, ExplainRequest, ExplainResponse, RecordDecisionsRequest,
        RecordDecisionsResponse, WatchConfigRequest, WatchConfigResponse,
        assignment_service_client::AssignmentServiceClient,
        assignment_service_server::{AssignmentService, AssignmentServiceServer},
    },
    bus::{self, Published},
    common::v1::Unit,
    convert::attributes_to_struct,
};
use assay_storage::{
    config_bus::{ConfigBus as _, EmbeddedConfigBus, Manifest, Publication, Value, digest},
    event_log::EmbeddedLog,
    unit_store::EmbeddedUnitStore,
};
use tonic::{Request, Response, Status, Streaming, transport::Channel};

use crate::{evaluation, load, report};

const CONNECTIONS: usize = 16;
const STREAMS: usize = 32;
const CALLS: usize = 60_000;
const ROUNDS: usize = 5;
const EXPERIMENTS: usize = 10;
const ASSIGN: &str = "/assay.assignment.v1.AssignmentService/Assign";

/// Answers every call with the same reply.
struct Echo(AssignResponse);

#[tonic::async_trait]
impl AssignmentService for Echo {
    async fn assign(&self, request: Request<AssignRequest>) -> Result<Response<AssignResponse>, Status> {
        std::hint::black_box(request.into_inner());
        Ok(Response::new(self.0.clone()))
    }

    async fn assign_batch(
        &self,
        _: Request<AssignBatchRequest>,
    ) -> Result<Response<AssignBatchResponse>, Status> {
        Err(Status::unimplemented("the echo has one call"))
    }

    type AssignStreamStream = futures::stream::Empty<Result<AssignStreamResponse, Status>>;
    type WatchConfigStream = futures::stream::Empty<Result<WatchConfigResponse, Status>>;

    async fn assign_stream(
        &self,
        _: Request<Streaming<AssignStreamRequest>>,
    ) -> Result<Response<Self::AssignStreamStream>, Status> {
        Err(Status::unimplemented("the echo has one call"))
    }

    async fn watch_config(
        &self,
        _: Request<WatchConfigRequest>,
    ) -> Result<Response<Self::WatchConfigStream>, Status> {
        Err(Status::unimplemented("the echo has one call"))
    }

    async fn record_decisions(
        &self,
        _: Request<RecordDecisionsRequest>,
    ) -> Result<Response<RecordDecisionsResponse>, Status> {
        Err(Status::unimplemented("the echo has one call"))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("the echo has one call"))
    }
}

/// Runs `serve` on a thread and a single-threaded runtime of its own.
fn server<F: Future<Output = ()>>(
    name: &str,
    serve: impl FnOnce(std::net::TcpListener) -> F + Send + 'static,
) -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || runtime.block_on(serve(listener)))?;
    Ok(address)
}

fn echo(reply: AssignResponse) -> Result<SocketAddr> {
    server("echo", async |listener| {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a bound listener");
        let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
        let server =
            tonic::transport::Server::builder().add_service(AssignmentServiceServer::new(Echo(reply)));
        server
            .serve_with_incoming(incoming)
            .await
            .expect("the echo serves until the process ends");
    })
}

fn assay(shutdown: Shutdown, data_dir: std::path::PathBuf) -> Result<SocketAddr> {
    server("assay", async move |listener| {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a bound listener");
        let bus = Arc::new(EmbeddedConfigBus::default());
        publish(&bus).await.expect("an empty bus takes a publication");
        let log = Arc::new(
            EmbeddedLog::connect("sqlite::memory:", 16)
                .await
                .expect("a log in memory"),
        );
        let units = EmbeddedUnitStore::connect("sqlite::memory:")
            .await
            .expect("a unit store in memory");
        let ports = assay_assignment::Ports {
            bus,
            log,
            units: Arc::new(units),
            data_dir,
        };
        let settings = assay_assignment::Settings {
            workers: 0,
            ..assay_assignment::Settings::default()
        };
        let served = assay_assignment::serve(listener, ports, settings, SystemClock::shared(), shutdown);
        served.await.expect("assignment ends in order");
    })
}

async fn publish(bus: &EmbeddedConfigBus) -> Result<()> {
    let configuration = evaluation::configuration(EXPERIMENTS)?;
    let flags = configuration.flags.into_iter().map(Published::Flag);
    let segments = configuration.segments.into_iter().map(Published::Segment);
    let experiments = configuration.experiments.into_iter().map(Published::Experiment);
    let puts: std::collections::BTreeMap<_, _> = flags
        .chain(segments)
        .chain(experiments)
        .map(|p| {
            (
                p.key(),
                Value {
                    generation: 1,
                    bytes: bus::encode(&p).into(),
                },
            )
        })
        .collect();
    let manifest = Manifest {
        generation: 1,
        count: puts.len() as u64,
        digest: digest(&puts),
    };
    let namespace = configuration.namespace;
    bus.publish(Publication {
        namespace,
        from: None,
        puts,
        deletes: vec![],
        manifest,
    })
    .await?;
    Ok(())
}

fn request(i: usize) -> AssignRequest {
    AssignRequest {
        unit: Some(Unit {
            kind: String::new(),
            id: format!("3f2a9c1e-7b54-4f0d-9a61-{i:012}"),
        }),
        attributes: Some(attributes_to_struct(&evaluation::attributes())),
        flag_keys: vec!["flag-3".into()],
        ..AssignRequest::default()
    }
}

pub(crate) fn run() -> Result<()> {
    let data_dir = tempfile::tempdir()?;
    let shutdown = Shutdown::new();
    let assay = assay(shutdown.clone(), data_dir.path().to_owned())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let measured = runtime.block_on(async {
        let channel = Channel::from_shared(format!("http://{assay}"))?.connect().await?;
        let first = assay_tests::eventually(Duration::from_secs(10), async || {
            AssignmentServiceClient::new(channel.clone())
                .assign(request(0))
                .await
        });
        let reply = first.await?.into_inner();
        let answer = reply.assignments.first().context("no assignment in the answer")?;
        anyhow::ensure!(
            !answer.variant_key.is_empty(),
            "the bench measures an answer that exposes: {answer:?}"
        );
        let requests: Vec<_> = (0..CALLS).map(|i| load::frame(&request(i))).collect();
        let requests = Arc::new(requests);
        let echo = load::Load::connect(echo(reply)?, ASSIGN, CONNECTIONS).await?;
        let ours = load::Load::connect(assay, ASSIGN, CONNECTIONS).await?;
        let (mut of_echo, mut of_assign) = (Vec::new(), Vec::new());
        for i in 0..ROUNDS + 1 {
            let limit = echo.round(&requests, STREAMS).await?;
            let assign = ours.round(&requests, STREAMS).await?;
            if i > 0 {
                of_echo.push(limit);
                of_assign.push(assign);
            }
        }
        anyhow::Ok((load::middle(of_echo), load::middle(of_assign)))
    });
    shutdown.trigger();
    let (limit, assign) = measured?;
    report(&format!(
        "assign: limit: tonic echo of the same messages: {:>9.0} calls/s, p50 {:.2} ms, p99 {:.2} ms",
        limit.per_second, limit.p50_ms, limit.p99_ms
    ));
    report(&format!(
        "assign: {EXPERIMENTS} experiments, exposures and spool on: {:>9.0} calls/s, p50 {:.2} ms, p99 {:.2} ms, ratio {:.2}",
        assign.per_second,
        assign.p50_ms,
        assign.p99_ms,
        assign.per_second / limit.per_second
    ));
    Ok(())
}
