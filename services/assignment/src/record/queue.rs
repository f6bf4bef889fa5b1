//! The bounded queue between requests and the writer thread, and the counts, under one lock: so they always add up.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::{DropReason, ExposureCounts, Parcel};

/// The exposures of one request.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) parcels: Vec<Parcel>,
    /// Records of all parcels.
    pub(crate) records: u64,
    /// W3C trace context of the request; may be empty.
    pub(crate) traceparent: String,
    /// Told when they are spooled or dropped.
    pub(crate) done: oneshot::Sender<()>,
}

impl Item {
    fn bytes(&self) -> usize {
        self.parcels
            .iter()
            .map(|parcel| parcel.bytes.len() + size_of::<Parcel>())
            .sum::<usize>()
            + size_of::<Self>()
    }
}

/// The queue. Its lock is held for memory accesses only.
#[derive(Debug)]
pub(crate) struct Queue {
    max_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: Vec<Item>,
    bytes: usize,
    closed: bool,
    /// Whether the writer sleeps and must be woken.
    idle: bool,
    counts: ExposureCounts,
}

impl Queue {
    /// A queue of at most `max_bytes`.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Offers `item`; `false` when there is no room and it is dropped.
    pub(crate) fn push(&self, item: Item) -> bool {
        let bytes = item.bytes();
        let mut state = self.state();
        state.counts.offered += item.records;
        if state.closed || state.bytes + bytes > self.max_bytes {
            state.counts.drop(item.records, DropReason::BufferFull);
            return false;
        }
        state.counts.pending += item.records;
        state.bytes += bytes;
        state.items.push(item);
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.changed.notify_one();
        }
        true
    }

    /// All that waits; sleeps while nothing does. None when the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<Item>> {
        let mut state = self.state();
        while state.items.is_empty() && !state.closed {
            state.idle = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes = 0;
        let items = std::mem::take(&mut state.items);
        (!items.is_empty()).then_some(items)
    }

    /// Nothing is taken in any more.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn count_unspooled(&self, records: u64) {
        self.state().counts.unspooled += records;
    }

    pub(crate) fn count_dropped(&self, records: u64, reason: DropReason) {
        let mut state = self.state();
        state.counts.pending -= records;
        state.counts.drop(records, reason);
    }

    pub(crate) fn count_acknowledged(&self, records: u64) {
        let mut state = self.state();
        state.counts.pending -= records;
        state.counts.acknowledged += records;
    }

    pub(crate) fn count_recovered(&self, records: u64) {
        self.state().counts.recovered += records;
    }

    /// Where everything is that was offered.
    pub(crate) fn counts(&self) -> ExposureCounts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every section leaves the counts whole: none of them can panic in the middle.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
