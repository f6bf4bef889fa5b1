//! The few things std cannot do: children that die with this process, and signals.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

pub(crate) use libc::{SIGCONT, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM};

struct Request {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

/// Starts `command`; it receives `death_signal` when this process ends, however it ends.
///
/// The kernel ties that signal to the *thread* that spawned the child, not to its process. Tests run on threads that
/// end with the test, so every child is spawned by one thread that lives as long as the process.
pub(crate) fn spawn(mut command: Command, death_signal: i32) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, requests) = channel::<Request>();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                for mut request in requests {
                    let _ = request.reply.send(request.command.spawn());
                }
            })
            .expect("a test process may start one thread");
        sender
    });
    die_with_parent(&mut command, death_signal);
    let (reply, answer) = channel();
    let gone = |_| io::Error::other("the spawner thread is gone");
    spawner
        .send(Request { command, reply })
        .map_err(|e| gone(e.to_string()))?;
    answer.recv().map_err(|e| gone(e.to_string()))?
}

#[expect(
    unsafe_code,
    reason = "prctl between fork and exec: servers must not outlive a killed test process"
)]
fn die_with_parent(command: &mut Command, death_signal: i32) {
    let parent = std::process::id();
    // SAFETY: the closure runs in the forked child and calls only prctl and getppid, which are async-signal-safe;
    // it allocates nothing (`io::Error` from an error number does not) and takes no lock.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, death_signal as libc::c_ulong) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have ended before the call above: then no signal will come.
            if libc::getppid().cast_unsigned() == parent {
                Ok(())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        });
    }
}

/// Sends `signal` to one process.
#[expect(unsafe_code, reason = "std can only send SIGKILL")]
pub(crate) fn send(signal: i32, pid: u32) -> io::Result<()> {
    // Zero and negative numbers would address whole groups of processes.
    let pid = i32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 1)
        .ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: kill takes two integers and touches no memory of this process.
    let sent = unsafe { libc::kill(pid, signal) };
    if sent == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The direct children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Whether the process runs or is stopped; a zombie does not count.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may contain anything; the state is the first field after it.
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
