//! A small file system, to be filled.

use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{Postgres, root::root};

/// A file system in memory; it is gone with this value, or with the test process.
#[derive(Debug)]
pub struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    /// One of `size`, such as `40m`, that belongs to the user of `postgres`. None where this process may not mount: whoever skips a test for
    /// that reason is named on standard error.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn mount(size: &str, postgres: &Postgres) -> Result<Option<Self>> {
        let path = tempfile::Builder::new()
            .prefix("tmpfs-")
            .tempdir_in(root()?)?
            .keep();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "assay-tests"])
            .arg(&path)
            .output()
            .context("mount is not installed")?;
        if !mounted.status.success() {
            skipped(&String::from_utf8_lossy(&mounted.stderr));
            return Ok(None);
        }
        let small = Self { path };
        let owner = std::fs::metadata(postgres.dir().join("data"))?;
        chown(&small.path, Some(owner.uid()), Some(owner.gid()))?;
        std::fs::set_permissions(&small.path, Permissions::from_mode(0o700))?;
        Ok(Some(small))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Whoever has files open here ends later; the file system goes with the last of them.
        let _ = unmount(&self.path);
    }
}

fn unmount(path: &Path) -> Result<()> {
    let done = Command::new("umount").arg("--lazy").arg(path).status()?;
    ensure!(done.success(), "umount ended with {done}");
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a skipped test is named")]
fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!(
        "skipped: {test} needs a small file system, and this process may not mount one: {}",
        why.trim()
    );
}
