//! The acknowledged position and its file.
//!
//! The file has two slots that are overwritten in turn, so that one is whole whatever happens to the other, and so that acknowledging
//! needs no room on a disk that is full: it is acknowledging that makes room.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// A position between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cursor {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

const SLOT: usize = 20;

#[derive(Debug)]
pub(super) struct CursorFile {
    file: File,
    /// Which slot is written next.
    next: u64,
}

impl CursorFile {
    /// The file at `path`, and the cursor that was written last; the start of all segments when there is none.
    pub(super) fn open(path: &Path) -> io::Result<(Cursor, Self)> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let saved = [decode(bytes.get(..SLOT)), decode(bytes.get(SLOT..2 * SLOT))];
        // Cursors only grow, so the greater one is the later one, and the other slot is free.
        let next = u64::from(saved[0] >= saved[1] && saved[0].is_some());
        let last = saved[0].max(saved[1]).unwrap_or_default();
        let mut opened = Self { file, next };
        // Room for both slots is taken now, while there is some.
        if bytes.len() < 2 * SLOT {
            bytes.resize(2 * SLOT, 0);
            opened.file.seek(SeekFrom::Start(0))?;
            opened.file.write_all(&bytes)?;
        }
        Ok((last, opened))
    }

    pub(super) fn write(&mut self, cursor: Cursor) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.next * SLOT as u64))?;
        self.file.write_all(&encode(cursor))?;
        self.next = 1 - self.next;
        Ok(())
    }
}

fn encode(cursor: Cursor) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&cursor.segment.to_le_bytes());
    slot[8..16].copy_from_slice(&cursor.offset.to_le_bytes());
    // Zeros, which a file may hold after a machine crash, are no cursor.
    let checksum = !crc32fast::hash(&slot[..16]);
    slot[16..].copy_from_slice(&checksum.to_le_bytes());
    slot
}

fn decode(slot: Option<&[u8]>) -> Option<Cursor> {
    let slot: &[u8; SLOT] = slot?.try_into().ok()?;
    let number = |at: usize| slot[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let cursor = Cursor {
        segment: number(0)?,
        offset: number(8)?,
    };
    (encode(cursor) == *slot).then_some(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cursor_comes_back_even_when_one_slot_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor");
        let cursor = |offset| Cursor { segment: 3, offset };
        for offset in 1..6 {
            let (last, mut file) = CursorFile::open(&path).unwrap();
            assert_eq!(last.offset, offset - 1);
            file.write(cursor(offset)).unwrap();
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[1] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (last, _) = CursorFile::open(&path).unwrap();
        assert_eq!(last, cursor(4), "the other slot");
        std::fs::write(&path, [0; 7]).unwrap();
        assert_eq!(CursorFile::open(&path).unwrap().0, Cursor::default());
    }
}
