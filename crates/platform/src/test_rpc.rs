//! What the tests of this crate call: a service that says when it was called and answers when it is told.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::{Service, ServiceExt};

use crate::server::{Health, ServeError, Server, bind};
use crate::{Channel, ChannelOptions, Shutdown, connect_lazy};

/// The path at which [`Gate`] is called.
pub(crate) const GATE: &str = "/test.Gate/Pass";

/// The health that [`start`] serves.
pub(crate) const READY: &str = "test.Ready";

/// Adds a permit to `arrived` at each call, and takes one from `open` before it answers.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) arrived: Arc<Semaphore>,
    pub(crate) open: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Self {
            arrived: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits for one call.
    pub(crate) async fn arrival(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }
}

impl NamedService for Gate {
    const NAME: &'static str = "test.Gate";
}

impl Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let gate = self.clone();
        Box::pin(async move {
            gate.arrived.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
            Ok(Response::builder()
                .header("grpc-status", "0")
                .body(Body::empty())
                .unwrap())
        })
    }
}

/// A server in the background.
pub(crate) struct Running {
    pub(crate) uri: String,
    pub(crate) shutdown: Shutdown,
    pub(crate) draining: Shutdown,
    pub(crate) ended: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub(crate) fn channel(&self) -> Channel {
        connect_lazy(&self.uri, &ChannelOptions::default()).unwrap()
    }

    pub(crate) async fn stop(self) -> Result<(), ServeError> {
        self.shutdown.trigger();
        self.ended.await.unwrap()
    }
}

/// Serves `gate` and health; `change` sets options.
pub(crate) async fn start(gate: &Gate, change: impl FnOnce(Server) -> Server) -> Running {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let health = Health::new([READY]);
    health.ready().await;
    let server = Server::new("test", listener, health).routes(Routes::new(gate.clone()));
    let server = change(server);
    let (shutdown, draining) = (Shutdown::new(), server.draining());
    let ended = tokio::spawn(server.serve(shutdown.clone()));
    Running {
        uri,
        shutdown,
        draining,
        ended,
    }
}

/// Calls the gate and returns the status that came back.
pub(crate) async fn pass(mut channel: Channel) -> tonic::Code {
    let request = Request::post(GATE).header("content-type", "application/grpc");
    call(&mut channel, request.body(Body::empty()).unwrap()).await
}

/// Makes one call and returns its status.
pub(crate) async fn call(channel: &mut Channel, request: Request<Body>) -> tonic::Code {
    let sent = match channel.ready().await {
        Ok(ready) => ready.call(request).await,
        Err(status) => Err(status),
    };
    match sent {
        Err(status) => status.code(),
        Ok(response) => tonic::Status::from_header_map(response.headers()).unwrap().code(),
    }
}
