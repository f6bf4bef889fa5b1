//! Redis, one instance.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::server::{Recipe, Server};
use crate::os;

/// A private Redis.
pub type Redis = Server<RedisRecipe>;

/// What a Redis keeps when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: it comes back empty.
    Volatile,
    /// All that it has acknowledged, as long as the machine lives: an append-only file without fsync.
    Durable,
    /// The same with an fsync before each answer.
    Synced,
}

/// How Redis is started.
#[derive(Debug)]
pub struct RedisRecipe {
    durability: Durability,
    args: Vec<String>,
}

impl Server<RedisRecipe> {
    /// Starts an empty Redis that keeps its data when it is killed.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(Durability::Durable, &[]).await
    }

    /// The same with a choice of durability and more arguments, such as `--maxmemory 4mb` (two of them).
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_with(durability: Durability, args: &[&str]) -> Result<Self> {
        let args = args.iter().map(ToString::to_string).collect();
        Self::launch(RedisRecipe { durability, args }).await
    }

    /// `redis://127.0.0.1:<port>`; append `/<n>` for one of 1024 separate databases.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// Sends one command and returns a simple, integer or bulk answer as text (none for a missing key).
    ///
    /// # Errors
    /// When Redis cannot be reached or answers an error.
    pub async fn call(&self, command: &[&str]) -> Result<Option<String>> {
        call(self.port.number(), command).await
    }
}

impl Recipe for RedisRecipe {
    const PROGRAM: &'static str = "redis-server";
    const PACKAGE: &'static str = "redis-server";
    const STOP_SIGNAL: i32 = os::SIGTERM;
    const DEATH_SIGNAL: i32 = os::SIGKILL;

    fn command(&self, dir: &Path, port: u16) -> Result<Command> {
        let (append_only, fsync) = match self.durability {
            Durability::Volatile => ("no", "no"),
            Durability::Durable => ("yes", "no"),
            Durability::Synced => ("yes", "always"),
        };
        let mut command = Command::new(Self::PROGRAM);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--databases", "1024", "--save", ""])
            .args(["--appendonly", append_only, "--appendfsync", fsync])
            .arg("--dir")
            .arg(dir)
            .args(&self.args);
        Ok(command)
    }

    fn probe(&self, port: u16) -> BoxFuture<'_, Result<()>> {
        // While the append-only file is being loaded this answers an error.
        Box::pin(async move { call(port, &["PING"]).await.map(drop) })
    }
}

async fn call(port: u16, command: &[&str]) -> Result<Option<String>> {
    let exchange = async {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
        let mut request = format!("*{}\r\n", command.len());
        for word in command {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(request.as_bytes()).await?;
        read_answer(&mut stream).await
    };
    timeout(Duration::from_secs(5), exchange)
        .await
        .context("Redis does not answer")?
}

async fn read_answer(stream: &mut BufReader<TcpStream>) -> Result<Option<String>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).context("Redis closed the connection")?;
    match kind {
        "+" | ":" => Ok(Some(rest.to_owned())),
        "$" if rest == "-1" => Ok(None),
        "$" => {
            let mut bytes = vec![0; rest.parse::<usize>()? + 2];
            stream.read_exact(&mut bytes).await?;
            bytes.truncate(bytes.len() - 2);
            Ok(Some(String::from_utf8(bytes)?))
        }
        _ => {
            ensure!(kind == "-", "Redis answers a list: {line}");
            anyhow::bail!("Redis answers: {rest}")
        }
    }
}
