//! Which batch a parcel belongs to, decided when it is written.
//!
//! Batches are numbered per partition from 1. All batches of a window are closed together: when the shipper takes the window, or when it
//! has grown large. A closed batch never grows, so its number names the same records for ever.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Parcel,
    frame::{Life, Place},
    parcel::MAX_RECORDS,
};

/// A window that holds this many frames is closed.
pub(crate) const WINDOW_FRAMES: usize = 1_024;
/// A window that holds this many bytes is closed.
pub(crate) const WINDOW_BYTES: usize = 1 << 20;

/// Gives places to parcels.
#[derive(Debug, Clone)]
pub(crate) struct Sequencer {
    life: Life,
    window: u64,
    frames: usize,
    bytes: usize,
    batches: HashMap<u32, Open>,
}

/// The last batch of a partition.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    sequence: u64,
    window: u64,
    records: usize,
}

impl Sequencer {
    pub(crate) fn new(life: Life) -> Self {
        Self {
            life,
            window: 1,
            frames: 0,
            bytes: 0,
            batches: HashMap::new(),
        }
    }

    /// The place of `parcel`, which is written next.
    pub(crate) fn place(&mut self, parcel: &Parcel) -> Place {
        if self.frames >= WINDOW_FRAMES || self.bytes >= WINDOW_BYTES {
            self.close_window();
        }
        self.frames += 1;
        self.bytes += parcel.bytes.len();
        let records = parcel.records as usize;
        let open = self.batches.entry(parcel.partition).or_default();
        if open.window != self.window || open.records + records > MAX_RECORDS {
            *open = Open {
                sequence: open.sequence + 1,
                window: self.window,
                records: 0,
            };
        }
        open.records += records;
        Place {
            life: self.life,
            window: self.window,
            partition: parcel.partition,
            sequence: open.sequence,
        }
    }

    /// Closes all batches. What was written before belongs to windows before the one returned.
    pub(crate) fn seal(&mut self) -> (Life, u64) {
        if self.frames > 0 {
            self.close_window();
        }
        (self.life, self.window)
    }

    fn close_window(&mut self) {
        self.window += 1;
        self.frames = 0;
        self.bytes = 0;
    }
}

/// The sequencer that writer and shipper share. The writer holds it until what it has placed is written.
#[derive(Debug, Clone)]
pub(crate) struct SharedSequencer(Arc<Mutex<Sequencer>>);

impl SharedSequencer {
    pub(crate) fn new(life: Life) -> Self {
        Self(Arc::new(Mutex::new(Sequencer::new(life))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Sequencer> {
        // Every change leaves numbers that were not given before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn parcel(partition: u32, records: u32) -> Parcel {
        Parcel {
            partition,
            records,
            bytes: vec![0; 10],
        }
    }

    fn sequencer() -> Sequencer {
        Sequencer::new(Life {
            producer: Uuid::nil(),
            epoch: 1,
        })
    }

    #[test]
    fn batches_are_numbered_without_gaps_and_never_grow_after_a_seal() {
        let mut sequencer = sequencer();
        let mut number = |partition, records| sequencer.place(&parcel(partition, records)).sequence;
        assert_eq!(
            [number(0, 300), number(0, 212), number(0, 1), number(1, 1)],
            [1, 1, 2, 1]
        );
        assert_eq!(sequencer.seal().1, 2);
        assert_eq!(sequencer.seal().1, 2, "an empty window stays");
        let place = sequencer.place(&parcel(0, 1));
        assert_eq!((place.window, place.sequence), (2, 3));
        assert_eq!(sequencer.place(&parcel(2, 1)).sequence, 1);
    }

    #[test]
    fn a_window_that_nobody_takes_is_closed_by_its_size() {
        let mut sequencer = sequencer();
        let windows: Vec<_> = (0..=WINDOW_FRAMES)
            .map(|_| sequencer.place(&parcel(0, 1)).window)
            .collect();
        assert_eq!((windows[WINDOW_FRAMES - 1], windows[WINDOW_FRAMES]), (1, 2));
        let large = Parcel {
            partition: 0,
            records: 1,
            bytes: vec![0; WINDOW_BYTES],
        };
        assert_eq!(
            (sequencer.place(&large).window, sequencer.place(&large).window),
            (2, 3)
        );
    }
}
