//! etcd, one member.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::server::{Recipe, Server};
use crate::os;
use crate::port::Port;

/// A private etcd.
pub type Etcd = Server<EtcdRecipe>;

/// How etcd is started.
#[derive(Debug)]
pub struct EtcdRecipe {
    peer: Port,
    args: Vec<String>,
}

impl Server<EtcdRecipe> {
    /// Starts an empty etcd.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with more arguments, such as `--quota-backend-bytes=2000000`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_with(args: &[&str]) -> Result<Self> {
        let args = args.iter().map(ToString::to_string).collect();
        Self::launch(EtcdRecipe {
            peer: Port::reserve()?,
            args,
        })
        .await
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Calls a method of etcd's JSON gateway, such as `kv/range`, and returns the answer. Keys and values are base64.
    ///
    /// # Errors
    /// When etcd cannot be reached or refuses.
    pub async fn call(&self, method: &str, body: &str) -> Result<String> {
        post(self.port.number(), method, body).await
    }
}

impl Recipe for EtcdRecipe {
    const PROGRAM: &'static str = "etcd";
    const PACKAGE: &'static str = "etcd-server";
    const STOP_SIGNAL: i32 = os::SIGTERM;
    const DEATH_SIGNAL: i32 = os::SIGKILL;

    fn command(&self, dir: &Path, port: u16) -> Result<Command> {
        let client = format!("http://127.0.0.1:{port}");
        let peer = format!("http://{}", self.peer.addr());
        let mut command = Command::new(Self::PROGRAM);
        command
            .arg("--data-dir")
            .arg(dir.join("data"))
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .args(["--heartbeat-interval=20", "--election-timeout=200"])
            .args(["--unsafe-no-fsync", "--logger=zap"])
            .args(&self.args);
        Ok(command)
    }

    fn probe(&self, port: u16) -> BoxFuture<'_, Result<()>> {
        // The key is `health`.
        const KEY: &str = r#"{"key":"aGVhbHRo"}"#;
        Box::pin(async move {
            post(port, "kv/put", KEY).await?;
            post(port, "kv/deleterange", KEY).await.map(drop)
        })
    }
}

async fn post(port: u16, method: &str, body: &str) -> Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = format!(
            "POST /v3/{method} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = timeout(Duration::from_secs(5), exchange)
        .await
        .context("etcd does not answer")??;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("etcd's answer has no body")?;
    ensure!(
        head.split(' ').nth(1) == Some("200"),
        "etcd refuses {method}: {answer}"
    );
    Ok(body.to_owned())
}
