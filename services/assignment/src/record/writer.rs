//! The writer thread: writes all that waits at once, then tells those who wait for it.

use std::sync::Arc;

use assay_failpoint::{Point, reach};
use assay_platform::error::chain;
use assay_storage::Error;
use tokio::sync::Notify;

use super::{
    DropReason, frame,
    queue::{Item, Queue},
    sequence::SharedSequencer,
    store::StoreWriter,
};

pub(super) struct Writer {
    pub(super) queue: Arc<Queue>,
    pub(super) store: StoreWriter,
    pub(super) sequencer: SharedSequencer,
    pub(super) arrived: Arc<Notify>,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut failing = false;
        while let Some(taken) = self.queue.take() {
            reach(Point::AssignmentBeforeSpool);
            let written = self.write_all(&taken.items);
            reach(Point::AssignmentAfterSpool);
            taken.done();
            match written {
                Ok(()) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(
                            error = chain(&error),
                            "exposures are dropped: the spool does not take them"
                        );
                    }
                }
            }
            self.arrived.notify_one();
        }
    }

    /// Writes `items` together; when there is no room for all of them, as many as there is room for. The last error is returned.
    fn write_all(&mut self, items: &[Item]) -> Result<(), Error> {
        match self.append(items) {
            Err(Error::Full { .. }) if items.len() > 1 => {
                let mut outcome = Ok(());
                for item in items {
                    let item = std::slice::from_ref(item);
                    let written = self.append(item);
                    outcome = self.settle(item, written).and(outcome);
                }
                outcome
            }
            written => self.settle(items, written),
        }
    }

    fn append(&mut self, items: &[Item]) -> Result<(), Error> {
        // Held until the frames are written: what the shipper seals is there to be read.
        let mut sequencer = self.sequencer.lock();
        let mut placed = sequencer.clone();
        let mut frames = Vec::with_capacity(items.len());
        for item in items {
            for parcel in &item.parcels {
                frames.push(frame::encode(&placed.place(parcel), &item.traceparent, parcel));
            }
        }
        self.store.append(frames)?;
        *sequencer = placed;
        Ok(())
    }

    /// Counts `items` as dropped when they were not `written`.
    fn settle(&self, items: &[Item], written: Result<(), Error>) -> Result<(), Error> {
        let reason = match &written {
            Ok(()) => return written,
            Err(Error::Full { .. }) => DropReason::SpoolFull,
            Err(_) => DropReason::SpoolFailed,
        };
        self.queue
            .count_dropped(items.iter().map(|item| item.records).sum(), reason);
        written
    }
}
