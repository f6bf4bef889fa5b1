//! Connections: accepted in one place, dealt to whoever serves the fewest, ended in order.
//!
//! A lane serves connections on one runtime. A server without workers has one lane, on the runtime of the caller; with workers
//! it has a lane on each of that many threads with a single-threaded runtime, which is a good deal faster for short calls: no
//! task is ever stolen, and all of a connection's work stays on one core.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tonic::transport::server::Connected as _;

use super::stack::Stack;
use crate::shutdown::Shutdown;

const KEEPALIVE: Duration = Duration::from_secs(20);

/// How many calls one connection may have open at a time; beyond, the client waits.
const MAX_STREAMS_PER_CONNECTION: u32 = 1_024;

/// How long an HTTP/1.1 peer may take for its request's head.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// Once told to go, a peer without a call may take this long to hang up; then it is cut off.
pub(super) const IDLE_GRACE: Duration = Duration::from_secs(1);

/// Accepted connections that wait for their lane.
const MAX_WAITING: usize = 256;

/// The pause after an accept that failed: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How connections are served.
pub(super) struct Connections {
    pub(super) stack: Stack,
    pub(super) http: auto::Builder<TokioExecutor>,
    pub(super) max_age: Duration,
    pub(super) draining: Shutdown,
}

/// HTTP/2 as gRPC needs it, and HTTP/1.1 if asked for.
pub(super) fn http(accept_http1: bool) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION);
    if accept_http1 { http } else { http.http2_only() }
}

impl Connections {
    /// Accepts on `listener` until draining begins, and returns when all connections have ended. Dropped, it cuts them off.
    pub(super) async fn serve(self, listener: TcpListener, workers: usize, name: &str) -> io::Result<()> {
        let connections = Arc::new(self);
        let (mut lanes, mut ends) = (Vec::new(), JoinSet::new());
        for n in 0..workers.max(1) {
            let (lane, accepted) = Lane::new();
            lanes.push(lane);
            let serving = connections.clone().run(accepted);
            if workers == 0 {
                ends.spawn(serving);
            } else {
                let ended = on_a_thread(format!("{name}-{n}"), serving)?;
                ends.spawn(ended);
            }
        }
        connections.accept(listener, lanes).await;
        while ends.join_next().await.is_some() {}
        Ok(())
    }

    /// Deals connections until draining begins. The port is free when this returns.
    async fn accept(&self, listener: TcpListener, lanes: Vec<Lane>) {
        while let Some(accepted) = self.draining.or_done(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => deal(stream, &lanes).await,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// One lane: serves what is `accepted` until no more can come and all has ended.
    async fn run(self: Arc<Self>, mut accepted: mpsc::Receiver<Accepted>) {
        let mut open = JoinSet::new();
        loop {
            tokio::select! {
                next = accepted.recv() => match next {
                    Some(next) => drop(open.spawn(self.clone().serve_one(next))),
                    None => break,
                },
                Some(_) = open.join_next() => {}
            }
        }
        while open.join_next().await.is_some() {}
    }

    /// Serves one connection to its end: the peer's, or ours when it is old or we drain.
    async fn serve_one(self: Arc<Self>, accepted: Accepted) {
        let Accepted { stream, seat: _seat } = accepted;
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "a connection cannot be served"),
        };
        let (stack, calls) = self.stack.for_connection(stream.connect_info());
        let connection = self
            .http
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(stack));
        tokio::pin!(connection);
        let told_to_go = tokio::select! {
            ended = connection.as_mut() => Err(ended),
            () = self.draining.triggered() => Ok(()),
            () = grown_old(self.max_age) => Ok(()),
        };
        let ended = match told_to_go {
            Err(ended) => ended,
            Ok(()) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = idle(&calls) => return tracing::debug!("a peer without a call did not hang up and is cut off"),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended early");
        }
    }
}

/// Resolves `max_age` from now, a tenth earlier or later so that clients do not come back all at once.
async fn grown_old(max_age: Duration) {
    tokio::time::sleep(max_age.mul_f64(rand::random_range(0.9..1.1))).await;
}

/// Resolves when there is no call under way after a grace, and not before.
async fn idle(calls: &AtomicUsize) {
    loop {
        tokio::time::sleep(IDLE_GRACE).await;
        if calls.load(Ordering::Relaxed) == 0 {
            return;
        }
    }
}

/// Where one lane gets its connections from.
struct Lane {
    accepted: mpsc::Sender<Accepted>,
    /// How many connections it has; each holds a clone.
    seats: Arc<()>,
}

/// A connection on its way to its lane, outside any runtime.
struct Accepted {
    stream: std::net::TcpStream,
    seat: Arc<()>,
}

impl Lane {
    fn new() -> (Self, mpsc::Receiver<Accepted>) {
        let (accepted, receiver) = mpsc::channel(MAX_WAITING);
        let seats = Arc::new(());
        (Self { accepted, seats }, receiver)
    }
}

/// Gives `stream` to the lane that has the fewest connections.
async fn deal(stream: TcpStream, lanes: &[Lane]) {
    let Some(lane) = lanes.iter().min_by_key(|lane| Arc::strong_count(&lane.seats)) else {
        return;
    };
    let prepared = stream.set_nodelay(true).and_then(|()| stream.into_std());
    match prepared {
        Ok(stream) => {
            let seat = lane.seats.clone();
            // A lane ends after us, unless its thread has panicked: then the peer is cut off and comes again.
            let _ = lane.accepted.send(Accepted { stream, seat }).await;
        }
        Err(error) => tracing::debug!(%error, "a peer went away while it was accepted"),
    }
}

/// Runs `lane` on a thread with a runtime of its own. The answer resolves when it has ended; dropped, it ends it.
fn on_a_thread(
    name: String,
    lane: impl Future<Output = ()> + Send + 'static,
) -> io::Result<impl Future<Output = ()> + Send> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (done, ended) = oneshot::channel::<()>();
    let run = move || {
        runtime.block_on(async {
            let mut done = done;
            tokio::select! {
                () = lane => {}
                () = done.closed() => {}
            }
        });
    };
    std::thread::Builder::new().name(name).spawn(run)?;
    Ok(async move {
        // An error is the end, too: the sender goes with the thread.
        let _ = ended.await;
    })
}
