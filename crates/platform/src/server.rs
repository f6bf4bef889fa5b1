//! A gRPC server from the bound port to the last answer.
//!
//! ```no_run
//! # async fn serve(shutdown: assay_platform::Shutdown) -> Result<(), Box<dyn std::error::Error>> {
//! use assay_platform::server::{Health, Server, bind};
//!
//! let listener = bind("127.0.0.1:7071").await?;
//! let health = Health::new(["assay.config.v1.ConfigService"]);
//! let server = Server::new("assay-config", listener, health.clone());
//! let draining = server.draining(); // for handlers of streams, which must end when it is triggered
//! health.ready().await;
//! server.routes(tonic::service::Routes::default()).serve(shutdown).await?;
//! # drop(draining); Ok(()) }
//! ```

mod bind;
mod connections;
mod deadline;
mod health;
mod in_flight;
mod limits;
mod refusal;
mod stack;
mod unary;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::service::Routes;

use crate::access::Access;
use crate::error::BoxError;
use crate::shutdown::Shutdown;
pub use bind::{BindError, bind};
use connections::Connections;
pub use health::Health;
use in_flight::InFlight;
use limits::Gate;
pub use limits::Limits;
use stack::Stack;
use unary::Ways;
pub use unary::{After, Unary};

/// From the shutdown to the end of [`Server::serve`] at most. It leaves time to flush before
/// [`crate::shutdown::WORK_DEADLINE`].
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(18);

/// A gRPC server that is being put together; [`Server::serve`] runs it.
pub struct Server {
    name: &'static str,
    listener: TcpListener,
    health: Health,
    routes: Routes,
    short: Option<Arc<dyn Unary>>,
    descriptors: Vec<&'static [u8]>,
    workers: usize,
    access: Option<Access>,
    accept_http1: bool,
    limits: Limits,
    drain_pause: Duration,
    drain_deadline: Duration,
    draining: Shutdown,
}

/// Why a server ended before or after its time.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Some calls had not ended by the deadline. They are cut off when the runtime ends.
    #[error("{name} gave up on {} after {} s", list(laggards), deadline.as_secs())]
    DrainDeadline {
        /// The server.
        name: &'static str,
        /// The deadline, counted from the shutdown.
        deadline: Duration,
        /// The calls by method, with how many of each.
        laggards: Vec<(String, usize)>,
    },
    /// A descriptor set is not one: a mistake in the build.
    #[error("descriptors of {name} cannot be read")]
    Descriptors {
        /// The server.
        name: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A worker cannot be started.
    #[error("{name} cannot start its workers")]
    Workers {
        /// The server.
        name: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Server {
    /// A server called `name` in logs, on a port that is bound already. `health` is served beside the routes.
    #[must_use]
    pub fn new(name: &'static str, listener: TcpListener, health: Health) -> Self {
        Self {
            name,
            listener,
            health,
            routes: Routes::default(),
            short: None,
            descriptors: Vec::new(),
            workers: 0,
            access: None,
            accept_http1: false,
            limits: Limits::default(),
            drain_pause: Duration::ZERO,
            drain_deadline: DRAIN_DEADLINE,
            draining: Shutdown::new(),
        }
    }

    /// Triggered when streams are to end: after balancers had their pause, unlike the token given to
    /// [`Server::serve`]. Every handler of a stream must select on it.
    #[must_use]
    pub fn draining(&self) -> Shutdown {
        self.draining.clone()
    }

    /// What is served. Limits of message sizes are set on the services in it.
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
    }

    /// Answers the ordinary calls of one method the short way.
    #[must_use]
    pub fn unary(mut self, short: impl Unary) -> Self {
        self.short = Some(Arc::new(short));
        self
    }

    /// Asks `access` about every call. Unless called, everything passes and nobody is known: only for servers that hold nothing.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Lets callers ask what is served, from these encoded descriptor sets. Off unless called: it tells strangers a lot.
    #[must_use]
    pub fn reflection(mut self, descriptors: impl IntoIterator<Item = &'static [u8]>) -> Self {
        self.descriptors.extend(descriptors);
        self
    }

    /// Serves connections on this many threads, each with a runtime of its own, instead of the caller's runtime: faster for many
    /// short calls. 0 unless called. Handlers must not count on the caller's runtime then.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Also serves HTTP/1.1, for routes that are not gRPC alone.
    #[must_use]
    pub fn accept_http1(mut self) -> Self {
        self.accept_http1 = true;
        self
    }

    /// What it takes at most; the defaults of [`Limits`] unless called.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long to go on accepting after health says "not ready", so that balancers notice. Zero unless called.
    #[must_use]
    pub fn drain_pause(mut self, pause: Duration) -> Self {
        self.drain_pause = pause;
        self
    }

    /// When to give up on calls that do not end, counted from the shutdown; [`DRAIN_DEADLINE`] unless called.
    #[must_use]
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.drain_deadline = deadline;
        self
    }

    /// Serves until `shutdown`, then drains: not ready, pause, stop accepting, end streams, finish calls. Connections
    /// without a call are waited for a second, calls until the drain deadline, whatever hangs.
    ///
    /// # Errors
    /// [`ServeError`]; the laggards of a missed deadline are logged, too.
    pub async fn serve(self, shutdown: Shutdown) -> Result<(), ServeError> {
        let (name, deadline, pause) = (self.name, self.drain_deadline, self.drain_pause);
        let (health, draining) = (self.health.clone(), self.draining.clone());
        let in_flight = InFlight::default();
        let serving = self.transport(&in_flight).await?;
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return ended,
            () = shutdown.triggered() => {}
        }
        let drain = async {
            health.ending().await;
            tokio::time::sleep(pause).await;
            draining.trigger();
            health.end_watches().await;
        };
        let both = async { tokio::join!(serving, drain).0 };
        match tokio::time::timeout(deadline, both).await {
            Ok(ended) => ended,
            Err(_) => {
                draining.trigger();
                let laggards = in_flight.list();
                if laggards.is_empty() {
                    // An idle peer that does not hang up misses nothing when it is cut off.
                    tracing::info!(name, "connections without a call are cut off");
                    return Ok(());
                }
                tracing::error!(
                    name,
                    laggards = list(&laggards),
                    "calls missed the drain deadline"
                );
                Err(ServeError::DrainDeadline {
                    name,
                    deadline,
                    laggards,
                })
            }
        }
    }

    /// The server until it stops accepting, which it does when `draining` is triggered, and its connections have ended.
    async fn transport(
        self,
        in_flight: &InFlight,
    ) -> Result<impl Future<Output = Result<(), ServeError>> + use<>, ServeError> {
        let (name, listener, workers) = (self.name, self.listener, self.workers);
        let mut routes = self.routes.add_service(self.health.service().await);
        if !self.descriptors.is_empty() {
            routes = reflect(routes, &self.descriptors)
                .map_err(|source| ServeError::Descriptors { name, source })?;
        }
        let gate = Gate::new(&self.limits);
        let ways = Ways::new(gate, in_flight.clone(), self.access, self.short, routes);
        let connections = Connections {
            stack: Stack::new(ways, in_flight.clone()),
            http: connections::http(self.accept_http1),
            max_age: self.limits.max_connection_age,
            draining: self.draining,
        };
        Ok(async move {
            let served = connections.serve(listener, workers, name).await;
            served.map_err(|source| ServeError::Workers { name, source })
        })
    }
}

fn reflect(routes: Routes, descriptors: &[&'static [u8]]) -> Result<Routes, BoxError> {
    // The details of every refusal are of these types.
    let mut builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
    for set in descriptors {
        builder = builder.register_encoded_file_descriptor_set(set);
    }
    Ok(routes.add_service(builder.build_v1()?))
}

/// `2 × assay.config.v1.ConfigService/Watch, 1 × …`
fn list(laggards: &[(String, usize)]) -> String {
    let each = laggards.iter().map(|(method, n)| format!("{n} × {method}"));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
