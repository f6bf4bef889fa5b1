//! A TCP proxy that misbehaves on request: network faults without privileges.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::port::Port;

/// Chunks on their way in one direction of one connection; a chunk is at most [`CHUNK_BYTES`].
const IN_FLIGHT: usize = 256;
const CHUNK_BYTES: usize = 16 * 1024;

/// A proxy in front of one address. It closes everything when dropped.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass { delay: Duration },
    Hold,
    Cut,
}

const HEALTHY: Mode = Mode::Pass {
    delay: Duration::ZERO,
};

struct Command {
    mode: Mode,
    done: oneshot::Sender<io::Result<()>>,
}

struct Acceptor {
    port: Port,
    target: SocketAddr,
    listener: Option<TcpListener>,
    mode: watch::Sender<Mode>,
    connections: JoinSet<()>,
}

impl Proxy {
    /// Starts a healthy proxy to `target`, which need not listen yet.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let port = Port::reserve()?;
        let addr = port.addr();
        let listener = Some(port.listen()?);
        let acceptor = Acceptor {
            port,
            target,
            listener,
            mode: watch::Sender::new(HEALTHY),
            connections: JoinSet::new(),
        };
        let (commands, inbox) = mpsc::channel(1);
        let task = tokio::spawn(acceptor.run(inbox));
        Ok(Self { addr, commands, task })
    }

    /// Where clients connect; the same for the life of the proxy.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes all connections and refuses new ones.
    ///
    /// # Errors
    /// When the proxy has ended.
    pub async fn cut(&self) -> Result<()> {
        self.set(Mode::Cut).await
    }

    /// Half-open: connections stay, new ones are accepted, no byte passes in either direction. What was sent meanwhile
    /// arrives after [`restore`](Self::restore).
    ///
    /// # Errors
    /// When the proxy has ended.
    pub async fn hold(&self) -> Result<()> {
        self.set(Mode::Hold).await
    }

    /// Passes everything on, each byte `delay` late in each direction.
    ///
    /// # Errors
    /// When the proxy has ended.
    pub async fn delay(&self, delay: Duration) -> Result<()> {
        self.set(Mode::Pass { delay }).await
    }

    /// Healthy again.
    ///
    /// # Errors
    /// When the proxy has ended.
    pub async fn restore(&self) -> Result<()> {
        self.set(HEALTHY).await
    }

    async fn set(&self, mode: Mode) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.commands
            .send(Command { mode, done })
            .await
            .ok()
            .context("the proxy has ended")?;
        Ok(answer.await.context("the proxy has ended")??)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Acceptor {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                command = inbox.recv() => {
                    let Some(Command { mode, done }) = command else { return };
                    // Whoever asked may be gone.
                    let _ = done.send(self.apply(mode).await);
                }
                Some(stream) = accept(self.listener.as_ref()) => {
                    self.connections.spawn(connect(stream, self.target, self.mode.subscribe()));
                }
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    async fn apply(&mut self, mode: Mode) -> io::Result<()> {
        self.mode.send_replace(mode);
        if mode == Mode::Cut {
            self.listener = None;
            self.connections.shutdown().await;
        } else if self.listener.is_none() {
            self.listener = Some(self.port.listen()?);
        }
        Ok(())
    }
}

/// None when nobody listens, or the client was gone before it was accepted.
async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    listener?.accept().await.ok().map(|(stream, _)| stream)
}

/// One connection, until either side has closed it for good. An error on one side closes the other.
async fn connect(client: TcpStream, target: SocketAddr, mut mode: watch::Receiver<Mode>) {
    passing(&mut mode).await;
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let _ = tokio::try_join!(
        relay(from_client, to_server, mode.clone()),
        relay(from_server, to_client, mode),
    );
}

async fn relay(from: OwnedReadHalf, to: OwnedWriteHalf, mode: watch::Receiver<Mode>) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    tokio::try_join!(read(from, sender, mode.clone()), write(to, receiver, mode)).map(drop)
}

async fn read(
    mut from: OwnedReadHalf,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let n_bytes = from.read(&mut chunk).await?;
        let due = Instant::now() + passing(&mut mode).await;
        chunk.truncate(n_bytes);
        if n_bytes == 0 || sender.send((due, chunk)).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut to: OwnedWriteHalf,
    mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    while let Some((due, chunk)) = receiver.recv().await {
        sleep_until(due).await;
        passing(&mut mode).await;
        to.write_all(&chunk).await?;
    }
    to.shutdown().await
}

/// Waits while bytes are held, and says by how much they are to be delayed. A cut needs no answer: it ends the task.
async fn passing(mode: &mut watch::Receiver<Mode>) -> Duration {
    let current = mode
        .wait_for(|mode| matches!(mode, Mode::Pass { .. }))
        .await
        .map(|mode| *mode);
    match current {
        Ok(Mode::Pass { delay }) => delay,
        _ => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(10);

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        addr
    }

    async fn exchange(stream: &mut TcpStream, text: &str) -> io::Result<String> {
        stream.write_all(text.as_bytes()).await?;
        read_text(stream, text.len()).await
    }

    async fn read_text(stream: &mut TcpStream, n_bytes: usize) -> io::Result<String> {
        let mut answer = vec![0; n_bytes];
        stream.read_exact(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    #[tokio::test]
    async fn passes_bytes_and_the_end_of_each_direction() {
        let proxy = Proxy::start(echo().await).unwrap();
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(exchange(&mut stream, "hello").await.unwrap(), "hello");
        stream.write_all(b"last").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        timeout(LONG, stream.read_to_string(&mut rest))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(rest, "last");
    }

    #[tokio::test]
    async fn cut_closes_and_refuses_until_restored() {
        let proxy = Proxy::start(echo().await).unwrap();
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        exchange(&mut stream, "hello").await.unwrap();
        proxy.cut().await.unwrap();
        timeout(LONG, exchange(&mut stream, "lost"))
            .await
            .unwrap()
            .unwrap_err();
        let refused = TcpStream::connect(proxy.addr()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.restore().await.unwrap();
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(exchange(&mut stream, "again").await.unwrap(), "again");
    }

    #[tokio::test]
    async fn hold_keeps_connections_and_delivers_after() {
        let proxy = Proxy::start(echo().await).unwrap();
        let mut old = TcpStream::connect(proxy.addr()).await.unwrap();
        exchange(&mut old, "hello").await.unwrap();
        proxy.hold().await.unwrap();
        let mut new = TcpStream::connect(proxy.addr()).await.unwrap();
        timeout(SHORT, exchange(&mut old, "late")).await.unwrap_err();
        timeout(SHORT, exchange(&mut new, "late")).await.unwrap_err();
        proxy.restore().await.unwrap();
        assert_eq!(
            timeout(LONG, read_text(&mut old, 4)).await.unwrap().unwrap(),
            "late"
        );
        assert_eq!(
            timeout(LONG, read_text(&mut new, 4)).await.unwrap().unwrap(),
            "late"
        );
    }

    #[tokio::test]
    async fn delay_is_latency_not_a_limit_of_throughput() {
        let proxy = Proxy::start(echo().await).unwrap();
        proxy.delay(SHORT).await.unwrap();
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        let start = Instant::now();
        let text = "x".repeat(10 * CHUNK_BYTES);
        assert_eq!(
            timeout(LONG, exchange(&mut stream, &text))
                .await
                .unwrap()
                .unwrap(),
            text
        );
        let taken = start.elapsed();
        assert!(taken >= 2 * SHORT, "{taken:?} is less than there and back");
        assert!(
            taken < 20 * SHORT,
            "{taken:?}: the chunks were delayed one after another"
        );
    }

    #[tokio::test]
    async fn an_absent_target_looks_like_a_closed_connection() {
        let nobody = Port::reserve().unwrap();
        let proxy = Proxy::start(nobody.addr()).unwrap();
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        timeout(LONG, exchange(&mut stream, "hello"))
            .await
            .unwrap()
            .unwrap_err();
    }
}
