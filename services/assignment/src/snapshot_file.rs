//! The snapshot file: what is served, kept so that a restart serves it again while the bus is away.
//!
//! Layout, version 1, numbers little-endian, texts and bytes behind their length (4 bytes): `ASSAYSNP`, version (4), number of
//! namespaces (4), for each its name, generation (8), count (8), digest (32), number of resources (4) with key, generation (8) and
//! bytes of each, number of last good versions (4) with key and bytes of each; then the SHA-256 of all before. It is written beside
//! its place, flushed and renamed, so that at any time a whole file is there.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use assay_core::key::Namespace;
use assay_failpoint::{Point, reach};
use assay_platform::{Shutdown, error::chain};
use assay_storage::config_bus::{Manifest, Value};
use bytes::{Buf, BufMut, Bytes};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::view::{Saved, SavedNamespace};

const MAGIC: &[u8; 8] = b"ASSAYSNP";
const VERSION: u32 = 1;
const DIGEST: usize = 32;

/// How long changes are gathered before they are written.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Why there is nothing to start from.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    #[error("it is damaged: {0}")]
    Corrupt(&'static str),
}

/// The file in `directory`.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("snapshot")
}

/// What the file at `path` holds; none when there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Saved>, ReadError> {
    match fs::read(path) {
        Ok(bytes) => decode(bytes.into()).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Replaces the file at `path`; when this fails the old one is whole.
pub(crate) fn write(path: &Path, saved: &Saved) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&encode(saved))?;
    file.sync_all()?;
    drop(file);
    reach(Point::AssignmentBeforeRename);
    fs::rename(&beside, path)?;
    reach(Point::AssignmentAfterRename);
    File::open(directory)?.sync_all()
}

/// Writes what is told last, again and again, until `stop` or until nobody is left to tell; what was told before that is written.
pub(crate) async fn keep(path: PathBuf, mut told: watch::Receiver<Option<Arc<Saved>>>, stop: &Shutdown) {
    let mut written: Option<Arc<Saved>> = None;
    let mut failing = false;
    loop {
        let is_last = !matches!(stop.or_done(told.changed()).await, Some(Ok(())));
        if !is_last {
            let _ = stop.or_done(tokio::time::sleep(DEBOUNCE)).await;
        }
        let latest = told.borrow_and_update().clone();
        if let Some(saved) = latest.filter(|latest| {
            written
                .as_ref()
                .is_none_or(|written| !Arc::ptr_eq(written, latest))
        }) {
            match write_aside(path.clone(), saved.clone()).await {
                Ok(()) => (written, failing) = (Some(saved), false),
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(
                        error = chain(&error),
                        "the snapshot file cannot be written; a restart may serve an older one"
                    );
                }
                Err(_) => {}
            }
        }
        if is_last {
            return;
        }
    }
}

/// [`write`] on a thread that may block.
async fn write_aside(path: PathBuf, saved: Arc<Saved>) -> io::Result<()> {
    let written = tokio::task::spawn_blocking(move || write(&path, &saved)).await;
    written.unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
}

fn encode(saved: &Saved) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_slice(MAGIC);
    out.put_u32_le(VERSION);
    put_count(&mut out, saved.namespaces.len());
    for (namespace, saved) in &saved.namespaces {
        put_bytes(&mut out, namespace.as_str().as_bytes());
        out.put_u64_le(saved.manifest.generation);
        out.put_u64_le(saved.manifest.count);
        out.put_slice(&saved.manifest.digest);
        put_count(&mut out, saved.resources.len());
        for (key, value) in &saved.resources {
            put_bytes(&mut out, key.as_bytes());
            out.put_u64_le(value.generation);
            put_bytes(&mut out, &value.bytes);
        }
        put_count(&mut out, saved.last_good.len());
        for (key, bytes) in &saved.last_good {
            put_bytes(&mut out, key.as_bytes());
            put_bytes(&mut out, bytes);
        }
    }
    let digest = Sha256::digest(&out);
    out.put_slice(&digest);
    out
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.put_u32_le(u32::try_from(count).unwrap_or(u32::MAX));
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.put_slice(bytes);
}

fn decode(mut bytes: Bytes) -> Result<Saved, ReadError> {
    let content = bytes
        .len()
        .checked_sub(DIGEST)
        .ok_or(ReadError::Corrupt("it is too short"))?;
    let digest = bytes.split_off(content);
    if Sha256::digest(&bytes)[..] != digest[..] {
        return Err(ReadError::Corrupt("its checksum is wrong"));
    }
    let mut reading = Reading(bytes);
    if reading.take(MAGIC.len())? != MAGIC[..] {
        return Err(ReadError::Corrupt("it is no snapshot file"));
    }
    if reading.u32()? != VERSION {
        return Err(ReadError::Corrupt("it is of another version"));
    }
    let namespaces = (0..reading.u32()?)
        .map(|_| reading.namespace())
        .collect::<Result<_, _>>()?;
    if reading.0.is_empty() {
        Ok(Saved { namespaces })
    } else {
        Err(ReadError::Corrupt("it is too long"))
    }
}

/// What is left to be read.
struct Reading(Bytes);

impl Reading {
    fn take(&mut self, length: usize) -> Result<Bytes, ReadError> {
        if self.0.len() < length {
            return Err(ReadError::Corrupt("it ends too early"));
        }
        Ok(self.0.split_to(length))
    }

    fn u32(&mut self) -> Result<u32, ReadError> {
        Ok(self.take(4)?.get_u32_le())
    }

    fn u64(&mut self) -> Result<u64, ReadError> {
        Ok(self.take(8)?.get_u64_le())
    }

    fn bytes(&mut self) -> Result<Bytes, ReadError> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, ReadError> {
        String::from_utf8(self.bytes()?.into()).map_err(|_| ReadError::Corrupt("a key is no text"))
    }

    fn namespace(&mut self) -> Result<(Namespace, SavedNamespace), ReadError> {
        let name =
            Namespace::new(self.text()?).map_err(|_| ReadError::Corrupt("a namespace has no valid name"))?;
        let (generation, count) = (self.u64()?, self.u64()?);
        let digest = self.take(DIGEST)?[..]
            .try_into()
            .map_err(|_| ReadError::Corrupt("a digest is cut"))?;
        let resource = |reading: &mut Self| {
            let key = reading.text()?;
            let generation = reading.u64()?;
            Ok((
                key,
                Value {
                    generation,
                    bytes: reading.bytes()?,
                },
            ))
        };
        let resources = (0..self.u32()?)
            .map(|_| resource(self))
            .collect::<Result<BTreeMap<_, _>, ReadError>>()?;
        let kept = |reading: &mut Self| Ok((reading.text()?, reading.bytes()?));
        let last_good = (0..self.u32()?)
            .map(|_| kept(self))
            .collect::<Result<BTreeMap<_, _>, ReadError>>()?;
        Ok((
            name,
            SavedNamespace {
                manifest: Manifest {
                    generation,
                    count,
                    digest,
                },
                resources,
                last_good,
            },
        ))
    }
}

#[cfg(test)]
mod tests;
