//! One frame of the spool: a parcel, and to which batch of which life of the process it belongs.
//!
//! All that a batch needs is in its frames, so that a later life ships what this one leaves under the same producer, epoch and sequence:
//! a batch that is sent twice can be told.
//!
//! Layout, version 1, numbers little-endian: version (1 byte), producer (16), epoch (8), window (8), partition (4), sequence (8),
//! number of records (4), length of the traceparent (1), the traceparent, the encoded records.

use bytes::{Buf, Bytes};
use uuid::Uuid;

use super::Parcel;

const VERSION: u8 = 1;
const HEAD: usize = 50;

/// One life of a process: what its batches are known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Life {
    pub(crate) producer: Uuid,
    pub(crate) epoch: u64,
}

impl Life {
    /// The name of the producer in the log.
    pub(crate) fn producer_name(&self) -> String {
        format!("assignment-{}", self.producer)
    }
}

/// The batch that a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) life: Life,
    /// The batches of one window are shipped together.
    pub(crate) window: u64,
    pub(crate) partition: u32,
    pub(crate) sequence: u64,
}

/// A frame that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) place: Place,
    pub(crate) records: u32,
    pub(crate) traceparent: String,
    pub(crate) bytes: Bytes,
}

/// The bytes of a frame. A traceparent longer than any real one is left out.
pub(crate) fn encode(place: &Place, traceparent: &str, parcel: &Parcel) -> Vec<u8> {
    let length = u8::try_from(traceparent.len()).unwrap_or(0);
    let traceparent = if length == 0 { "" } else { traceparent };
    let mut bytes = Vec::with_capacity(HEAD + traceparent.len() + parcel.bytes.len());
    bytes.push(VERSION);
    bytes.extend(place.life.producer.as_bytes());
    bytes.extend(place.life.epoch.to_le_bytes());
    bytes.extend(place.window.to_le_bytes());
    bytes.extend(place.partition.to_le_bytes());
    bytes.extend(place.sequence.to_le_bytes());
    bytes.extend(parcel.records.to_le_bytes());
    bytes.push(length);
    bytes.extend(traceparent.as_bytes());
    bytes.extend_from_slice(&parcel.bytes);
    bytes
}

/// The frame that `bytes` are; none when they are something else, such as a frame of a newer release.
pub(crate) fn decode(mut bytes: Bytes) -> Option<Frame> {
    if bytes.len() < HEAD || bytes.get_u8() != VERSION {
        return None;
    }
    let producer = Uuid::from_u128(bytes.get_u128());
    let epoch = bytes.get_u64_le();
    let window = bytes.get_u64_le();
    let partition = bytes.get_u32_le();
    let sequence = bytes.get_u64_le();
    let records = bytes.get_u32_le();
    let length = usize::from(bytes.get_u8());
    if bytes.len() < length {
        return None;
    }
    let traceparent = String::from_utf8(bytes.split_to(length).to_vec()).ok()?;
    let place = Place {
        life: Life { producer, epoch },
        window,
        partition,
        sequence,
    };
    Some(Frame {
        place,
        records,
        traceparent,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            life: Life {
                producer: Uuid::from_u128(0xa1),
                epoch: 2,
            },
            window: 3,
            partition: 4,
            sequence: 5,
        }
    }

    #[test]
    fn the_form_on_disk_is_golden() {
        let parcel = Parcel {
            partition: 4,
            records: 6,
            bytes: vec![0xee, 0xff],
        };
        let bytes = encode(&place(), "tp", &parcel);
        let golden: Vec<u8> = [
            &[1][..],
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa1],
            &[2, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[4, 0, 0, 0],
            &[5, 0, 0, 0, 0, 0, 0, 0],
            &[6, 0, 0, 0],
            &[2, b't', b'p', 0xee, 0xff],
        ]
        .concat();
        assert_eq!(bytes, golden);
        let frame = Frame {
            place: place(),
            records: 6,
            traceparent: "tp".into(),
            bytes: Bytes::from_static(&[0xee, 0xff]),
        };
        assert_eq!(decode(golden.into()), Some(frame));
    }

    #[test]
    fn what_is_no_frame_is_none() {
        let parcel = Parcel {
            partition: 4,
            records: 6,
            bytes: vec![],
        };
        let whole = encode(&place(), "tp", &parcel);
        for length in 0..whole.len() {
            assert_eq!(decode(Bytes::copy_from_slice(&whole[..length])), None);
        }
        let newer = [&[2][..], &whole[1..]].concat();
        assert_eq!(decode(newer.into()), None);
    }
}
