//! A program as a user runs it, with its output at hand: the `assay` binary above all.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::eventually;
use crate::os;

/// A running program. It is killed when this value is dropped, and when the test process ends.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Process {
    /// Starts the `assay` binary that was built beside this test.
    ///
    /// # Errors
    /// When there is none, with the command that builds it.
    pub fn assay(args: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        let program = assay_binary()?;
        let program = program.to_str().context("the path of the binary is not UTF-8")?;
        Self::start(program, args, env)
    }

    /// Starts a program. Its environment is `env` and nothing else, so that no setting of the developer leaks in.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(env.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = os::spawn(command, os::SIGKILL).with_context(|| format!("cannot start {program}"))?;
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().context("stdout is piped")?),
            Box::new(child.stderr.take().context("stderr is piped")?),
        ];
        let readers = outputs
            .into_iter()
            .map(|output| collect(output, Arc::clone(&lines)))
            .collect();
        let name = program.rsplit('/').next().unwrap_or(program).to_owned();
        Ok(Self {
            name,
            child,
            lines,
            readers,
        })
    }

    /// All lines written so far to either output, in the order in which they came.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a line contains `text`, and returns the first such line; it may have come before.
    ///
    /// # Errors
    /// When `deadline` passes or the program ends first, with all that it wrote.
    pub async fn wait_for_line(&mut self, text: &str, deadline: Duration) -> Result<String> {
        let ended = eventually(deadline, async || {
            // The end is looked at first: what was written before it is complete by then.
            let status = self.ended();
            let line = self.output().into_iter().find(|line| line.contains(text));
            match (line, status) {
                (Some(line), _) => Ok(Ok(line)),
                (None, Ok(status)) => Ok(Err(status)),
                (None, Err(state)) => Err(state),
            }
        });
        match ended.await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(status)) => Err(self.failure(&format!("ended with {status} before it wrote `{text}`"))),
            Err(error) => Err(self.failure(&format!("did not write `{text}`: {error}"))),
        }
    }

    /// Waits until the program ends by itself.
    ///
    /// # Errors
    /// When `deadline` passes first, with all that it wrote.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let ended = eventually(deadline, async || self.ended()).await;
        ended.map_err(|error| self.failure(&format!("did not end: {error}")))
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// When the program has not ended after `deadline`, with all that it wrote.
    pub async fn terminate(&mut self, deadline: Duration) -> Result<ExitStatus> {
        if self.child.try_wait()?.is_none() {
            os::send(os::SIGTERM, self.child.id())?;
        }
        self.wait(deadline).await
    }

    /// Sends SIGKILL and waits for the end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Stops the program's clock: its connections stay open, it does nothing.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(os::SIGSTOP)
    }

    /// Lets a paused program go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(os::SIGCONT)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&mut self, signal: i32) -> Result<()> {
        // A process that was waited for may have lost its id to another.
        ensure!(self.child.try_wait()?.is_none(), "{} has ended", self.name);
        Ok(os::send(signal, self.child.id())?)
    }

    /// The exit status, once the program has ended and its output was read to the end.
    fn ended(&mut self) -> Result<ExitStatus> {
        let status = self.child.try_wait()?.context("it runs")?;
        ensure!(
            self.readers.iter().all(std::thread::JoinHandle::is_finished),
            "its output is still open"
        );
        Ok(status)
    }

    fn failure(&self, what: &str) -> anyhow::Error {
        anyhow::anyhow!("{} {what}; it wrote:\n{}", self.name, self.output().join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn collect(output: Box<dyn Read + Send>, lines: Arc<Mutex<Vec<String>>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    })
}

/// Tests are at `target/<profile>/deps/it-…`, the binary at `target/<profile>/assay`.
pub(crate) fn assay_binary() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test
        .parent()
        .and_then(|deps| deps.parent())
        .context("the test is not in a target directory")?;
    let binary = profile.join("assay");
    ensure!(
        binary.is_file(),
        "{} is missing: run `cargo build` first, or `make test`, which does",
        binary.display()
    );
    Ok(binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        Process::start(
            "/bin/sh",
            &["-c", script],
            &[("GREETING", "hello"), ("PATH", "/usr/bin:/bin")],
        )
        .unwrap()
    }

    #[tokio::test]
    async fn captures_both_outputs_and_the_exit_status() {
        let mut process = shell("echo $GREETING world; echo oops >&2; exit 3");
        assert_eq!(process.wait_for_line("hello", SOON).await.unwrap(), "hello world");
        assert_eq!(process.wait_for_line("oops", SOON).await.unwrap(), "oops");
        assert_eq!(process.wait(SOON).await.unwrap().code(), Some(3));
    }

    #[tokio::test]
    async fn an_early_end_is_reported_with_the_output() {
        let error = shell("echo bad settings >&2; exit 64")
            .wait_for_line("ready", SOON)
            .await
            .unwrap_err();
        let message = error.to_string();
        assert!(message.contains("before it wrote `ready`"), "{message}");
        assert!(
            message.contains("exit status: 64") && message.contains("bad settings"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn terminate_lets_the_program_clean_up_and_kill_does_not() {
        const LOOP: &str = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let mut process = shell(LOOP);
        process.wait_for_line("ready", SOON).await.unwrap();
        assert!(process.terminate(SOON).await.unwrap().success());
        assert_eq!(process.output(), ["ready", "bye"]);

        let mut process = shell(LOOP);
        process.wait_for_line("ready", SOON).await.unwrap();
        process.kill().unwrap();
        assert_eq!(process.output(), ["ready"]);
    }

    #[tokio::test]
    async fn is_killed_when_dropped() {
        let process = shell("exec sleep 1000");
        let pid = process.pid();
        assert!(os::is_alive(pid));
        drop(process);
        assert!(!os::is_alive(pid));
    }
}
