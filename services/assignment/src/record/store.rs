//! Where frames wait until they are shipped: the spool, or memory when there is none.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use assay_storage::{
    Error,
    spool::{Cursor, SpoolReader, SpoolWriter},
};
use bytes::Bytes;

/// The half that appends.
#[derive(Debug)]
pub(crate) enum StoreWriter {
    /// Survives the process.
    Spool(SpoolWriter),
    /// Does not.
    Memory(Memory),
}

/// The half that reads and acknowledges.
#[derive(Debug)]
pub(crate) enum StoreReader {
    /// See [`StoreWriter::Spool`].
    Spool(SpoolReader),
    /// See [`StoreWriter::Memory`].
    Memory(Memory),
}

/// A position behind a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// In the spool.
    Spool(Cursor),
    /// In memory: the number of frames up to it.
    Memory(u64),
}

impl StoreWriter {
    /// Appends all of `frames` or none.
    pub(crate) fn append(&mut self, frames: Vec<Vec<u8>>) -> Result<(), Error> {
        match self {
            Self::Spool(spool) => spool.append(&frames),
            Self::Memory(memory) => memory.append(frames),
        }
    }
}

impl StoreReader {
    /// The position behind what is acknowledged.
    pub(crate) fn acknowledged(&self) -> Position {
        match self {
            Self::Spool(spool) => Position::Spool(spool.acknowledged()),
            Self::Memory(memory) => Position::Memory(memory.state().acknowledged),
        }
    }

    /// Up to `max_frames` frames behind `position`.
    pub(crate) fn read_after(
        &mut self,
        position: Position,
        max_frames: usize,
    ) -> Result<Vec<(Position, Bytes)>, Error> {
        match (self, position) {
            (Self::Spool(spool), Position::Spool(cursor)) => {
                let frames = spool.read_after(cursor, max_frames)?;
                Ok(frames
                    .into_iter()
                    .map(|frame| (Position::Spool(frame.cursor), frame.payload))
                    .collect())
            }
            (Self::Memory(memory), Position::Memory(number)) => Ok(memory.read_after(number, max_frames)),
            _ => Ok(Vec::new()),
        }
    }

    /// What is up to `position` is not read again.
    pub(crate) fn acknowledge(&mut self, position: Position) -> Result<(), Error> {
        match (self, position) {
            (Self::Spool(spool), Position::Spool(cursor)) => spool.acknowledge(cursor),
            (Self::Memory(memory), Position::Memory(number)) => {
                memory.acknowledge(number);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Frames in memory, up to a number of bytes. Clones are the same frames.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    max_bytes: usize,
    state: Arc<Mutex<Frames>>,
}

#[derive(Debug, Default)]
struct Frames {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Number of frames that are gone: the first of `frames` has this number and the next one more.
    acknowledged: u64,
}

impl Memory {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            state: Arc::default(),
        }
    }

    fn append(&self, frames: Vec<Vec<u8>>) -> Result<(), Error> {
        let mut state = self.state();
        let bytes: usize = frames.iter().map(Vec::len).sum();
        if state.bytes + bytes > self.max_bytes {
            let source = format!(
                "{} bytes wait to be shipped, at most {} may",
                state.bytes, self.max_bytes
            )
            .into();
            return Err(Error::Full {
                store: "memory",
                source,
            });
        }
        state.bytes += bytes;
        state.frames.extend(frames.into_iter().map(Bytes::from));
        Ok(())
    }

    fn read_after(&self, number: u64, max_frames: usize) -> Vec<(Position, Bytes)> {
        let state = self.state();
        let skip = usize::try_from(number.saturating_sub(state.acknowledged)).unwrap_or(usize::MAX);
        let numbers = state.acknowledged.max(number) + 1..;
        let frames = numbers
            .map(Position::Memory)
            .zip(state.frames.iter().skip(skip).cloned());
        frames.take(max_frames).collect()
    }

    fn acknowledge(&self, number: u64) {
        let mut state = self.state();
        while state.acknowledged < number {
            let Some(frame) = state.frames.pop_front() else {
                return;
            };
            state.bytes -= frame.len();
            state.acknowledged += 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, Frames> {
        // No section can panic between two of its changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
