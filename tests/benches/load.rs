//! Load on a gRPC server, made as cheaply as can be: HTTP/2 streams with requests that were encoded before, answers that are counted and
//! not decoded. What is measured is then the server, not the client.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use prost::Message;
use tokio::{net::TcpStream, task::JoinSet};

/// Connections to one method of one server.
pub(crate) struct Load {
    connections: Vec<SendRequest<Bytes>>,
    uri: String,
}

/// What one round came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// `message` as the body of a call.
pub(crate) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut body = BytesMut::with_capacity(5 + length);
    body.put_u8(0);
    body.put_u32(u32::try_from(length).expect("messages of a bench are small"));
    message.encode(&mut body).expect("a buffer grows");
    body.freeze()
}

impl Load {
    /// Opens `connections` connections.
    pub(crate) async fn connect(server: SocketAddr, method: &str, connections: usize) -> Result<Self> {
        let mut opened = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let (requests, connection) = h2::client::Builder::new().handshake(stream).await?;
            tokio::spawn(connection);
            opened.push(requests);
        }
        let uri = format!("http://{server}{method}");
        Ok(Self {
            connections: opened,
            uri,
        })
    }

    /// Makes all calls of `bodies`, with `streams` under way on each connection.
    pub(crate) async fn round(&self, bodies: &Arc<Vec<Bytes>>, streams: usize) -> Result<Figures> {
        let callers = self.connections.len() * streams;
        let start = Instant::now();
        let mut calls = JoinSet::new();
        for caller in 0..callers {
            let connection = self.connections[caller % self.connections.len()].clone();
            calls.spawn(call_all(
                connection,
                self.uri.clone(),
                bodies.clone(),
                caller,
                callers,
            ));
        }
        let mut waits = Vec::with_capacity(bodies.len());
        while let Some(done) = calls.join_next().await {
            waits.extend(done??);
        }
        let took = start.elapsed();
        waits.sort_unstable();
        let quantile = |q: f64| {
            let at = (waits.len() as f64 * q) as usize;
            waits
                .get(at)
                .map_or(0.0, |wait: &Duration| wait.as_secs_f64() * 1e3)
        };
        Ok(Figures {
            per_second: crate::per_second(waits.len(), took),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
        })
    }
}

/// Every `step`th body from the `first`, one after the other; the answer is how long each took.
async fn call_all(
    mut connection: SendRequest<Bytes>,
    uri: String,
    bodies: Arc<Vec<Bytes>>,
    first: usize,
    step: usize,
) -> Result<Vec<Duration>> {
    let mut waits = Vec::with_capacity(bodies.len() / step + 1);
    let head = http::Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    for body in bodies.iter().skip(first).step_by(step) {
        let start = Instant::now();
        connection = connection.ready().await?;
        let (answer, mut send) = connection.send_request(head.clone(), false)?;
        send.send_data(body.clone(), true)?;
        let mut answer = answer.await?.into_body();
        let mut bytes = 0;
        while let Some(data) = answer.data().await {
            let data = data?;
            bytes += data.len();
            answer.flow_control().release_capacity(data.len())?;
        }
        let trailers = answer.trailers().await?.context("an answer without trailers")?;
        ensure!(
            trailers.get("grpc-status").is_some_and(|status| status == "0"),
            "{trailers:?}"
        );
        ensure!(bytes > 5, "an empty answer");
        waits.push(start.elapsed());
    }
    Ok(waits)
}

/// The round in the middle by calls a second.
pub(crate) fn middle(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds[rounds.len() / 2]
}
