#![doc = include_str!("../README.md")]

use std::{sync::Arc, time::Duration};

use assay_platform::{Health, Server, SharedClock, Shutdown, server::ServeError};
use assay_proto::ingest::v1::ingest_service_server::{IngestServiceServer, SERVICE_NAME};
use assay_storage::event_log::EventLog;
use tokio::net::TcpListener;
use tonic::service::Routes;

mod accept;
mod error;
mod grpc;
mod record;
mod record_events;
mod record_exposures;
mod settings;
mod write;

pub use error::Error;
pub use settings::Settings;

/// Largest request, in bytes.
const MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;

/// The stores that ingest writes to.
#[derive(Clone)]
pub struct Ports {
    /// Where records go.
    pub log: Arc<dyn EventLog>,
}

/// What the use cases share.
struct Ingest {
    writer: write::Writer,
    imports_permitted: bool,
    lateness_allowance: Duration,
}

/// Serves ingest on `listener` until `shutdown`.
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
    let epoch = u64::try_from(clock.now_micros()).unwrap_or_default();
    let ingest = Ingest {
        writer: write::Writer::new(ports.log, format!("ingest-{}", uuid::Uuid::now_v7()), epoch),
        imports_permitted: settings.imports_permitted(),
        lateness_allowance: settings.lateness_allowance,
    };
    let service =
        IngestServiceServer::new(grpc::Grpc { ingest, clock }).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let health = Health::new([SERVICE_NAME]);
    settings.observed.health("ingest", &health);
    let mut server = Server::new("assay-ingest", listener, health.clone())
        .access(settings.access)
        .limits(settings.limits)
        .routes(Routes::new(service));
    if settings.reflection.unwrap_or(false) {
        server = server.reflection([assay_proto::DESCRIPTORS]);
    }
    health.ready().await;
    server.serve(shutdown).await
}
