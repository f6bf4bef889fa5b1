//! How a process ends: one token that everything long-lived selects on, and signals that trigger it.
//!
//! The order is the same everywhere: not ready, pause for balancers, stop accepting, end streams, finish requests,
//! flush buffers and telemetry, exit. [`crate::server`] does the middle part, [`run_until_signal`] bounds the whole.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// From the first signal to the exit at most, whatever hangs: a thread of its own sees to it.
pub const EXIT_DEADLINE: Duration = Duration::from_secs(25);

/// From the first signal to the end of the work at most. The rest, up to [`EXIT_DEADLINE`], is for the last flush.
pub const WORK_DEADLINE: Duration = Duration::from_secs(22);

/// Says that the process, or the part of it that holds this token, is to end. Clones are the same token.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A token that nobody has triggered yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends everything that waits for this token or for a child of it. Further calls change nothing.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether it has been triggered.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves when it is triggered, at once if it has been.
    pub fn triggered(&self) -> WaitForCancellationFuture<'_> {
        self.0.cancelled()
    }

    /// A token that is triggered with this one but can also be triggered alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Runs `work` until it is done or this token is triggered; `None` means triggered.
    pub async fn or_done<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.0.run_until_cancelled(work).await
    }
}

/// Why [`run_until_signal`] did not wait for its work any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Aborted {
    /// A second signal came before the work had ended.
    #[error("a second signal cut the shutdown short")]
    SecondSignal,
    /// The work had not ended by the deadline.
    #[error("the shutdown took longer than {} s", deadline.as_secs())]
    Deadline {
        /// The deadline that was missed, counted from the first signal.
        deadline: Duration,
    },
}

/// Runs `work` with a token that the first SIGTERM or SIGINT triggers.
///
/// After that signal `work` has [`WORK_DEADLINE`] to end; a second signal ends the wait at once. In both cases `work`
/// is dropped and the caller exits, with [`crate::Exit::Temporary`] or [`crate::Exit::Interrupted`]. A process that is
/// still there at [`EXIT_DEADLINE`], because some thread is stuck, is ended with [`crate::Exit::Temporary`].
///
/// # Errors
/// [`Aborted`], if `work` did not end by itself.
///
/// # Panics
/// Outside a tokio runtime, or if the operating system refuses a signal handler.
pub async fn run_until_signal<T, F: Future<Output = T>>(
    name: &str,
    work: impl FnOnce(Shutdown) -> F,
) -> Result<T, Aborted> {
    let shutdown = Shutdown::new();
    tokio::spawn(watchdog(shutdown.clone()));
    run_until(
        name,
        Signals::listen(),
        &shutdown,
        WORK_DEADLINE,
        work(shutdown.clone()),
    )
    .await
}

/// Resolves at the first SIGTERM or SIGINT from now on.
///
/// # Panics
/// Outside a tokio runtime, or if the operating system refuses a signal handler.
pub async fn signals() {
    Signals::listen().next().await;
}

/// Where [`run_until`] hears of signals; tests have their own.
trait SignalSource {
    /// The name of the next signal.
    fn next(&mut self) -> impl Future<Output = &'static str>;
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn listen() -> Self {
        let listen = |kind| signal(kind).expect("a signal handler can be installed in a tokio runtime");
        Self {
            term: listen(SignalKind::terminate()),
            int: listen(SignalKind::interrupt()),
        }
    }
}

impl SignalSource for Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

/// Ends the process at [`EXIT_DEADLINE`] after `shutdown`, from a thread that no stuck runtime can hold up.
async fn watchdog(shutdown: Shutdown) {
    shutdown.triggered().await;
    let wait_and_exit = || {
        std::thread::sleep(EXIT_DEADLINE);
        eprintln!(
            "assay: still running {} s after the signal: exiting",
            EXIT_DEADLINE.as_secs()
        );
        std::process::exit(i32::from(crate::Exit::Temporary as u8));
    };
    if let Err(error) = std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(wait_and_exit)
    {
        tracing::warn!(%error, "no thread to enforce the exit deadline");
    }
}

async fn run_until<T>(
    name: &str,
    mut signals: impl SignalSource,
    shutdown: &Shutdown,
    deadline: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Aborted> {
    tokio::pin!(work);
    let signal = tokio::select! {
        done = &mut work => return Ok(done),
        signal = signals.next() => signal,
    };
    tracing::info!(name, signal, "shutting down");
    shutdown.trigger();
    let aborted = tokio::select! {
        done = &mut work => return Ok(done),
        _ = signals.next() => Aborted::SecondSignal,
        () = tokio::time::sleep(deadline) => Aborted::Deadline { deadline },
    };
    tracing::error!(name, "{aborted}");
    Err(aborted)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::pending;

    use super::*;

    /// Signals that come at once, one after the other, and then no more.
    struct Script(VecDeque<&'static str>);

    impl SignalSource for Script {
        async fn next(&mut self) -> &'static str {
            match self.0.pop_front() {
                Some(signal) => signal,
                None => pending().await,
            }
        }
    }

    fn script(signals: &[&'static str]) -> Script {
        Script(signals.iter().copied().collect())
    }

    #[tokio::test]
    async fn work_that_ends_needs_no_signal() {
        let done = run_until("t", script(&[]), &Shutdown::new(), WORK_DEADLINE, async { 7 }).await;
        assert_eq!(done, Ok(7));
    }

    #[tokio::test]
    async fn first_signal_triggers_and_waits() {
        let shutdown = Shutdown::new();
        let work = async {
            shutdown.triggered().await;
            "flushed"
        };
        let done = run_until("t", script(&["SIGTERM"]), &shutdown, WORK_DEADLINE, work).await;
        assert_eq!(done, Ok("flushed"));
    }

    #[tokio::test]
    async fn second_signal_aborts() {
        let two = script(&["SIGTERM", "SIGINT"]);
        let done = run_until("t", two, &Shutdown::new(), WORK_DEADLINE, pending::<()>()).await;
        assert_eq!(done, Err(Aborted::SecondSignal));
    }

    #[tokio::test]
    async fn r2_work_that_hangs_is_dropped_at_the_deadline() {
        let deadline = Duration::from_millis(20);
        let one = script(&["SIGTERM"]);
        let done = run_until("t", one, &Shutdown::new(), deadline, pending::<()>()).await;
        assert_eq!(done, Err(Aborted::Deadline { deadline }));
        assert!(WORK_DEADLINE < EXIT_DEADLINE);
    }

    #[tokio::test]
    async fn child_follows_parent_but_not_the_reverse() {
        let parent = Shutdown::new();
        let child = parent.child();
        child.trigger();
        assert!(!parent.is_triggered());
        assert_eq!(child.or_done(pending::<()>()).await, None);
        let other = parent.child();
        parent.trigger();
        other.triggered().await;
    }
}
