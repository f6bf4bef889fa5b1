#![doc = include_str!("../README.md")]

use std::sync::Arc;

use assay_platform::{Channel, Health, Server, SharedClock, Shutdown, server::ServeError};
use assay_proto::analysis::v1::analysis_service_server::{AnalysisServiceServer, SERVICE_NAME};
use assay_storage::{analysis_store::AnalysisStore, event_log::EventLog};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::service::Routes;

mod definitions;
mod effect;
mod encode;
mod error;
#[cfg(test)]
mod fixtures;
mod grpc;
mod list_assignments;
mod list_callers;
mod reader;
mod results;
mod run;
mod settings;

pub use definitions::DefinitionsError;
pub use error::Error;
pub use settings::Settings;

/// What analysis reads, writes and asks.
#[derive(Clone)]
pub struct Ports {
    /// Where records come from.
    pub log: Arc<dyn EventLog>,
    /// What it remembers.
    pub store: Arc<dyn AnalysisStore>,
    /// The config service.
    pub config: Channel,
}

/// What the use cases share.
struct Analysis {
    reader: reader::Reader,
}

/// Serves analysis on `listener` until `shutdown`, and reads the log meanwhile.
///
/// # Errors
/// [`ServeError`] when the listener fails or requests outlast the deadline of the shutdown.
pub async fn serve(
    listener: TcpListener,
    ports: Ports,
    settings: Settings,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let definitions = definitions::Definitions::new(ports.config, clock.clone());
    let reader = reader::Reader {
        log: ports.log,
        store: ports.store,
        definitions,
        clock,
        batch_entries: settings.batch_entries.max(1),
        settle: settings.settle,
    };
    let analysis = Arc::new(Analysis { reader });
    let mut loops = JoinSet::new();
    let partitions = analysis.reader.log.partitions() as usize;
    let readers = settings.readers.clamp(1, partitions.max(1));
    for first in 0..readers {
        loops.spawn(run::read(
            analysis.clone(),
            first,
            readers,
            settings.poll_interval,
            shutdown.clone(),
        ));
    }
    loops.spawn(run::trim(
        analysis.clone(),
        settings.trim_interval,
        shutdown.clone(),
    ));
    let health = Health::new([SERVICE_NAME]);
    settings.observed.health("analysis", &health);
    let mut server = Server::new("assay-analysis", listener, health.clone())
        .access(settings.access)
        .limits(settings.limits)
        .routes(Routes::new(AnalysisServiceServer::new(grpc::Grpc(analysis))));
    if settings.reflection.unwrap_or(false) {
        server = server.reflection([assay_proto::DESCRIPTORS]);
    }
    health.ready().await;
    let served = server.serve(shutdown.clone()).await;
    shutdown.trigger();
    while loops.join_next().await.is_some() {}
    served
}
