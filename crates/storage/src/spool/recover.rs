//! What an earlier process left.

use std::{collections::VecDeque, fs, io, path::Path};

use super::{
    Cursor, Recovered, Segment,
    frame::{Found, HEADER, decode, next_whole},
    segment_path,
};

/// The segments that are not wholly acknowledged, oldest first; others are deleted, and torn ends are cut off.
pub(super) fn segments(directory: &Path, acknowledged: Cursor) -> io::Result<(VecDeque<Segment>, Recovered)> {
    let ids = segment_ids(directory)?;
    let (mut segments, mut recovered) = (VecDeque::new(), Recovered::default());
    for id in ids {
        let path = segment_path(directory, id);
        let from = if id == acknowledged.segment {
            acknowledged.offset
        } else {
            0
        };
        let bytes = if id < acknowledged.segment {
            Vec::new()
        } else {
            fs::read(&path)?
        };
        let start = bytes.len().min(usize::try_from(from).unwrap_or(usize::MAX));
        let scan = scan(&bytes[start..]);
        let end = start + scan.end;
        recovered.frames += scan.frames;
        recovered.corrupt += scan.corrupt;
        if scan.frames == 0 {
            // Whether wholly acknowledged or without a whole frame: there is nothing to read in it.
            recovered.torn_bytes += (bytes.len() - start) as u64;
            fs::remove_file(&path)?;
            continue;
        }
        if end < bytes.len() {
            recovered.torn_bytes += (bytes.len() - end) as u64;
            fs::File::options().write(true).open(&path)?.set_len(end as u64)?;
        }
        recovered.bytes += (end - start) as u64;
        segments.push_back(Segment {
            id,
            len: end as u64,
            closed: true,
        });
    }
    Ok((segments, recovered))
}

fn segment_ids(directory: &Path) -> io::Result<Vec<u64>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let id = name
            .to_str()
            .and_then(|name| name.strip_suffix(".spool"))
            .and_then(|id| u64::from_str_radix(id, 16).ok());
        ids.extend(id);
    }
    ids.sort_unstable();
    Ok(ids)
}

#[derive(Debug, Default)]
struct Scan {
    frames: u64,
    /// Damaged places that have a whole frame behind them.
    corrupt: u64,
    /// Where the last whole frame ends.
    end: usize,
}

fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan::default();
    let mut at = 0;
    while at < bytes.len() {
        match decode(&bytes[at..]) {
            Found::Frame(len) => {
                scan.frames += 1;
                at += HEADER + len;
                scan.end = at;
            }
            Found::Short(_) | Found::Corrupt => {
                at += 1 + next_whole(&bytes[at + 1..]);
                scan.corrupt += u64::from(at < bytes.len());
            }
        }
    }
    scan
}
