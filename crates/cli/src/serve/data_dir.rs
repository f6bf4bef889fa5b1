//! The directory of a process's files: made when missing, held by one process at a time.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use crate::error::Error;

/// A data directory that no other process of ours uses while this value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if there is none, and takes hold of it. The hold ends with the process, however it ends.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let unusable = |error: std::io::Error| Error::DataDir {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        std::fs::create_dir_all(path).map_err(unusable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::DataDirInUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The SQLite database `name` in it: its file and its address.
    pub(crate) fn sqlite(&self, name: &str) -> Result<(PathBuf, String), Error> {
        let file = self.path.join(name);
        let path = file.to_str().ok_or_else(|| Error::DataDir {
            path: self.path.clone(),
            problem: "its name is not UTF-8".to_owned(),
        })?;
        // What has a meaning in an address, or is a database in memory, is spelled out.
        let path = path
            .replace('%', "%25")
            .replace('?', "%3F")
            .replace('#', "%23")
            .replace(':', "%3A");
        Ok((file, format!("sqlite://{path}")))
    }
}

#[cfg(test)]
mod tests {
    use assay_platform::Exit;

    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let held = DataDir::open(&path).unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert_eq!(error.exit(), Exit::Temporary);
        assert!(error.to_string().contains("in use by another process"), "{error}");
        drop(held);
        assert!(DataDir::open(&path).is_ok());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_one_sentence() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::open(&file.path().join("below-a-file")).unwrap_err();
        assert_eq!(error.exit(), Exit::CannotCreate);
        assert!(
            error.to_string().contains("choose another with --data-dir"),
            "{error}"
        );
    }
}
