//! The spool: records that are not yet in the log, in files that survive a kill of the process.
//!
//! A writer appends frames; a reader takes them in order and acknowledges what has reached the log. Writing goes to the page cache and
//! is not flushed to the disk: what was appended survives the death of the process, not that of the machine. Frames are of any bytes.
//!
//! The directory holds segments, `0000000000000001.spool` and so on, and `cursor`, the acknowledged position. A segment is written once,
//! from its start to its end, and deleted when all of it is acknowledged. Each opening begins a new segment, so that no byte is ever
//! written behind one that an earlier process may have left unfinished.

mod cursor;
mod frame;
mod reader;
mod recover;
mod writer;

use std::{
    collections::VecDeque,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use self::{cursor::Cursor, reader::SpoolReader, writer::SpoolWriter};
use crate::Error;

const STORE: &str = "spool";

/// How much the spool may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolLimits {
    /// A segment that has reached this size is closed and another is begun.
    pub segment_bytes: u64,
    /// Unacknowledged bytes, frame headers included, beyond which [`SpoolWriter::append`] answers [`Error::Full`]. Files may take up to
    /// one segment more, because only whole segments are deleted.
    pub total_bytes: u64,
    /// Whether a segment is flushed to the disk when it is closed: a machine crash then loses less, and an append that closes a segment
    /// waits for the disk.
    pub sync_closed: bool,
}

impl Default for SpoolLimits {
    /// Segments of 8 MiB, 256 MiB in all, not flushed.
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            total_bytes: 256 << 20,
            sync_closed: false,
        }
    }
}

/// One frame as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The position behind this frame: acknowledging it acknowledges this frame and all before.
    pub cursor: Cursor,
    /// What was appended.
    pub payload: bytes::Bytes,
}

/// What was found when the spool was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Whole frames that were not acknowledged; they will be read.
    pub frames: u64,
    /// Their bytes, frame headers included.
    pub bytes: u64,
    /// Bytes cut off the ends of segments because no whole frame follows: an append that the death of the process interrupted and that was
    /// never answered, or damage.
    pub torn_bytes: u64,
    /// Damaged places between whole frames; what was there is lost and will be skipped.
    pub corrupt: u64,
}

/// A spool that was opened: its two halves, which may be used by two threads at the same time.
#[derive(Debug)]
pub struct Spool {
    /// Appends.
    pub writer: SpoolWriter,
    /// Reads and acknowledges.
    pub reader: SpoolReader,
    /// What an earlier process left.
    pub recovered: Recovered,
}

impl Spool {
    /// Opens the spool in `directory`, which is made if it is missing, and reads through what an earlier process left in it.
    ///
    /// # Errors
    /// [`Error::Refused`] when another process has it open, [`Error::Full`] and [`Error::Unavailable`] when the file system says so.
    pub fn open(directory: impl AsRef<Path>, limits: SpoolLimits) -> Result<Self, Error> {
        let directory = directory.as_ref().to_owned();
        std::fs::create_dir_all(&directory).map_err(classify)?;
        let lock = lock(&directory)?;
        let (saved, file) = cursor::CursorFile::open(&directory.join("cursor")).map_err(classify)?;
        let (segments, recovered) = recover::segments(&directory, saved).map_err(classify)?;
        // Segments below the cursor may be gone: their numbers are not given again.
        let next = segments.back().map_or(0, |segment| segment.id).max(saved.segment) + 1;
        let state = State {
            segments,
            acknowledged: saved,
            pending_bytes: recovered.bytes,
            next,
        };
        let shared = Arc::new(Shared {
            directory,
            limits,
            state: Mutex::new(state),
            _lock: lock,
        });
        Ok(Self {
            writer: SpoolWriter::new(shared.clone()),
            reader: SpoolReader::new(shared, file),
            recovered,
        })
    }

    /// Its two halves.
    pub fn split(self) -> (SpoolWriter, SpoolReader) {
        (self.writer, self.reader)
    }

    /// As [`SpoolWriter::append`].
    ///
    /// # Errors
    /// As [`SpoolWriter::append`].
    pub fn append(&mut self, frames: &[impl AsRef<[u8]>]) -> Result<(), Error> {
        self.writer.append(frames)
    }

    /// As [`SpoolReader::read`].
    ///
    /// # Errors
    /// As [`SpoolReader::read`].
    pub fn read(&mut self, max_frames: usize) -> Result<Vec<Frame>, Error> {
        self.reader.read(max_frames)
    }

    /// As [`SpoolReader::acknowledge`].
    ///
    /// # Errors
    /// As [`SpoolReader::acknowledge`].
    pub fn acknowledge(&mut self, cursor: Cursor) -> Result<(), Error> {
        self.reader.acknowledge(cursor)
    }
}

/// What both halves know.
#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    limits: SpoolLimits,
    state: Mutex<State>,
    /// Locked against other processes as long as it is open.
    _lock: File,
}

#[derive(Debug)]
struct State {
    /// Segments that are not yet deleted, oldest first. Only the last one grows.
    segments: VecDeque<Segment>,
    acknowledged: Cursor,
    /// Bytes of `segments` behind `acknowledged`.
    pending_bytes: u64,
    /// Id of the next segment.
    next: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    id: u64,
    /// Bytes that are whole frames, or were when they were written.
    len: u64,
    /// Whether it grows no more.
    closed: bool,
}

impl Shared {
    /// The lock is held for a few instructions, never during input or output.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn segment_path(directory: &Path, id: u64) -> PathBuf {
    directory.join(format!("{id:016x}.spool"))
}

fn lock(directory: &Path) -> Result<File, Error> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(directory.join("lock"))
        .map_err(classify)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::Error(error)) => Err(classify(error)),
        Err(std::fs::TryLockError::WouldBlock) => {
            let source = format!(
                "the spool in {} is in use by another process",
                directory.display()
            )
            .into();
            Err(Error::Refused { store: STORE, source })
        }
    }
}

fn classify(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Error::Full {
                store: STORE,
                source: error.into(),
            }
        }
        _ => Error::Unavailable {
            store: STORE,
            source: error.into(),
        },
    }
}

#[cfg(test)]
mod tests;
