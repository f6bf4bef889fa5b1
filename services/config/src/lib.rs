#![doc = include_str!("../README.md")]

use std::sync::Arc;

use assay_platform::{
    Channel,
    clock::SharedClock,
    server::{Health, Server},
    shutdown::Shutdown,
};
use assay_storage::{
    access_store::AccessStore,
    config_bus::{ConfigBus, KeyBus},
    config_store::ConfigStore,
};
use tokio::net::TcpListener;

mod access;
mod audit;
mod callers;
mod create;
mod delete;
mod error;
mod experiment;
mod fence;
mod flag;
mod generation;
mod get;
mod grpc;
mod holdout;
mod idempotency;
mod layer;
mod list;
mod metric;
mod publish;
mod scheduler;
mod segment;
mod settings;
mod signal;
mod simple;
mod stage;
mod truth;
mod update;

pub use access::{create_first_key, new_secret};
pub use assay_platform::server::ServeError as Error;
pub use grpc::keys_of;
pub use settings::Settings;

use access::Keys;
use fence::Fences;
use publish::{Publisher, Wake};
use scheduler::Scheduler;
use signal::Signals;
use truth::Truth;

/// The stores that the service works on.
#[derive(Clone)]
pub struct Ports {
    /// The truth.
    pub store: Arc<dyn ConfigStore>,
    /// Where it is published.
    pub bus: Arc<dyn ConfigBus>,
    /// Who may, and who did.
    pub access: Arc<dyn AccessStore>,
    /// Where assignment learns of API keys.
    pub key_bus: Arc<dyn KeyBus>,
    /// The analysis service, which is asked whether there is a winner; without it every winner needs `force`.
    pub analysis: Option<Channel>,
}

/// Makes the bus equal to the truth, once. For a bus that ends with its process: what follows it must not be served before the bus holds
/// all that was accepted in the life before, or it would serve, for a moment, something older.
///
/// # Errors
/// The store's or the bus's own.
pub async fn publish(ports: &Ports) -> Result<(), assay_storage::Error> {
    publish::once(ports).await
}

/// Serves the APIs on `listener`, starts and ends experiments in time, and publishes what changes, until `shutdown`. What was accepted
/// before is published before it returns, if the bus answers; else it stays in the outbox.
///
/// # Errors
/// [`Error`] when the transport fails or calls outlast the drain deadline.
pub async fn serve(
    listener: TcpListener,
    ports: Ports,
    settings: Settings,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let wake = Arc::new(Wake::default());
    let fences = Arc::new(Fences::new(&ports, clock.clone()));
    let publisher = Publisher::new(
        &ports,
        wake.clone(),
        Some(fences.clone()),
        settings.reconcile_interval(),
    );
    let keys = Keys {
        store: ports.access.clone(),
        bus: ports.key_bus,
        access: settings.access.clone(),
        clock: clock.clone(),
    };
    let truth = Truth::new(ports.store, clock, wake);
    let signals = Signals::new(ports.analysis, &settings);
    let scheduler = Scheduler::new(truth.clone(), fences.clone(), settings.schedule_interval);
    let health = Health::new(grpc::SERVICES);
    settings.observed.health("config", &health);
    let mut server = Server::new("assay-config", listener, health.clone())
        .access(settings.access)
        .limits(settings.limits)
        .routes(grpc::routes(&truth, &signals, &fences, &keys));
    if settings.reflection.unwrap_or(false) {
        server = server.reflection([assay_proto::DESCRIPTORS]);
    }
    health.ready().await;
    // The publisher outlives the server: the last accepted change is published, too.
    let served = Shutdown::new();
    let serving = async {
        // However the server ends, all the others do.
        let ticking = shutdown.child();
        let serving = async {
            let result = server.serve(shutdown).await;
            ticking.trigger();
            result
        };
        let forgetting = idempotency::forget(&truth, &ports.access, ticking.clone());
        let keeping = keys.keep(ticking.clone());
        let (result, (), (), ()) = tokio::join!(serving, scheduler.run(ticking.clone()), keeping, forgetting);
        served.trigger();
        result
    };
    let (result, (), ()) = tokio::join!(serving, publisher.run(&served), fences.run(&served));
    result
}
