//! What is shipped together: whole windows, so that every batch has all of its records.

use assay_platform::error::chain;
use bytes::Bytes;

use crate::record::{
    frame::{self, Frame, Life},
    parcel_batch,
    sequence::{WINDOW_BYTES, WINDOW_FRAMES},
    store::{Position, StoreReader},
};

/// A round has at least one window, and about this much if there is more.
const ROUND_FRAMES: usize = 4 * WINDOW_FRAMES;
const ROUND_BYTES: usize = 4 * WINDOW_BYTES;
const STEP: usize = 512;

/// Entries to send, and what is acknowledged when all of them are.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) entries: Vec<Entry>,
    /// Behind the last frame; absent when there is none.
    pub(super) end: Option<Position>,
    /// Records of this life.
    pub(super) own_records: u64,
    /// Records of earlier ones.
    pub(super) recovered_records: u64,
    /// Frames that are none of ours.
    pub(super) unreadable: u64,
    /// Whether there is more to be shipped at once.
    pub(super) has_more: bool,
}

/// One entry of the log.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) partition: u32,
    pub(super) records: u32,
    pub(super) traceparent: String,
    pub(super) payload: Bytes,
}

/// The next round: frames of earlier lives, and those of this one in windows before the `sealed` one.
pub(super) fn take(reader: &mut StoreReader, sealed: (Life, u64)) -> Round {
    let (frames, has_more) = read(reader);
    pack(whole_windows(frames, sealed, has_more), sealed.0, has_more)
}

type Read = Vec<(Position, Option<Frame>)>;

/// Frames behind what is acknowledged, and whether there may be more.
fn read(reader: &mut StoreReader) -> (Read, bool) {
    let mut frames: Read = Vec::new();
    let mut bytes = 0;
    let mut at = reader.acknowledged();
    while frames.len() < ROUND_FRAMES && bytes < ROUND_BYTES {
        let step = match reader.read_after(at, STEP) {
            Ok(step) => step,
            Err(error) => {
                tracing::warn!(error = chain(&error), "the spool cannot be read");
                break;
            }
        };
        let Some((last, _)) = step.last() else {
            return (frames, false);
        };
        at = *last;
        bytes += step.iter().map(|(_, payload)| payload.len()).sum::<usize>();
        frames.extend(
            step.into_iter()
                .map(|(position, payload)| (position, frame::decode(payload))),
        );
    }
    (frames, true)
}

/// `frames` without those of a window that may still grow, or of which some may not have been read.
fn whole_windows(mut frames: Read, sealed: (Life, u64), has_more: bool) -> Read {
    let window = |frame: &Frame| (frame.place.life, frame.place.window);
    let open = |frame: &Frame| frame.place.life == sealed.0 && frame.place.window >= sealed.1;
    if let Some(at) = frames
        .iter()
        .position(|(_, frame)| frame.as_ref().is_some_and(open))
    {
        frames.truncate(at);
        return frames;
    }
    if has_more
        && let Some(last) = frames
            .iter()
            .rev()
            .find_map(|(_, frame)| frame.as_ref())
            .map(window)
    {
        let first = frames
            .iter()
            .position(|(_, frame)| frame.as_ref().map(window) == Some(last))
            .unwrap_or_default();
        // A window is smaller than a round; should it not be, it is better sent in parts than never.
        if first > 0 {
            frames.truncate(first);
        }
    }
    frames
}

/// One entry for each batch, in the order in which they began.
fn pack(frames: Read, own: Life, has_more: bool) -> Round {
    let mut round = Round {
        end: frames.last().map(|(position, _)| *position),
        has_more,
        ..Round::default()
    };
    let mut batches: Vec<Vec<Frame>> = Vec::new();
    let mut index = std::collections::HashMap::new();
    for (_, frame) in frames {
        let Some(frame) = frame else {
            round.unreadable += 1;
            continue;
        };
        let records = u64::from(frame.records);
        if frame.place.life == own {
            round.own_records += records;
        } else {
            round.recovered_records += records;
        }
        let place = frame.place;
        let batch = *index
            .entry((place.life, place.partition, place.sequence))
            .or_insert_with(|| {
                batches.push(Vec::new());
                batches.len() - 1
            });
        batches[batch].push(frame);
    }
    round.entries = batches.iter().filter_map(|batch| entry(batch)).collect();
    round
}

fn entry(frames: &[Frame]) -> Option<Entry> {
    let place = frames.first()?.place;
    let traceparent = frames
        .iter()
        .map(|frame| frame.traceparent.as_str())
        .find(|text| !text.is_empty())
        .unwrap_or_default();
    let parcels = frames.iter().map(|frame| &*frame.bytes);
    let payload = parcel_batch(
        place.life.producer_name(),
        place.life.epoch,
        place.sequence,
        traceparent,
        parcels,
    );
    Some(Entry {
        partition: place.partition,
        records: frames.iter().map(|frame| frame.records).sum(),
        traceparent: traceparent.to_owned(),
        payload: payload.into(),
    })
}
