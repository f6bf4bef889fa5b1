//! What a process tells of itself to people and scrapers, over plain HTTP on a port of its own:
//!
//! - `/metrics`: every metric, in the text format of OpenMetrics.
//! - `/healthz`: 200 for as long as the process answers.
//! - `/readyz`: 200 when every service in the process is ready, else 503.
//! - `/status`: what each service says of its state, as JSON.
//!
//! Nothing here is secret, and nothing here has a unit in it.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::server::Health;
use crate::shutdown::Shutdown;

pub use prometheus_client;

/// How long a peer may take for its request's head.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// Peers that are served at the same time; the rest waits.
const MAX_PEERS: usize = 64;
/// How long one of them may stay.
const PEER_DEADLINE: Duration = Duration::from_secs(60);

const METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Settings of the port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObserveSettings {
    /// Where to listen, such as `0.0.0.0:9090`. Not set: nowhere.
    pub listen: Option<SocketAddr>,
}

/// What is observed; by default nothing, and whoever tells something is not heard. Clones are the same.
#[derive(Clone, Default)]
pub struct Observed(Option<Arc<Inner>>);

/// What a service says of its state.
type Status = Box<dyn Fn() -> Value + Send + Sync>;

#[derive(Default)]
struct Inner {
    metrics: Mutex<Registry>,
    status: Mutex<Vec<(&'static str, Status)>>,
    healths: Mutex<Vec<(&'static str, Health)>>,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.healths();
        f.debug_list()
            .entries(names.iter().map(|(name, _)| name))
            .finish()
    }
}

impl PartialEq for Observed {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

/// Each change is one call of what is behind it, which a panic cannot leave half done.
fn lock<T>(behind: &Mutex<T>) -> MutexGuard<'_, T> {
    behind.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observed {
    /// Something to observe.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// Asks `collector` at each scrape. Names begin with `assay_`.
    pub fn collect(&self, collector: impl Collector + 'static) {
        if let Some(inner) = &self.0 {
            lock(&inner.metrics).register_collector(Box::new(collector));
        }
    }

    /// Asks `status` for the state of `service`, such as `assignment`, each time somebody wants to know.
    pub fn status(&self, service: &'static str, status: impl Fn() -> Value + Send + Sync + 'static) {
        if let Some(inner) = &self.0 {
            lock(&inner.status).push((service, Box::new(status)));
        }
    }

    /// `service` is ready when `health` says so.
    pub fn health(&self, service: &'static str, health: &Health) {
        if let Some(inner) = &self.0 {
            lock(&inner.healths).push((service, health.clone()));
        }
    }

    /// Every metric, in the text format of OpenMetrics.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        if let Some(inner) = &self.0 {
            // A string takes everything.
            let _ = encode(&mut text, &lock(&inner.metrics));
        }
        text
    }

    fn healths(&self) -> Vec<(&'static str, Health)> {
        self.0
            .as_ref()
            .map(|inner| lock(&inner.healths).clone())
            .unwrap_or_default()
    }

    /// The services that are not ready.
    async fn not_ready(&self) -> Vec<&'static str> {
        let mut waiting = Vec::new();
        for (name, health) in self.healths() {
            if !health.is_ready().await {
                waiting.push(name);
            }
        }
        waiting
    }

    async fn describe(&self) -> Value {
        let waiting = self.not_ready().await;
        let mut told = Map::new();
        if let Some(inner) = &self.0 {
            let services = lock(&inner.status);
            told.extend(
                services
                    .iter()
                    .map(|(name, status)| ((*name).to_owned(), status())),
            );
        }
        told.insert("not_ready".to_owned(), waiting.into());
        told.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        told.into()
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Ok(text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"));
        }
        Ok(match request.uri().path() {
            "/metrics" => response(StatusCode::OK, METRICS, self.metrics()),
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match self.not_ready().await.as_slice() {
                [] => text(StatusCode::OK, "ready\n"),
                waiting => text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    &format!("not ready: {}\n", waiting.join(", ")),
                ),
            },
            "/status" => response(StatusCode::OK, JSON, format!("{:#}\n", self.describe().await)),
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /metrics, /healthz, /readyz and /status\n",
            ),
        })
    }
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    response(status, TEXT, body.to_owned())
}

fn response(status: StatusCode, kind: HeaderValue, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Answers on `listener` until `shutdown`. Nothing else waits for it, and it fails nothing.
pub async fn serve(listener: TcpListener, observed: Observed, shutdown: Shutdown) {
    let peers = Arc::new(Semaphore::new(MAX_PEERS));
    while let Some(accepted) = shutdown.or_done(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a peer cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(Ok(seat)) = shutdown.or_done(peers.clone().acquire_owned()).await else {
            return;
        };
        let observed = observed.clone();
        let answer = service_fn(move |request| {
            let observed = observed.clone();
            async move { observed.answer(request).await }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_DEADLINE)
            .serve_connection(TokioIo::new(stream), answer);
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let _ = shutdown
                .or_done(tokio::time::timeout(PEER_DEADLINE, connection))
                .await;
            drop(seat);
        });
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
    use prometheus_client::metrics::gauge::ConstGauge;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[derive(Debug)]
    struct Seven;

    impl Collector for Seven {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
            let seven = ConstGauge::new(7_i64);
            let metric =
                encoder.encode_descriptor("assay_seven", "Always seven", None, seven.metric_type())?;
            seven.encode(metric)
        }
    }

    async fn get(address: SocketAddr, request: &str) -> String {
        let mut peer = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        peer.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_health_and_status_are_told() {
        let observed = Observed::new();
        let health = Health::new(["x"]);
        observed.collect(Seven);
        observed.health("x", &health);
        observed.status("x", || json!({"generation": 3}));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let serving = tokio::spawn(serve(listener, observed, shutdown.clone()));
        let metrics = get(address, "GET /metrics").await;
        assert!(
            metrics.contains("assay_seven 7\n") && metrics.ends_with("# EOF\n"),
            "{metrics}"
        );
        assert!(get(address, "GET /healthz").await.starts_with("HTTP/1.1 200"));
        let waiting = get(address, "GET /readyz").await;
        assert!(
            waiting.starts_with("HTTP/1.1 503") && waiting.ends_with("not ready: x\n"),
            "{waiting}"
        );
        health.ready().await;
        assert!(get(address, "GET /readyz").await.starts_with("HTTP/1.1 200"));
        let status = get(address, "GET /status").await;
        let (_, body) = status.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["x"]["generation"], &body["not_ready"]),
            (&json!(3), &json!([]))
        );
        assert!(get(address, "GET /nowhere").await.starts_with("HTTP/1.1 404"));
        assert!(get(address, "POST /metrics").await.starts_with("HTTP/1.1 405"));
        shutdown.trigger();
        serving.await.unwrap();
    }
}
