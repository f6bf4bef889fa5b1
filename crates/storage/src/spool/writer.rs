//! The half that appends.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    sync::Arc,
};

use super::{STORE, Segment, Shared, classify, frame, segment_path};
use crate::Error;

/// Appends frames. It has one owner; [`SpoolWriter::pending_bytes`] aside, its calls write to a file and may block for as long as the
/// file system does.
#[derive(Debug)]
pub struct SpoolWriter {
    shared: Arc<Shared>,
    active: Option<Active>,
    /// Kept for its memory.
    buffer: Vec<u8>,
}

/// The segment that grows.
#[derive(Debug)]
struct Active {
    file: File,
    id: u64,
    len: u64,
}

impl SpoolWriter {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            active: None,
            buffer: Vec::new(),
        }
    }

    /// Appends all of `frames`, in one write, or none of them. When this returns they survive the death of the process.
    ///
    /// # Errors
    /// [`Error::Full`] when they would exceed [`SpoolLimits::total_bytes`](super::SpoolLimits::total_bytes) or the disk is full,
    /// [`Error::Refused`] when one has 4 GiB or more, [`Error::Unavailable`] for any other error of the file system.
    pub fn append(&mut self, frames: &[impl AsRef<[u8]>]) -> Result<(), Error> {
        self.buffer.clear();
        for payload in frames {
            if !frame::encode(&mut self.buffer, payload.as_ref()) {
                return Err(Error::Refused {
                    store: STORE,
                    source: "a frame has 4 GiB or more".into(),
                });
            }
        }
        let bytes = self.buffer.len() as u64;
        if bytes == 0 {
            return Ok(());
        }
        let limit = self.shared.limits.total_bytes;
        let pending = self.pending_bytes();
        if pending.saturating_add(bytes) > limit {
            let source = format!(
                "{pending} bytes wait to be shipped and {bytes} more would exceed the limit of {limit}"
            )
            .into();
            return Err(Error::Full { store: STORE, source });
        }
        self.write().map_err(classify)?;
        self.publish(bytes);
        self.close_if_full();
        Ok(())
    }

    /// Unacknowledged bytes, frame headers included.
    pub fn pending_bytes(&self) -> u64 {
        self.shared.state().pending_bytes
    }

    /// Writes the buffer to the active segment; on an error the segment is as it was.
    fn write(&mut self) -> io::Result<()> {
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.begin()?,
        };
        match active.file.write_all(&self.buffer) {
            Ok(()) => {
                self.active = Some(active);
                Ok(())
            }
            Err(error) => {
                // What was half written must not stand before what comes next. If it cannot be removed, the segment ends here, for
                // readers by its length, and after a restart because no whole frame follows.
                let restored = active
                    .file
                    .set_len(active.len)
                    .and_then(|()| active.file.seek(SeekFrom::Start(active.len)));
                match restored {
                    Ok(_) => self.active = Some(active),
                    Err(_) => self.close(active.id),
                }
                Err(error)
            }
        }
    }

    fn begin(&mut self) -> io::Result<Active> {
        let mut state = self.shared.state();
        let id = state.next;
        state.next += 1;
        drop(state);
        let file = File::options()
            .create_new(true)
            .write(true)
            .open(segment_path(&self.shared.directory, id))?;
        self.shared.state().segments.push_back(Segment {
            id,
            len: 0,
            closed: false,
        });
        Ok(Active { file, id, len: 0 })
    }

    /// Lets the reader see what was written.
    fn publish(&mut self, bytes: u64) {
        let Some(active) = &mut self.active else { return };
        active.len += bytes;
        let mut state = self.shared.state();
        state.pending_bytes += bytes;
        if let Some(segment) = state
            .segments
            .back_mut()
            .filter(|segment| segment.id == active.id)
        {
            segment.len = active.len;
        }
    }

    fn close_if_full(&mut self) {
        let Some(active) = self
            .active
            .take_if(|active| active.len >= self.shared.limits.segment_bytes)
        else {
            return;
        };
        if self.shared.limits.sync_closed
            && let Err(error) = active.file.sync_data()
        {
            tracing::warn!(%error, "a closed segment of the spool could not be flushed to the disk");
        }
        self.close(active.id);
    }

    fn close(&self, id: u64) {
        let mut state = self.shared.state();
        if let Some(segment) = state.segments.iter_mut().find(|segment| segment.id == id) {
            segment.closed = true;
        }
    }
}
