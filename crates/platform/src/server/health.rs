use std::sync::Arc;

use tokio::sync::Mutex;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The health of a server, as `grpc.health.v1` tells it. Clones are the same health.
///
/// Each named service is the readiness of that service: not ready until it is told. The name `""` is the liveness of
/// the process: it is serving for as long as it answers and depends on nothing else.
#[derive(Clone, Debug)]
pub struct Health {
    names: Arc<[String]>,
    reporter: HealthReporter,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    NotReady,
    Ready,
    /// Not ready, for good.
    Ending,
}

impl Health {
    /// The health of the services with these full names, such as `assay.config.v1.ConfigService`
    /// (`NamedService::NAME`). None of them is ready yet.
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            reporter: HealthReporter::new(),
            state: Arc::default(),
        }
    }

    /// All named services are ready; ignored once the server is shutting down.
    pub async fn ready(&self) {
        self.change(State::Ready).await;
    }

    /// No named service is ready, such as while nothing is there to serve from.
    pub async fn not_ready(&self) {
        self.change(State::NotReady).await;
    }

    /// Whether the named services are ready.
    pub(crate) async fn is_ready(&self) -> bool {
        *self.state.lock().await == State::Ready
    }

    /// The first step of a shutdown: not ready, for good.
    pub(super) async fn ending(&self) {
        self.change(State::Ending).await;
    }

    /// Ends the streams of those who watch our health, which would else never end. For the moments until the port is
    /// closed each name is then unknown, which watchers and probes take for not ready.
    pub(super) async fn end_watches(&self) {
        let mut reporter = self.reporter.clone();
        for name in self.names.iter().map(String::as_str).chain([""]) {
            reporter.clear_service_status(name).await;
        }
    }

    /// The service to be put among the routes. Every name is known to it from the start.
    pub(super) async fn service(&self) -> HealthServer<HealthService> {
        self.publish(*self.state.lock().await).await;
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    async fn change(&self, to: State) {
        // Held while publishing, so that what is published last is what was decided last.
        let mut state = self.state.lock().await;
        if *state != State::Ending {
            *state = to;
            self.publish(to).await;
        }
    }

    async fn publish(&self, state: State) {
        let status = if state == State::Ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in self.names.iter() {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
