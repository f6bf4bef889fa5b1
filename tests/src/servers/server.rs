//! One server process: start, stop, kill, pause, resume, restart.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::root::root;
use crate::os;
use crate::port::Port;

/// Generous, since it is only ever used up by a failure: two loaded cores may need seconds for `initdb`.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// What differs between servers.
pub trait Recipe: Send + Sync + Sized + 'static {
    /// The program's name.
    const PROGRAM: &'static str;
    /// The Debian package that has it.
    const PACKAGE: &'static str;
    /// The signal that asks for an orderly end.
    const STOP_SIGNAL: i32;
    /// The signal for when nobody waits any more: dropped, or the test process is gone.
    const DEATH_SIGNAL: i32;

    /// Fills the empty directory, once.
    fn prepare<'a>(&'a self, _dir: &'a Path) -> BoxFuture<'a, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// The command that serves `dir` on `port` in the foreground.
    ///
    /// # Errors
    /// When the program is not installed.
    fn command(&self, dir: &Path, port: u16) -> Result<Command>;

    /// A real operation, such as a write: that the port is open proves little.
    fn probe(&self, port: u16) -> BoxFuture<'_, Result<()>>;
}

/// A private server, running or not. It keeps its port and its data until it is dropped.
#[derive(Debug)]
pub struct Server<R: Recipe> {
    pub(super) recipe: R,
    pub(super) port: Port,
    dir: PathBuf,
    child: Option<Child>,
}

impl<R: Recipe> Server<R> {
    pub(super) async fn launch(recipe: R) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("{}-", R::PROGRAM))
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(root()?)?
            .keep();
        let port = Port::reserve().context("no free port")?;
        let mut server = Self {
            recipe,
            port,
            dir,
            child: None,
        };
        server.recipe.prepare(&server.dir).await?;
        server.restart().await?;
        Ok(server)
    }

    /// Starts the server again, on the same port with the same data, and waits until it works. A running server is
    /// stopped first.
    ///
    /// # Errors
    /// When it does not start, with the end of its log.
    pub async fn restart(&mut self) -> Result<()> {
        if self.child.is_some() {
            self.stop().await?;
        }
        let mut command = self.recipe.command(&self.dir, self.port.number())?;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = os::spawn(command, R::DEATH_SIGNAL).map_err(|e| not_started::<R>(&e))?;
        self.child = Some(child);
        let end = Instant::now() + START;
        loop {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
                self.child = None;
                bail!(
                    "{} ended with {} at start; its log ends:\n{}",
                    R::PROGRAM,
                    status?,
                    self.log_tail()
                );
            }
            match self.recipe.probe(self.port.number()).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > end => {
                    return Err(error.context(format!(
                        "{} does not work {START:?} after its start; its log ends:\n{}",
                        R::PROGRAM,
                        self.log_tail()
                    )));
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Asks the server to end in order and waits for it.
    ///
    /// # Errors
    /// When it does not run, or does not end in time (it is killed then).
    pub async fn stop(&mut self) -> Result<()> {
        self.resume()?;
        os::send(R::STOP_SIGNAL, self.pid()?)?;
        let waited = self.wait().await;
        if waited.is_err() {
            self.kill().await?;
        }
        waited.with_context(|| format!("{} did not stop and was killed", R::PROGRAM))
    }

    /// Kills the server and its children with SIGKILL and waits until they are gone.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&mut self) -> Result<()> {
        let pids = self.stopped_tree()?;
        for pid in &pids {
            ignore_gone(os::send(os::SIGKILL, *pid))?;
        }
        self.note_resumed();
        self.wait().await?;
        // PostgreSQL refuses to start while a process of its former life still has its memory.
        let end = Instant::now() + STOP;
        while let Some(pid) = pids.iter().find(|pid| os::is_alive(**pid)) {
            ensure!(
                Instant::now() < end,
                "child {pid} of {} survives SIGKILL",
                R::PROGRAM
            );
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Stops the clock of the server and its children: connections stay open, nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&mut self) -> Result<()> {
        let pids = self.stopped_tree()?;
        for pid in pids {
            std::fs::write(root()?.join("paused").join(pid.to_string()), "")?;
        }
        Ok(())
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&mut self) -> Result<()> {
        let pid = self.pid()?;
        for pid in os::children(pid).into_iter().chain([pid]) {
            ignore_gone(os::send(os::SIGCONT, pid))?;
        }
        self.note_resumed();
        Ok(())
    }

    /// `127.0.0.1:<port>`, the same for the life of this value.
    #[must_use]
    pub fn addr(&self) -> std::net::SocketAddr {
        self.port.addr()
    }

    /// The process, while it runs.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32> {
        Ok(self
            .child
            .as_ref()
            .with_context(|| format!("{} does not run", R::PROGRAM))?
            .id())
    }

    /// The directory with its data and its log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The last lines that the server wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = std::fs::read(self.log_file()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Stops the parent first, so that no child is born after they have been listed.
    fn stopped_tree(&self) -> Result<Vec<u32>> {
        let pid = self.pid()?;
        os::send(os::SIGSTOP, pid)?;
        let children = os::children(pid);
        for child in &children {
            ignore_gone(os::send(os::SIGSTOP, *child))?;
        }
        Ok(children.into_iter().chain([pid]).collect())
    }

    /// Waits until the process has ended.
    async fn wait(&mut self) -> Result<()> {
        let end = Instant::now() + STOP;
        while let Some(child) = &mut self.child {
            if child.try_wait()?.is_some() {
                self.child = None;
            } else {
                ensure!(
                    Instant::now() < end,
                    "process {} still runs after {STOP:?}",
                    child.id()
                );
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    fn note_resumed(&self) {
        let (Ok(root), Ok(pid)) = (root(), self.pid()) else {
            return;
        };
        for pid in os::children(pid).into_iter().chain([pid]) {
            // Most were never paused.
            let _ = std::fs::remove_file(root.join("paused").join(pid.to_string()));
        }
    }
}

impl<R: Recipe> Drop for Server<R> {
    fn drop(&mut self) {
        let _ = self.resume();
        if let Some(child) = &mut self.child {
            let _ = os::send(R::DEATH_SIGNAL, child.id());
            if !ends_soon(child) {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        // A child may still be writing; what is left is removed when the process ends.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn ends_soon(child: &mut Child) -> bool {
    for _ in 0..400 {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    false
}

/// A process that has just ended by itself is no failure of the signal.
fn ignore_gone(sent: io::Result<()>) -> io::Result<()> {
    sent.or_else(|e| {
        if e.raw_os_error() == Some(libc::ESRCH) {
            Ok(())
        } else {
            Err(e)
        }
    })
}

fn not_started<R: Recipe>(error: &io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        return not_installed::<R>();
    }
    anyhow::anyhow!("{} could not be started: {error}", R::PROGRAM)
}

pub(super) fn not_installed<R: Recipe>() -> anyhow::Error {
    anyhow::anyhow!(
        "`{}` is not installed: install the Debian package `{}`, or run `make test`, which does",
        R::PROGRAM,
        R::PACKAGE
    )
}

/// Runs a short-lived program to its end and returns what it printed.
pub(super) async fn run(mut command: Command, deadline: Duration) -> Result<String> {
    let shown = format!("{command:?}");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = os::spawn(command, os::SIGKILL).with_context(|| format!("cannot start {shown}"))?;
    let pid = child.id();
    let mut output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let Ok(output) = tokio::time::timeout(deadline, &mut output).await else {
        os::send(os::SIGKILL, pid)?;
        bail!("{shown} did not end within {deadline:?}");
    };
    let output = output??;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        ExitStatus::success(&output.status),
        "{shown} ended with {}: {out}{err}",
        output.status
    );
    Ok(out.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Absent;

    impl Recipe for Absent {
        const PROGRAM: &'static str = "no-such-server";
        const PACKAGE: &'static str = "no-such-package";
        const STOP_SIGNAL: i32 = os::SIGTERM;
        const DEATH_SIGNAL: i32 = os::SIGKILL;

        fn command(&self, _dir: &Path, _port: u16) -> Result<Command> {
            Ok(Command::new(Self::PROGRAM))
        }

        fn probe(&self, _port: u16) -> BoxFuture<'_, Result<()>> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error_that_says_what_to_install() {
        let error = Server::launch(Absent).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "`no-such-server` is not installed: install the Debian package `no-such-package`, or run `make test`, \
             which does"
        );
    }
}
