use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use assay_core::{
    bucketing,
    key::{ExperimentKey, Namespace, Unit, VariantKey},
    record::Exposure,
    time::Timestamp,
    value::Attributes,
};
use assay_proto::stream::{self, Batch, Records};
use assay_storage::spool::{Spool, SpoolLimits};
use bytes::Bytes;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    frame::{self, Life},
    store::{Memory, StoreReader, StoreWriter},
    *,
};

pub(crate) fn exposure(unit: &str) -> Exposure {
    Exposure {
        namespace: Namespace::default(),
        experiment: ExperimentKey::new("gate-test").unwrap(),
        variant: VariantKey::new("on").unwrap(),
        cohort: 1,
        unit: Unit::user(unit).unwrap(),
        time: Timestamp::from_micros(1),
        received_at: Timestamp::from_micros(1),
        generation: 3,
        attributes: Attributes::from([("country".into(), "NL".into())]),
        imported: false,
    }
}

/// As the `exposures` of a batch that has nothing else.
pub(crate) fn encoded(exposures: &[Exposure]) -> Vec<u8> {
    stream::encode(&Batch {
        producer: String::new(),
        epoch: 0,
        sequence: 0,
        traceparent: String::new(),
        records: Records::Exposures(exposures.to_vec()),
    })
}

/// Records `exposures` as one request does, and waits like it.
pub(crate) async fn record(recorder: &Recorder, exposures: impl IntoIterator<Item = Exposure>) {
    let mut parcels = Parcels::default();
    for exposure in exposures {
        let partition = bucketing::partition(&exposure.namespace, &exposure.unit, recorder.partitions());
        parcels.add(partition, |out| out.extend(encoded(&[exposure])));
    }
    if let Some(spooled) = recorder.record(parcels) {
        spooled.await;
    }
}

pub(crate) fn life(epoch: u64) -> Life {
    Life {
        producer: Uuid::from_u128(u128::from(epoch)),
        epoch,
    }
}

fn recorder(queue: &Arc<Queue>, store: StoreWriter, wait: Option<Duration>) -> Recorder {
    let sequencer = SharedSequencer::new(life(1));
    Recorder::start(queue.clone(), store, sequencer, Arc::new(Notify::new()), 4, wait).unwrap()
}

fn spool(limits: SpoolLimits) -> (tempfile::TempDir, StoreWriter, StoreReader) {
    let directory = tempfile::tempdir().unwrap();
    let (writer, reader) = Spool::open(directory.path(), limits).unwrap().split();
    (directory, StoreWriter::Spool(writer), StoreReader::Spool(reader))
}

fn records(reader: &mut StoreReader) -> u64 {
    let frames = reader.read_after(reader.acknowledged(), usize::MAX).unwrap();
    frames
        .into_iter()
        .map(|(_, payload)| u64::from(frame::decode(payload).unwrap().records))
        .sum()
}

fn assert_conserved(counts: ExposureCounts) {
    assert_eq!(
        counts.offered,
        counts.acknowledged + counts.dropped() + counts.pending,
        "{counts:?}"
    );
}

#[tokio::test]
async fn e3_an_exposure_is_spooled_before_the_answer() {
    let (_directory, writer, mut reader) = spool(SpoolLimits::default());
    let queue = Arc::new(Queue::new(1 << 20));
    let recorder = recorder(&queue, writer, Some(Duration::from_secs(60)));
    record(&recorder, (0..100).map(|n| exposure(&n.to_string()))).await;
    assert_eq!(records(&mut reader), 100);
    let counts = queue.counts();
    assert_eq!((counts.offered, counts.pending, counts.unspooled), (100, 100, 0));
}

#[tokio::test]
async fn e2_a_full_spool_drops_the_newest_and_counts_them() {
    let (_directory, writer, mut reader) = spool(SpoolLimits {
        total_bytes: 2_000,
        ..SpoolLimits::default()
    });
    let queue = Arc::new(Queue::new(1 << 20));
    let recorder = recorder(&queue, writer, Some(Duration::from_secs(60)));
    for n in 0..100 {
        record(&recorder, [exposure(&n.to_string())]).await;
    }
    let counts = queue.counts();
    assert!(counts.dropped_spool_full > 0 && counts.pending > 0, "{counts:?}");
    assert_eq!(records(&mut reader), counts.pending);
    assert_conserved(counts);
}

#[tokio::test]
async fn e2_a_full_buffer_drops_the_newest_and_counts_them() {
    let memory = Memory::new(1 << 20);
    let queue = Arc::new(Queue::new(3_000));
    let sequencer = SharedSequencer::new(life(1));
    let (store, wait) = (StoreWriter::Memory(memory.clone()), None);
    // The writer thread cannot go on while the sequencer is held, as when a disk is stuck.
    let recorder = Recorder::start(
        queue.clone(),
        store,
        sequencer.clone(),
        Arc::new(Notify::new()),
        4,
        wait,
    )
    .unwrap();
    let stuck = sequencer.lock();
    let started = Instant::now();
    for n in 0..100 {
        futures::executor::block_on(record(&recorder, [exposure(&n.to_string())]));
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    let counts = queue.counts();
    assert!(counts.dropped_buffer_full > 0, "{counts:?}");
    assert_conserved(counts);
    drop(stuck);
    recorder.close().await;
    assert_conserved(queue.counts());
    assert_eq!(records(&mut StoreReader::Memory(memory)), queue.counts().pending);
}

#[tokio::test]
async fn a1_an_answer_waits_two_milliseconds_at_most_and_the_exposure_is_still_written() {
    let (_directory, writer, mut reader) = spool(SpoolLimits::default());
    let queue = Arc::new(Queue::new(1 << 20));
    let sequencer = SharedSequencer::new(life(1));
    let wait = Some(Duration::from_millis(2));
    let recorder = Recorder::start(
        queue.clone(),
        writer,
        sequencer.clone(),
        Arc::new(Notify::new()),
        4,
        wait,
    )
    .unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (is_held, when_held) = std::sync::mpsc::channel();
    let disk = std::thread::spawn(move || {
        let stuck = sequencer.lock();
        is_held.send(()).unwrap();
        let _ = held.recv();
        drop(stuck);
    });
    when_held.recv().unwrap();
    record(&recorder, [exposure("a")]).await;
    assert_eq!(queue.counts().unspooled, 1);
    assert_eq!(records(&mut reader), 0);
    release.send(()).unwrap();
    disk.join().unwrap();
    recorder.close().await;
    assert_eq!(records(&mut reader), 1);
    assert_conserved(queue.counts());
}

#[test]
fn memory_forgets_what_is_acknowledged() {
    let memory = Memory::new(10);
    let (mut writer, mut reader) = (StoreWriter::Memory(memory.clone()), StoreReader::Memory(memory));
    writer.append(vec![vec![1; 4], vec![2; 4]]).unwrap();
    assert!(matches!(
        writer.append(vec![vec![3; 4]]),
        Err(assay_storage::Error::Full { .. })
    ));
    let start = reader.acknowledged();
    let frames = reader.read_after(start, 10).unwrap();
    assert_eq!(frames[1].1, Bytes::from_static(&[2; 4]));
    assert_eq!(reader.read_after(frames[0].0, 10).unwrap(), frames[1..]);
    reader.acknowledge(frames[0].0).unwrap();
    assert_eq!(reader.read_after(start, 10).unwrap(), frames[1..]);
    writer.append(vec![vec![3; 4]]).unwrap();
    assert_eq!(reader.read_after(reader.acknowledged(), 1).unwrap().len(), 1);
}
