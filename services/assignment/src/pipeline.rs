//! The way of an exposure put together: recorder, store, shipper.

use std::{path::PathBuf, sync::Arc, time::Duration};

use assay_platform::Shutdown;
use assay_storage::spool::{Spool, SpoolLimits};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use uuid::Uuid;

use crate::{
    Error, ExposureSettings, Ports,
    record::{
        Recorder,
        frame::Life,
        queue::Queue,
        sequence::SharedSequencer,
        store::{Memory, StoreReader, StoreWriter},
    },
    ship::Shipper,
};

/// How long a start waits for the process that has the spool open: one that is about to end, after a restart in a hurry.
const PREDECESSOR_WAIT: Duration = Duration::from_secs(2);
const PREDECESSOR_STEP: Duration = Duration::from_millis(20);

/// A running pipeline. Dropped, it stops: what is spooled stays, what is not is lost.
pub(crate) struct Pipeline {
    recorder: Arc<Recorder>,
    queue: Arc<Queue>,
    tasks: JoinSet<()>,
    stop: Shutdown,
}

/// Opens the store and starts to ship what an earlier life has left in it.
pub(crate) async fn start(ports: &Ports, settings: &ExposureSettings, epoch: u64) -> Result<Pipeline, Error> {
    let (writer, reader) = open(ports.data_dir.join("exposures"), settings).await?;
    let queue = Arc::new(Queue::new(settings.buffer_bytes));
    let sequencer = SharedSequencer::new(Life {
        producer: Uuid::now_v7(),
        epoch,
    });
    let arrived = Arc::new(Notify::new());
    let wait = settings.spool.then_some(settings.spool_wait);
    let partitions = ports.log.partitions();
    let recorder = Recorder::start(
        queue.clone(),
        writer,
        sequencer.clone(),
        arrived.clone(),
        partitions,
        wait,
    );
    let recorder = Arc::new(recorder.map_err(Error::Thread)?);
    let shipper = Shipper {
        log: ports.log.clone(),
        reader,
        sequencer,
        queue: queue.clone(),
        arrived,
        interval: settings.ship_interval,
    };
    let (mut tasks, stop) = (JoinSet::new(), Shutdown::new());
    let stopped = stop.clone();
    tasks.spawn(async move { shipper.run(&stopped).await });
    Ok(Pipeline {
        recorder,
        queue,
        tasks,
        stop,
    })
}

async fn open(directory: PathBuf, settings: &ExposureSettings) -> Result<(StoreWriter, StoreReader), Error> {
    if !settings.spool {
        let memory = Memory::new(usize::try_from(settings.spool_bytes).unwrap_or(usize::MAX));
        return Ok((StoreWriter::Memory(memory.clone()), StoreReader::Memory(memory)));
    }
    let limits = SpoolLimits {
        segment_bytes: settings.spool_segment_bytes,
        total_bytes: settings.spool_bytes,
        sync_closed: false,
    };
    let name = directory.display().to_string();
    let failed = |source| Error::Spool {
        directory: name,
        source,
    };
    let deadline = Instant::now() + PREDECESSOR_WAIT;
    let spool = loop {
        let directory = directory.clone();
        let opened = tokio::task::spawn_blocking(move || Spool::open(directory, limits)).await;
        let opened = opened.unwrap_or_else(|panicked| {
            Err(assay_storage::Error::Unavailable {
                store: "spool",
                source: panicked.into(),
            })
        });
        match opened {
            Err(assay_storage::Error::Refused { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(PREDECESSOR_STEP).await;
            }
            opened => break opened.map_err(failed)?,
        }
    };
    if spool.recovered.frames > 0 {
        tracing::info!(
            frames = spool.recovered.frames,
            bytes = spool.recovered.bytes,
            "the spool holds exposures of an earlier life"
        );
    }
    let (writer, reader) = spool.split();
    Ok((StoreWriter::Spool(writer), StoreReader::Spool(reader)))
}

impl Pipeline {
    /// Where everything is that was offered.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }

    /// Where requests put their exposures.
    pub(crate) fn recorder(&self) -> Arc<Recorder> {
        self.recorder.clone()
    }

    /// Writes what is queued, ships what is left until the `deadline`, and logs where everything is.
    pub(crate) async fn drain(mut self, deadline: Duration) {
        let drained = async {
            self.recorder.close().await;
            self.stop.trigger();
            while self.tasks.join_next().await.is_some() {}
        };
        let in_time = tokio::time::timeout(deadline, drained).await.is_ok();
        let counts = self.queue.counts();
        tracing::info!(
            offered = counts.offered,
            acknowledged = counts.acknowledged,
            dropped_buffer_full = counts.dropped_buffer_full,
            dropped_spool_full = counts.dropped_spool_full,
            dropped_spool_failed = counts.dropped_spool_failed,
            pending = counts.pending,
            unspooled = counts.unspooled,
            recovered = counts.recovered,
            in_time,
            "exposures: {counts}"
        );
    }
}

impl Drop for Pipeline {
    /// Connections may outlive us and hold the recorder: the spool must not wait for them.
    fn drop(&mut self) {
        self.queue.close();
    }
}
