//! `Assign` through gRPC beside an echo: a tonic service that decodes the same request and returns a prepared reply, in the same run, on
//! the same server, with the same clients. Ten live experiments, five attributes, exposures and spool on.
//!
//! `cargo bench -p assay-assignment`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench tells its figures"
)]

#[path = "../it/fixtures.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod fixtures;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use assay_assignment::{Ports, Settings, serve};
use assay_core::{key::Namespace, lifecycle::State};
use assay_platform::{Health, Server, Shutdown, SystemClock};
use assay_proto::{
    assignment::v1::{
        self as pb,
        assignment_service_client::AssignmentServiceClient,
        assignment_service_server::{AssignmentService, AssignmentServiceServer},
    },
    bus::{self, Published},
    common::v1::Unit,
};
use assay_storage::{
    config_bus::{ConfigBus, EmbeddedConfigBus, Manifest, Publication, Value, digest},
    event_log::EmbeddedLog,
};
use prost_types::value::Kind;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, service::Routes, transport::Channel};

const EXPERIMENTS: usize = 10;
const CONNECTIONS: usize = 8;
const STREAMS: usize = 32;
const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;

/// Returns the same prepared reply to everyone.
struct Echo(pb::AssignResponse);

#[tonic::async_trait]
impl AssignmentService for Echo {
    async fn assign(&self, _: Request<pb::AssignRequest>) -> Result<Response<pb::AssignResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn assign_batch(
        &self,
        _: Request<pb::AssignBatchRequest>,
    ) -> Result<Response<pb::AssignBatchResponse>, Status> {
        Err(Status::unimplemented("an echo of Assign alone"))
    }
}

fn request(n: usize) -> pb::AssignRequest {
    let text = |text: &str| prost_types::Value {
        kind: Some(Kind::StringValue(text.into())),
    };
    let number = |number| prost_types::Value {
        kind: Some(Kind::NumberValue(number)),
    };
    let fields = BTreeMap::from([
        ("country".to_owned(), text("NL")),
        ("platform".to_owned(), text("ios")),
        ("language".to_owned(), text("nl")),
        ("level".to_owned(), number(12.0)),
        ("days_since_install".to_owned(), number(3.0)),
    ]);
    pb::AssignRequest {
        unit: Some(Unit {
            kind: "user".into(),
            id: format!("user-{n:012}"),
        }),
        attributes: Some(prost_types::Struct { fields }),
        flag_keys: vec![format!("flag{}", n % EXPERIMENTS)],
        ..pb::AssignRequest::default()
    }
}

async fn publish(bus: &EmbeddedConfigBus) {
    let resources = (0..EXPERIMENTS).flat_map(|n| {
        let key = format!("flag{n}");
        [
            Published::Flag(fixtures::flag(&key)),
            Published::Experiment(fixtures::experiment(&key, State::Running)),
        ]
    });
    let value = |published: &Published| Value {
        generation: 1,
        bytes: bus::encode(published).into(),
    };
    let puts: BTreeMap<_, _> = resources
        .map(|published| (published.key(), value(&published)))
        .collect();
    let manifest = Manifest {
        generation: 1,
        count: puts.len() as u64,
        digest: digest(&puts),
    };
    let publication = Publication {
        namespace: Namespace::default(),
        from: None,
        puts,
        deletes: vec![],
        manifest,
    };
    bus.publish(publication).await.unwrap();
}

async fn clients(address: std::net::SocketAddr) -> Vec<AssignmentServiceClient<Channel>> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = tonic::transport::Endpoint::new(format!("http://{address}"))
            .unwrap()
            .tcp_nodelay(true);
        clients.push(AssignmentServiceClient::new(endpoint.connect().await.unwrap()));
    }
    clients
}

/// Calls a second of all clients together.
async fn load(clients: &[AssignmentServiceClient<Channel>]) -> f64 {
    let start = Instant::now();
    let streams = clients
        .iter()
        .flat_map(|client| (0..STREAMS).map(move |_| client.clone()));
    let tasks = streams.enumerate().map(|(stream, mut client)| {
        tokio::spawn(async move {
            let mut calls = 0_usize;
            while start.elapsed() < ROUND {
                client.assign(request(stream * 1_000_000 + calls)).await.unwrap();
                calls += 1;
            }
            calls
        })
    });
    let mut calls = 0;
    for task in tasks.collect::<Vec<_>>() {
        calls += task.await.unwrap();
    }
    calls as f64 / start.elapsed().as_secs_f64()
}

/// Runs `work` on a runtime of its own with one thread, as the server of a pod with one core.
fn on_one_thread<F: Future<Output = ()> + 'static>(work: impl FnOnce() -> F + Send + 'static) {
    std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work());
    });
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let bus = Arc::new(EmbeddedConfigBus::new());
    publish(&bus).await;
    let log = EmbeddedLog::connect(
        &format!("sqlite://{}", directory.path().join("log.db").display()),
        16,
    )
    .await
    .unwrap();
    let ports = Ports {
        bus,
        log: Arc::new(log),
        data_dir: directory.path().to_owned(),
    };
    let (ours, echo) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let (our_address, echo_address) = (ours.local_addr().unwrap(), echo.local_addr().unwrap());
    let (ours, echo) = (ours.into_std().unwrap(), echo.into_std().unwrap());

    on_one_thread(move || async move {
        let ours = TcpListener::from_std(ours).unwrap();
        serve(
            ours,
            ports,
            Settings::default(),
            SystemClock::shared(),
            Shutdown::new(),
        )
        .await
        .unwrap();
    });
    let our_clients = clients(our_address).await;
    let mut first = our_clients[0].clone();
    let reply = loop {
        if let Ok(reply) = first.assign(request(0)).await {
            break reply.into_inner();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(reply.assignments[0].reason(), pb::Reason::Split);
    on_one_thread(move || async move {
        let echo = TcpListener::from_std(echo).unwrap();
        let routes = Routes::new(AssignmentServiceServer::new(Echo(reply)));
        Server::new("echo", echo, Health::new(["echo"]))
            .routes(routes)
            .serve(Shutdown::new())
            .await
            .unwrap();
    });
    let echo_clients = clients(echo_address).await;

    let (mut assigns, mut echoes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        echoes.push(load(&echo_clients).await);
        assigns.push(load(&our_clients).await);
    }
    let ratios = assigns
        .iter()
        .zip(&echoes)
        .map(|(assign, echo)| assign / echo)
        .collect();
    println!("echo   {:>9.0} calls/s (median of {ROUNDS})", median(echoes));
    println!("Assign {:>9.0} calls/s (median of {ROUNDS})", median(assigns));
    println!("ratio  {:>9.2}", median(ratios));
}
