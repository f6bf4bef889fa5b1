//! A frame in a file: `ASF1`, length, CRC-32 of length and payload, payload; numbers are little-endian.

/// Bytes before the payload.
pub(super) const HEADER: usize = 12;
const MAGIC: [u8; 4] = *b"ASF1";

/// Adds a frame to `buffer`; `false`, and nothing is added, when the payload is longer than a frame can say.
pub(super) fn encode(buffer: &mut Vec<u8>, payload: &[u8]) -> bool {
    let Ok(len) = u32::try_from(payload.len()) else {
        return false;
    };
    buffer.reserve(HEADER + payload.len());
    buffer.extend(MAGIC);
    buffer.extend(len.to_le_bytes());
    buffer.extend(checksum(len, payload).to_le_bytes());
    buffer.extend(payload);
    true
}

fn checksum(len: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// What begins at a place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A whole frame with a payload of this many bytes.
    Frame(usize),
    /// More than these bytes are needed to know: so many in all, if the frame is what it says.
    Short(usize),
    /// No frame.
    Corrupt,
}

/// What begins at the start of `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Found {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        let begun = bytes.len().min(MAGIC.len());
        return if bytes[..begun] == MAGIC[..begun] {
            Found::Short(HEADER)
        } else {
            Found::Corrupt
        };
    };
    let [m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    let len = u32::from_le_bytes([l0, l1, l2, l3]);
    if [m0, m1, m2, m3] != MAGIC {
        return Found::Corrupt;
    }
    match rest.get(..len as usize) {
        None => Found::Short(HEADER + len as usize),
        Some(payload) if checksum(len, payload) == u32::from_le_bytes([c0, c1, c2, c3]) => {
            Found::Frame(len as usize)
        }
        Some(_) => Found::Corrupt,
    }
}

/// Where the next whole frame begins in `bytes`, which are all there are; their end when there is none.
///
/// A payload that itself holds frames, and whose own frame is damaged, would yield those: spooled records are none.
pub(super) fn next_whole(bytes: &[u8]) -> usize {
    let is_whole = |at: &usize| matches!(decode(&bytes[*at..]), Found::Frame(_));
    (0..bytes.len())
        .filter(|&at| bytes[at] == MAGIC[0])
        .find(is_whole)
        .unwrap_or(bytes.len())
}
