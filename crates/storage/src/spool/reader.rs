//! The half that reads and acknowledges.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use bytes::{Buf, Bytes, BytesMut};

use super::{
    Cursor, Frame, Shared, classify,
    cursor::CursorFile,
    frame::{Found, HEADER, decode, next_whole},
    segment_path,
};
use crate::Error;

/// How much is read from a file at once, when frames are not larger.
const CHUNK: u64 = 1 << 20;

/// Reads frames and acknowledges them. It has one owner.
#[derive(Debug)]
pub struct SpoolReader {
    shared: Arc<Shared>,
    cursor_file: CursorFile,
    /// The segment read last.
    open: Option<(u64, File)>,
    corrupt: u64,
    /// Up to where damage is counted: it is met again when frames are read again.
    counted: Cursor,
}

impl SpoolReader {
    pub(super) fn new(shared: Arc<Shared>, cursor_file: CursorFile) -> Self {
        Self {
            shared,
            cursor_file,
            open: None,
            corrupt: 0,
            counted: Cursor::default(),
        }
    }

    /// Up to `max_frames` of the oldest frames that are not acknowledged; the same ones again until they are. None when there are none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the file system says so.
    pub fn read(&mut self, max_frames: usize) -> Result<Vec<Frame>, Error> {
        self.read_after(self.acknowledged(), max_frames)
    }

    /// Up to `max_frames` frames behind `cursor`, which a frame or [`SpoolReader::acknowledged`] has given: to read on while earlier
    /// frames are on their way.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the file system says so.
    pub fn read_after(&mut self, cursor: Cursor, max_frames: usize) -> Result<Vec<Frame>, Error> {
        let mut frames = Vec::new();
        let mut at = cursor.max(self.acknowledged());
        while frames.len() < max_frames {
            let Some((from, end)) = self.next_stretch(at) else {
                break;
            };
            at = self
                .read_stretch(from, end, max_frames, &mut frames)
                .map_err(classify)?;
        }
        Ok(frames)
    }

    /// Frames up to `cursor` are not read again, by this process or a later one. An earlier cursor changes nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the position could not be stored or files not deleted; this process goes on behind `cursor`, a later
    /// one may read some frames again.
    pub fn acknowledge(&mut self, cursor: Cursor) -> Result<(), Error> {
        let mut state = self.shared.state();
        if cursor <= state.acknowledged {
            return Ok(());
        }
        state.acknowledged = cursor;
        let is_done = |id: u64, len: u64, closed: bool| {
            id < cursor.segment || (id == cursor.segment && closed && cursor.offset >= len)
        };
        let mut done = Vec::new();
        state.segments.retain(|segment| {
            let is_done = is_done(segment.id, segment.len, segment.closed);
            if is_done {
                done.push(segment.id);
            }
            !is_done
        });
        let left = state
            .segments
            .iter()
            .map(|segment| match segment.id == cursor.segment {
                true => segment.len.saturating_sub(cursor.offset),
                false => segment.len,
            });
        state.pending_bytes = left.sum();
        drop(state);
        let saved = self.cursor_file.write(cursor);
        for id in done {
            self.open.take_if(|(open, _)| *open == id);
            fs::remove_file(segment_path(&self.shared.directory, id)).map_err(classify)?;
        }
        saved.map_err(classify)
    }

    /// The position behind the last acknowledged frame.
    pub fn acknowledged(&self) -> Cursor {
        self.shared.state().acknowledged
    }

    /// Unacknowledged bytes, frame headers included.
    pub fn pending_bytes(&self) -> u64 {
        self.shared.state().pending_bytes
    }

    /// How many damaged places this reader has skipped.
    pub fn corrupt(&self) -> u64 {
        self.corrupt
    }

    /// Where the first byte behind `at` is, and where its segment ends for now.
    fn next_stretch(&self, at: Cursor) -> Option<(Cursor, u64)> {
        let state = self.shared.state();
        let stretches = state
            .segments
            .iter()
            .filter(|segment| segment.id >= at.segment)
            .map(|segment| {
                let offset = if segment.id == at.segment { at.offset } else { 0 };
                (
                    Cursor {
                        segment: segment.id,
                        offset,
                    },
                    segment.len,
                )
            });
        stretches.into_iter().find(|(from, end)| from.offset < *end)
    }

    /// Reads frames from `from` to the `end` of its segment at most; the answer is the position behind what was read.
    fn read_stretch(
        &mut self,
        from: Cursor,
        end: u64,
        max_frames: usize,
        frames: &mut Vec<Frame>,
    ) -> io::Result<Cursor> {
        let mut at = from;
        let mut want = CHUNK;
        while at.offset < end && frames.len() < max_frames {
            let is_rest = at.offset + want >= end;
            let mut bytes = self.bytes(at, want.min(end - at.offset))?;
            while frames.len() < max_frames && !bytes.is_empty() {
                match decode(&bytes) {
                    Found::Frame(len) => {
                        bytes.advance(HEADER);
                        at.offset += (HEADER + len) as u64;
                        frames.push(Frame {
                            cursor: at,
                            payload: bytes.split_to(len),
                        });
                        want = CHUNK;
                    }
                    // A frame that reaches beyond this chunk but not beyond the segment is read whole.
                    Found::Short(len) if !is_rest && at.offset + len as u64 <= end => {
                        want = CHUNK.max(len as u64);
                        break;
                    }
                    _ if is_rest => {
                        let skipped = 1 + next_whole(&bytes[1..]);
                        bytes.advance(skipped);
                        at.offset += skipped as u64;
                        self.count_corrupt(at);
                    }
                    // To find where damage ends, all of the segment is looked at.
                    _ => {
                        want = end - at.offset;
                        break;
                    }
                }
            }
        }
        Ok(at)
    }

    fn count_corrupt(&mut self, behind: Cursor) {
        if behind > self.counted {
            self.counted = behind;
            self.corrupt += 1;
        }
    }

    fn bytes(&mut self, at: Cursor, len: u64) -> io::Result<Bytes> {
        let file = match self.open.take() {
            Some((id, file)) if id == at.segment => file,
            _ => File::open(segment_path(&self.shared.directory, at.segment))?,
        };
        let (_, file) = self.open.insert((at.segment, file));
        file.seek(SeekFrom::Start(at.offset))?;
        let mut bytes = BytesMut::zeroed(len as usize);
        file.read_exact(&mut bytes)?;
        Ok(bytes.freeze())
    }
}
