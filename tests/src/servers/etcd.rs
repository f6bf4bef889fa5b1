//! etcd: one member, or three.

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
    name: String,
    peer: Port,
    /// All members with their names: `a=http://…,b=http://…`.
    members: String,
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
        let peer = Port::reserve()?;
        Self::launch(EtcdRecipe {
            name: "default".to_owned(),
            members: format!("default=http://{}", peer.addr()),
            peer,
            args,
        })
        .await
    }

    /// Starts three members of one etcd.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn cluster() -> Result<[Self; 3]> {
        let peers = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let member = |(i, peer): (usize, &Port)| format!("m{i}=http://{}", peer.addr());
        let members = peers.iter().enumerate().map(member).collect::<Vec<_>>().join(",");
        let mut launches = peers.into_iter().enumerate().map(|(i, peer)| {
            Self::launch(EtcdRecipe {
                name: format!("m{i}"),
                members: members.clone(),
                peer,
                args: Vec::new(),
            })
        });
        let mut next = || launches.next().context("a member");
        let (a, b, c) = tokio::try_join!(next()?, next()?, next()?)?;
        Ok([a, b, c])
    }

    /// Whether this member leads, as far as it knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn leads(&self) -> Result<bool> {
        let status: serde_json::Value = serde_json::from_str(&self.call("maintenance/status", "{}").await?)?;
        Ok(status["leader"].is_string() && status["leader"] == status["header"]["member_id"])
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
            .args(["--name", &self.name, "--initial-cluster", &self.members])
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
