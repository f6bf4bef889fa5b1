//! A stable id of one installation, kept in a file: the unit of a device or process that has no better identity.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use assay_core::key::{Unit, UnitKind};

/// The id of an installation: 32 lower-case hex digits, random.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstallId(String);

/// Why there is no id.
#[derive(Debug, thiserror::Error)]
pub enum InstallIdError {
    /// The file, or its directory, cannot be used.
    #[error("the install id in `{}` cannot be {attempt}; give a path in a directory that exists and can be written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        attempt: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file has something else. It is left alone: a new id would be a new unit.
    #[error("`{}` does not hold an install id; give another path, or delete the file to become a new installation", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl InstallId {
    const DIGITS: usize = 32;

    /// The id that is kept in the file at `path`; made, and kept there, if there is no such file.
    ///
    /// The file is complete or not there, whenever the machine stops, and only its owner can read it. Processes that start at the same time
    /// get the same id: the first one to put its file in place wins.
    ///
    /// # Errors
    /// [`InstallIdError`].
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, InstallIdError> {
        let path = path.as_ref();
        if let Some(found) = Self::load(path)? {
            return Ok(found);
        }
        let made = Self(format!("{:032x}", rand::random::<u128>()));
        let created = made.create(path).map_err(failed(path, "written"))?;
        if created {
            return Ok(made);
        }
        // Somebody was faster.
        Self::load(path)?.ok_or_else(|| failed(path, "read")(ErrorKind::NotFound.into()))
    }

    fn load(path: &Path) -> Result<Option<Self>, InstallIdError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidData => String::new(),
            Err(error) => return Err(failed(path, "read")(error)),
        };
        let id = text.trim_end_matches(['\r', '\n']);
        let is_id = id.len() == Self::DIGITS && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match is_id {
            true => Ok(Some(Self(id.to_owned()))),
            false => Err(InstallIdError::Damaged {
                path: path.to_owned(),
            }),
        }
    }

    /// Writes the file beside its place, then gives it its name if nobody has it: whether it does.
    fn create(&self, path: &Path) -> io::Result<bool> {
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
        let beside = directory.join(format!(".{name}.{:016x}", rand::random::<u64>()));
        let placed = self.write(&beside).and_then(|()| place(&beside, path));
        // After a rename it is gone already.
        let _ = fs::remove_file(&beside);
        let placed = placed?;
        File::open(directory)?.sync_all()?;
        Ok(placed)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(format!("{}\n", self.0).as_bytes())?;
        file.sync_all()
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The unit of this installation.
    pub fn unit(&self, kind: UnitKind) -> Unit {
        Unit::new(kind, self.0.as_str()).expect("hex digits are a unit id")
    }
}

/// Gives the file `from` the name `to` unless there is one of that name; the answer is whether it did.
fn place(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        // A file system without links: the last one wins, and who reads again gets that one.
        Err(_) if to.exists() => Ok(false),
        Err(_) => fs::rename(from, to).map(|()| false),
    }
}

fn failed(path: &Path, attempt: &'static str) -> impl FnOnce(io::Error) -> InstallIdError + use<> {
    let path = path.to_owned();
    move |source| InstallIdError::Io {
        path,
        attempt,
        source,
    }
}

impl fmt::Display for InstallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::{Arc, Barrier},
    };

    use super::*;

    #[test]
    fn the_id_stays_and_only_the_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("install-id");
        let first = InstallId::load_or_create(&path).unwrap();
        assert_eq!(InstallId::load_or_create(&path).unwrap(), first);
        assert_eq!(first.unit(UnitKind::default()).id(), first.as_str());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let names: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["install-id"], "nothing is left beside it");
        let other = InstallId::load_or_create(directory.path().join("other")).unwrap();
        assert_ne!(other, first);
    }

    #[test]
    fn all_that_start_at_once_get_the_same_id() {
        const STARTS: usize = 16;
        for _ in 0..50 {
            let directory = tempfile::tempdir().unwrap();
            let (path, barrier) = (directory.path().join("id"), Arc::new(Barrier::new(STARTS)));
            let starts: Vec<_> = (0..STARTS)
                .map(|_| {
                    let (path, barrier) = (path.clone(), barrier.clone());
                    std::thread::spawn(move || {
                        barrier.wait();
                        InstallId::load_or_create(path).unwrap().to_string()
                    })
                })
                .collect();
            let ids: BTreeSet<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
            assert_eq!(ids.len(), 1, "{ids:?}");
            assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_is_no_id_is_left_alone_and_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("id");
        for content in [
            "",
            "7",
            "ABCDEFABCDEFABCDEFABCDEFABCDEFAB\n",
            "00000000000000000000000000000000 \n",
        ] {
            fs::write(&path, content).unwrap();
            let error = InstallId::load_or_create(&path).unwrap_err();
            assert!(
                matches!(error, InstallIdError::Damaged { .. }),
                "{content:?}: {error}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        let error = InstallId::load_or_create(directory.path().join("missing/id")).unwrap_err();
        assert!(error.to_string().contains("a directory that exists"), "{error}");
    }
}
