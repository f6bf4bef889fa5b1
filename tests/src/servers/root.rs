//! The one directory under which all servers of this test process keep their data.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Waits until its standard input closes, which is when the test process ends, and removes the directory. What was
/// stopped by SIGSTOP is woken first, since a stopped process ignores the signal that tells it to die.
const JANITOR: &str = r#"
trap '' INT TERM HUP
read -r _
for file in "$1"/paused/*; do
    kill -CONT "${file##*/}" 2>/dev/null
done
for file in "$1"/tmpfs-*; do
    umount --lazy "$file" 2>/dev/null
done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$1" 2>/dev/null
    [ -e "$1" ] || exit 0
    sleep 0.2
done
"#;

struct Root {
    path: PathBuf,
    /// Holds the janitor's standard input open. Never dropped: it closes when the process is gone.
    _janitor: Child,
}

/// The directory of this test process; removed after the process has ended, even by a signal.
pub(crate) fn root() -> io::Result<&'static Path> {
    static ROOT: OnceLock<Result<Root, String>> = OnceLock::new();
    let root = ROOT.get_or_init(|| Root::create().map_err(|e| e.to_string()));
    root.as_ref()
        .map(|root| root.path.as_path())
        .map_err(|e| io::Error::other(e.clone()))
}

impl Root {
    fn create() -> io::Result<Self> {
        // PostgreSQL runs as another user when the tests run as root, and must be able to pass through.
        let path = tempfile::Builder::new()
            .prefix("assay-tests-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()?
            .keep();
        std::fs::create_dir(path.join("paused"))?;
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "sh"])
            .arg(&path)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            path,
            _janitor: janitor,
        })
    }
}
