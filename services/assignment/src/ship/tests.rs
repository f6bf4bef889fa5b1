use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Mutex,
};

use assay_proto::stream::{self, Batch, Records};
use assay_storage::{
    event_log::{Entry as LogEntry, Position},
    spool::{Spool, SpoolLimits},
};
use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::record::{
    Recorder,
    store::{StoreReader, StoreWriter},
    tests::{exposure, life, record},
};

const PARTITIONS: u32 = 3;

/// What the log does with one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Refuses it.
    Refuse,
    /// Takes it, and the answer is lost.
    LoseReply,
}

/// A log in memory that fails as told, then no more.
#[derive(Debug, Default)]
struct Faulty {
    faults: Mutex<Vec<Fault>>,
    batches: Mutex<Vec<(u32, Batch)>>,
}

impl Faulty {
    fn with(faults: Vec<Fault>) -> Arc<Self> {
        Arc::new(Self {
            faults: Mutex::new(faults),
            ..Self::default()
        })
    }

    fn append_one(&self, append: Append) -> Result<Position, Error> {
        let fault = self.faults.lock().unwrap().pop().unwrap_or(Fault::None);
        if fault != Fault::Refuse {
            let batch = stream::decode(&append.payload).unwrap();
            self.batches.lock().unwrap().push((append.partition, batch));
        }
        match fault {
            Fault::None => Ok(Position::START),
            _ => Err(Error::Unavailable {
                store: "log",
                source: "as told".into(),
            }),
        }
    }

    /// The units in the log; a batch that came twice must be the same.
    fn units(&self) -> Vec<String> {
        let mut distinct = BTreeMap::new();
        for (partition, batch) in self.batches.lock().unwrap().iter() {
            let known = distinct.insert(
                (batch.producer.clone(), batch.epoch, *partition, batch.sequence),
                batch.clone(),
            );
            assert!(
                known.is_none_or(|known| known == *batch),
                "one number, two batches: {batch:?}"
            );
        }
        let exposures = distinct.values().flat_map(|batch| match &batch.records {
            Records::Exposures(exposures) => exposures.clone(),
            other => panic!("exposures only: {other:?}"),
        });
        exposures.map(|exposure| exposure.unit.id().to_owned()).collect()
    }
}

#[async_trait]
impl EventLog for Faulty {
    fn partitions(&self) -> u32 {
        PARTITIONS
    }

    async fn append(&self, entries: Vec<Append>) -> Vec<Result<Position, Error>> {
        entries
            .into_iter()
            .map(|append| self.append_one(append))
            .collect()
    }

    async fn read(&self, _: u32, _: Topic, _: Position, _: usize) -> Result<Vec<LogEntry>, Error> {
        Ok(Vec::new())
    }

    async fn tail(&self, _: u32, _: Topic) -> Result<Position, Error> {
        Ok(Position::START)
    }

    async fn trim(&self, _: u32, _: Topic, _: Position) -> Result<(), Error> {
        Ok(())
    }
}

/// One life of the process.
struct Process {
    recorder: Recorder,
    queue: Arc<Queue>,
    shipper: Option<Shipper>,
}

fn begin(directory: &Path, log: Arc<Faulty>, epoch: u64) -> Process {
    let (writer, reader) = Spool::open(
        directory,
        SpoolLimits {
            segment_bytes: 3_000,
            ..SpoolLimits::default()
        },
    )
    .unwrap()
    .split();
    let queue = Arc::new(Queue::new(1 << 20));
    let sequencer = SharedSequencer::new(life(epoch));
    let arrived = Arc::new(Notify::new());
    let (store, wait) = (StoreWriter::Spool(writer), Some(Duration::from_secs(60)));
    let recorder = Recorder::start(
        queue.clone(),
        store,
        sequencer.clone(),
        arrived.clone(),
        PARTITIONS,
        wait,
    )
    .unwrap();
    let interval = Duration::from_millis(1);
    let reader = StoreReader::Spool(reader);
    let shipper = Some(Shipper {
        log,
        reader,
        sequencer,
        queue: queue.clone(),
        arrived,
        interval,
    });
    Process {
        recorder,
        queue,
        shipper,
    }
}

impl Process {
    async fn record(&self, units: &[String]) {
        for some in units.chunks(7) {
            record(&self.recorder, some.iter().map(|unit| exposure(unit))).await;
        }
    }

    /// Ships everything and ends.
    async fn end(mut self) {
        self.recorder.close().await;
        let stop = Shutdown::new();
        stop.trigger();
        if let Some(shipper) = self.shipper.take() {
            shipper.run(&stop).await;
        }
        let counts = self.queue.counts();
        assert_eq!(
            counts.offered,
            counts.acknowledged + counts.dropped() + counts.pending,
            "{counts:?}"
        );
        assert_eq!(counts.pending, 0, "{counts:?}");
    }
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("u{n}")).collect()
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![2 => Just(Fault::None), 1 => Just(Fault::Refuse), 1 => Just(Fault::LoseReply)];
    prop::collection::vec(fault, 0..6)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the log refuses and whatever replies are lost: each exposure is in the log, under one number, and the counts add up.
    #[test]
    fn e1_every_exposure_is_conserved(faults in faults(), first in 1_usize..60, second in 0_usize..60) {
        runtime().block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let log = Faulty::with(faults);
            let process = begin(directory.path(), log.clone(), 1);
            process.record(&names(0..first)).await;
            process.record(&names(first..first + second)).await;
            process.end().await;
            let units = log.units();
            assert_eq!(units.len(), first + second);
            assert_eq!(units.into_iter().collect::<BTreeSet<_>>(), names(0..first + second).into_iter().collect());
        });
    }
}

#[tokio::test]
async fn e3_what_a_killed_process_has_spooled_is_shipped_under_its_own_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let log = Faulty::with(Vec::new());
    let process = begin(directory.path(), log.clone(), 1);
    process.record(&names(0..50)).await;
    // It has sent all of it and dies before it acknowledges.
    let mut process = process;
    let (shipper, round) = process
        .shipper
        .take()
        .unwrap()
        .next_round(Round::default())
        .await
        .unwrap();
    shipper.deliver(&round).await;
    drop(shipper);
    process.record(&names(50..60)).await;
    process.recorder.close().await;
    drop(process);

    let process = begin(directory.path(), log.clone(), 2);
    process.record(&names(60..70)).await;
    let queue = process.queue.clone();
    process.end().await;
    assert_eq!((queue.counts().recovered, queue.counts().acknowledged), (60, 10));
    assert_eq!(log.units().len(), 70, "sent twice, known by its numbers");
    let epochs: BTreeSet<_> = log
        .batches
        .lock()
        .unwrap()
        .iter()
        .map(|(_, batch)| batch.epoch)
        .collect();
    assert_eq!(epochs, BTreeSet::from([1, 2]));
}

#[tokio::test]
async fn exposures_are_packed_and_numbered_without_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let log = Faulty::with(Vec::new());
    let process = begin(directory.path(), log.clone(), 1);
    process.record(&names(0..5_000)).await;
    process.end().await;
    assert_eq!(log.units().len(), 5_000);
    let batches = log.batches.lock().unwrap();
    assert!(batches.len() < 60, "{} entries", batches.len());
    for partition in 0..PARTITIONS {
        let sequences = batches
            .iter()
            .filter(|(at, _)| *at == partition)
            .map(|(_, batch)| batch.sequence);
        assert!(sequences.eq(1..=batches.iter().filter(|(at, _)| *at == partition).count() as u64));
    }
}
