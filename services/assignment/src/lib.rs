#![doc = include_str!("../README.md")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use assay_core::time::Timestamp;
use assay_platform::{Channel, Health, Server, SharedClock, Shutdown};
use assay_proto::{
    assignment::v1::assignment_service_server::{AssignmentServiceServer, SERVICE_NAME},
    flagd::evaluation::{v1, v2},
};
use assay_storage::{config_bus::ConfigBus, event_log::EventLog, unit_store::UnitStore};
use tokio::{net::TcpListener, sync, task::JoinSet};
use tonic::service::Routes;

mod acknowledge;
mod assign;
mod callers;
mod decisions;
mod error;
mod follow;
mod freshness;
mod grpc;
mod http;
mod memories;
mod observe;
mod openfeature;
mod pipeline;
mod record;
mod serving;
mod settings;
mod settle;
mod ship;
mod snapshot_file;
mod view;
mod watch;

pub use error::Error;
pub use settings::{ExposureSettings, OpenFeatureSettings, Settings};

/// Largest request, in bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Longest wait for the last snapshot file at the end.
const LAST_SNAPSHOT: Duration = Duration::from_secs(1);

/// The stores that assignment talks to, and a directory of its own.
#[derive(Clone)]
pub struct Ports {
    /// Where configuration comes from.
    pub bus: Arc<dyn ConfigBus>,
    /// Where exposures go.
    pub log: Arc<dyn EventLog>,
    /// Where first assignments are remembered.
    pub units: Arc<dyn UnitStore>,
    /// Where the snapshot file and the spool are. No other process may use it.
    pub data_dir: PathBuf,
}

/// Where a service is to be reached.
pub struct Doors {
    /// For `Assign`.
    pub assign: TcpListener,
    /// For OpenFeature.
    pub openfeature: OpenFeatureDoors,
}

/// Where OpenFeature providers are answered; nowhere by default.
#[derive(Default)]
pub struct OpenFeatureDoors {
    /// In flagd's protocol.
    pub flagd: Option<TcpListener>,
    /// In OFREP.
    pub ofrep: Option<TcpListener>,
    /// From which origins browsers may ask; `*` is all.
    pub cors_origins: Vec<String>,
    /// Where tracking calls go; without it they are refused.
    pub ingest: Option<Channel>,
}

impl From<TcpListener> for Doors {
    /// For `Assign` alone.
    fn from(assign: TcpListener) -> Self {
        Self {
            assign,
            openfeature: OpenFeatureDoors::default(),
        }
    }
}

/// What the use case needs.
struct Assignments {
    serving: Arc<serving::Serving>,
    recorder: Arc<record::Recorder>,
    callers: Arc<callers::Callers>,
    memories: memories::Memories,
    clock: SharedClock,
}

impl Assignments {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }
}

/// Serves assignment at `doors` until `shutdown`, then ships what is left within the drain deadline. When the future is dropped
/// everything it has begun ends; what was spooled is shipped by the next start.
///
/// # Errors
/// [`Error`] when the spool cannot be opened, the listener fails, or requests outlast the deadline of the shutdown.
pub async fn serve(
    doors: impl Into<Doors>,
    ports: Ports,
    settings: Settings,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let Doors { assign, openfeature } = doors.into();
    let epoch = u64::try_from(clock.now_micros()).unwrap_or_default();
    let pipeline = pipeline::start(&ports, &settings.exposures, epoch).await?;
    let serving = Arc::new(serving::Serving::new());
    let views = Arc::new(watch::Views::new());
    let flagd = [v1::service_server::SERVICE_NAME, v2::service_server::SERVICE_NAME];
    let flagd = flagd.into_iter().filter(|_| openfeature.flagd.is_some());
    let health = Health::new([SERVICE_NAME].into_iter().chain(flagd));
    let freshness = Arc::new(freshness::Freshness::default());
    let observer = observe::Observer {
        serving: serving.clone(),
        queue: pipeline.queue(),
        clock: clock.clone(),
    };
    settings.observed.health("assignment", &health);
    settings.observed.collect(observer.clone());
    settings.observed.status("assignment", move || observer.status());
    // Dropped, it ends its tasks.
    let mut tasks = JoinSet::new();
    let stop_keeping = Shutdown::new();
    let acknowledged = Arc::new(sync::watch::Sender::new(acknowledge::Serves::new()));
    let replaced = Arc::new(settle::Replaced::default());
    let follower = follow::Follower {
        bus: ports.bus.clone(),
        serving: serving.clone(),
        views: views.clone(),
        health: health.clone(),
        snapshot_file: snapshot_file::path(&ports.data_dir),
        bus_wait: settings.bus_wait,
        compare_interval: settings.compare_interval,
        clock: clock.clone(),
        freshness: freshness.clone(),
        acknowledged: acknowledged.clone(),
        replaced: replaced.clone(),
        saved: keep_snapshot_file(&ports, &mut tasks, stop_keeping.clone()),
    };
    let following = tasks.spawn(follower.run());
    // Who leaves has written what it is to remember: until then nobody is to think that it has.
    let stop_acknowledging = Shutdown::new();
    let acknowledging = acknowledge::acknowledge(
        ports.bus.clone(),
        acknowledge::new_id(),
        acknowledged.subscribe(),
        stop_acknowledging.clone(),
    );
    tasks.spawn(acknowledging);

    let (memories, writer) = memories::Memories::start(ports.units.clone());
    let serves = acknowledged.subscribe();
    let settling = settle::settle(acknowledged, replaced, memories.written(), stop_keeping.clone());
    tasks.spawn(settling);
    let callers = Arc::new(callers::Callers::default());
    let reporter = callers::Reporter {
        callers: callers.clone(),
        serving: serving.clone(),
        log: ports.log.clone(),
        epoch,
        interval: settings.callers_interval,
    };
    tasks.spawn(reporter.run(stop_keeping.clone()));
    let assignments = Arc::new(Assignments {
        serving,
        callers,
        recorder: pipeline.recorder(),
        memories,
        clock,
    });
    let openfeature = openfeature::Edges {
        doors: openfeature,
        assignments: assignments.clone(),
        access: settings.access.clone(),
        reflection: settings.reflection.unwrap_or(false),
        serves,
        freshness,
        health: health.clone(),
    };
    let server = Server::new("assay-assignment", assign, health);
    let service = AssignmentServiceServer::new(grpc::Grpc {
        assignments: assignments.clone(),
        views,
        draining: server.draining(),
    });
    let service = service.max_decoding_message_size(MAX_MESSAGE_BYTES);
    let json = http::Http(assignments.clone());
    let mut server = server
        .access(settings.access)
        .limits(settings.limits)
        .routes(Routes::new(service).add_service(json))
        .accept_http1()
        .unary(grpc::Hot(assignments))
        .workers(settings.workers);
    if settings.reflection.unwrap_or(false) {
        server = server.reflection([assay_proto::DESCRIPTORS]);
    }
    let servers = openfeature.servers().into_iter().chain([server]);
    let served = serve_all(servers, &shutdown).await;

    following.abort();
    stop_keeping.trigger();
    let drain_deadline = settings.exposures.drain_deadline;
    tokio::join!(pipeline.drain(drain_deadline), writer.drain(drain_deadline));
    stop_acknowledging.trigger();
    let last_snapshot = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_SNAPSHOT, last_snapshot).await.is_err() {
        tracing::warn!("the last snapshot file is not written; a restart may serve an older one");
    }
    Ok(served?)
}

/// Serves until `shutdown`; when one server ends before, all do. The error is the first one.
async fn serve_all(
    servers: impl Iterator<Item = Server>,
    shutdown: &Shutdown,
) -> Result<(), assay_platform::server::ServeError> {
    let stop = shutdown.child();
    let serving = servers.map(|server| {
        let stop = stop.clone();
        async move {
            let served = server.serve(stop.clone()).await;
            stop.trigger();
            served
        }
    });
    let ended = futures::future::join_all(serving).await;
    ended.into_iter().collect()
}

/// Begins to keep the snapshot file; what it is told is kept, the last one even after `stop`.
fn keep_snapshot_file(
    ports: &Ports,
    tasks: &mut JoinSet<()>,
    stop: Shutdown,
) -> sync::watch::Sender<Option<Arc<view::Saved>>> {
    let (saved, told) = sync::watch::channel(None);
    let path = snapshot_file::path(&ports.data_dir);
    tasks.spawn(async move { snapshot_file::keep(path, told, &stop).await });
    saved
}
