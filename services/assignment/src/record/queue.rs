//! The bounded queue between requests and the writer thread, and the counts, under one lock: so they always add up.
//!
//! Requests that wait for the same write wait together, those of one thread for one task of that thread: waking a task from another thread
//! costs a system call, and waking the others from the first costs none. A lone request is written at once. Where several came together, more are
//! on their way, and the writer gathers them for a moment: one write and one signal then serve all of them.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::sync::oneshot;

use super::{DropReason, ExposureCounts, Parcel};

/// From the beginning of a write that several requests had joined to that of the next one.
const GATHER: Duration = Duration::from_micros(500);

/// Threads beyond this many share their signals.
const LANES: usize = 16;

thread_local! {
    /// The lane of this thread.
    static LANE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % LANES
    };
}

/// The write that a request has joined: whether it was done within the wait.
pub(crate) type Spooled = Shared<BoxFuture<'static, bool>>;

/// The exposures of one request.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) parcels: Vec<Parcel>,
    /// Records of all parcels.
    pub(crate) records: u64,
    /// W3C trace context of the request; may be empty.
    pub(crate) traceparent: String,
}

/// What is written together, and who is told when it is spooled or dropped.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) items: Vec<Item>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Taken {
    /// The items are spooled or dropped.
    pub(crate) fn done(self) {
        for lane in self.waiting {
            // Who did not wait does not want to know.
            let _ = lane.send(());
        }
    }
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
    next: Taken,
    /// By lane: what requests that join the next write wait for.
    joined: [Option<Spooled>; LANES],
    bytes: usize,
    closed: bool,
    /// Whether the writer sleeps and must be woken.
    idle: bool,
    /// Until when the writer gathers; absent after a write for a lone request.
    gathers_until: Option<Instant>,
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

    /// Offers `item`. Given a `wait`, the answer is the write that it has joined: done within `wait` from the first item of that write,
    /// or not. None without a `wait`, and when there is no room and it is dropped.
    pub(crate) fn push(&self, item: Item, wait: Option<Duration>) -> Option<Spooled> {
        let bytes = item.bytes();
        let mut state = self.state();
        state.counts.offered += item.records;
        if state.closed || state.bytes + bytes > self.max_bytes {
            state.counts.drop(item.records, DropReason::BufferFull);
            return None;
        }
        state.counts.pending += item.records;
        state.bytes += bytes;
        state.next.items.push(item);
        let spooled = wait.map(|wait| state.join(LANE.with(|lane| *lane), wait));
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.changed.notify_one();
        }
        spooled
    }

    /// All that waits; sleeps while nothing does, and while more is gathered. None when the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Taken> {
        let mut state = self.state();
        while state.next.items.is_empty() && !state.closed {
            state.idle = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(until) = state.gathers_until {
            let left = until.saturating_duration_since(Instant::now());
            let gathered = self
                .changed
                .wait_timeout_while(state, left, |state| !state.closed);
            (state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes = 0;
        state.joined = Default::default();
        let taken = std::mem::take(&mut state.next);
        state.gathers_until = (taken.items.len() > 1).then(|| Instant::now() + GATHER);
        (!taken.items.is_empty()).then_some(taken)
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

impl State {
    /// The signal of `lane` for the next write.
    fn join(&mut self, lane: usize, wait: Duration) -> Spooled {
        let Self { next, joined, .. } = self;
        let mut join = || {
            let (done, told) = oneshot::channel();
            next.waiting.push(done);
            let told = tokio::spawn(tokio::time::timeout(wait, told));
            told.map(|outcome| matches!(outcome, Ok(Ok(Ok(())))))
                .boxed()
                .shared()
        };
        match joined.get_mut(lane) {
            Some(joined) => joined.get_or_insert_with(join).clone(),
            None => join(),
        }
    }
}
