//! From exposures to the spool: nothing here ever fails or holds up an answer.
//!
//! A request encodes its exposures ([`Parcel`]), puts them into a bounded queue ([`queue`]) and waits at most two milliseconds for the
//! writer thread ([`writer`]), which writes all that waits at once. What a frame of the spool holds is in [`frame`]; which sequence
//! numbers it gets in [`sequence`]. The shipper ([`crate::ship`]) takes it from there.

mod counts;
pub(crate) mod frame;
mod parcel;
pub(crate) mod queue;
pub(crate) mod sequence;
pub(crate) mod store;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::Notify;

pub(crate) use counts::{DropReason, ExposureCounts};
pub(crate) use parcel::{Parcel, Parcels, batch as parcel_batch};
use queue::{Item, Queue};
use sequence::SharedSequencer;
use store::StoreWriter;

/// Takes exposures from requests. Dropping it closes the queue; what is in it is still written.
pub(crate) struct Recorder {
    queue: Arc<Queue>,
    partitions: u32,
    /// How long an answer waits for its exposures to be spooled; absent when there is no spool to wait for.
    wait: Option<Duration>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Starts the writer thread. `arrived` is notified when there is something to ship.
    pub(crate) fn start(
        queue: Arc<Queue>,
        store: StoreWriter,
        sequencer: SharedSequencer,
        arrived: Arc<Notify>,
        partitions: u32,
        wait: Option<Duration>,
    ) -> std::io::Result<Self> {
        let writer = writer::Writer {
            queue: queue.clone(),
            store,
            sequencer,
            arrived,
        };
        let thread = std::thread::Builder::new()
            .name("exposures".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            queue,
            partitions,
            wait,
            writer: Mutex::new(Some(thread)),
        })
    }

    /// How many partitions the log has.
    pub(crate) fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Records the exposures of one request. The answer, if there is one, resolves when they are spooled, at the latest after the wait.
    pub(crate) fn record(&self, parcels: Parcels) -> Option<BoxFuture<'static, ()>> {
        if parcels.is_empty() {
            return None;
        }
        let parcels = parcels.into_vec();
        let traceparent = assay_platform::telemetry::current_traceparent().unwrap_or_default();
        let records = parcels.iter().map(|parcel| u64::from(parcel.records)).sum();
        let item = Item {
            parcels,
            records,
            traceparent,
        };
        let spooled = self.queue.push(item, self.wait)?;
        let queue = self.queue.clone();
        let waited = async move {
            if !spooled.await {
                queue.count_unspooled(records);
            }
        };
        Some(waited.boxed())
    }

    /// Closes the queue and waits until what was in it is written. Requests that still come are dropped and counted.
    pub(crate) async fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // It only fails if the thread has panicked, and then there is nothing to wait for.
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.queue.close();
    }
}
