//! From accepted records to the log: packed by partition, each record's fate known.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use assay_core::{
    bucketing,
    key::{Namespace, Unit},
    record::{Event, Exposure},
};
use assay_proto::stream::{self, Batch, Records};
use assay_storage::{
    Error,
    event_log::{Append, EventLog, Topic},
};

/// Most records in one entry.
const MAX_RECORDS: usize = 512;

/// Writes accepted records to the log under this process's name.
pub(crate) struct Writer {
    log: Arc<dyn EventLog>,
    producer: String,
    epoch: u64,
    sequences: Mutex<BTreeMap<(u32, Topic), u64>>,
}

/// A kind of record.
pub(crate) trait Record: Sized {
    const TOPIC: Topic;
    fn place(&self) -> (&Namespace, &Unit);
    fn pack(records: Vec<Self>) -> Records;
}

impl Record for Event {
    const TOPIC: Topic = Topic::Events;

    fn place(&self) -> (&Namespace, &Unit) {
        (&self.namespace, &self.unit)
    }

    fn pack(records: Vec<Self>) -> Records {
        Records::Events(records)
    }
}

impl Record for Exposure {
    const TOPIC: Topic = Topic::Exposures;

    fn place(&self) -> (&Namespace, &Unit) {
        (&self.namespace, &self.unit)
    }

    fn pack(records: Vec<Self>) -> Records {
        Records::Exposures(records)
    }
}

impl Writer {
    /// A writer whose batches carry `producer` and `epoch`.
    pub(crate) fn new(log: Arc<dyn EventLog>, producer: String, epoch: u64) -> Self {
        Self {
            log,
            producer,
            epoch,
            sequences: Mutex::default(),
        }
    }

    /// Appends `records`. `Ok` says, by the caller's index, why a record is not in the log.
    ///
    /// # Errors
    /// The log's error when it took none.
    pub(crate) async fn append<R: Record>(
        &self,
        records: Vec<(usize, R)>,
    ) -> Result<BTreeMap<usize, String>, Error> {
        let (appends, members): (Vec<_>, Vec<_>) = self.pack(records).into_iter().unzip();
        let mut refused = BTreeMap::new();
        let mut first_error = None;
        let mut any_accepted = false;
        for (result, members) in self.log.append(appends).await.into_iter().zip(members) {
            match result {
                Ok(_) => any_accepted = true,
                Err(error) => {
                    refused.extend(members.into_iter().map(|index| (index, error.to_string())));
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if !any_accepted => Err(error),
            _ => Ok(refused),
        }
    }

    /// One entry for each partition and [`MAX_RECORDS`] records, with the indexes of its members.
    fn pack<R: Record>(&self, records: Vec<(usize, R)>) -> Vec<(Append, Vec<usize>)> {
        let mut partitions: BTreeMap<u32, Vec<(usize, R)>> = BTreeMap::new();
        for (index, record) in records {
            let (namespace, unit) = record.place();
            let partition = bucketing::partition(namespace, unit, self.log.partitions());
            partitions.entry(partition).or_default().push((index, record));
        }
        let traceparent = assay_platform::telemetry::current_traceparent().unwrap_or_default();
        let mut entries = Vec::new();
        for (partition, mut rest) in partitions {
            while !rest.is_empty() {
                let tail = rest.split_off(rest.len().min(MAX_RECORDS));
                let (members, records): (Vec<_>, Vec<_>) =
                    std::mem::replace(&mut rest, tail).into_iter().unzip();
                let batch = Batch {
                    producer: self.producer.clone(),
                    epoch: self.epoch,
                    sequence: self.next_sequence(partition, R::TOPIC),
                    traceparent: traceparent.clone(),
                    records: R::pack(records),
                };
                entries.push((
                    Append {
                        partition,
                        topic: R::TOPIC,
                        payload: stream::encode(&batch).into(),
                    },
                    members,
                ));
            }
        }
        entries
    }

    fn next_sequence(&self, partition: u32, topic: Topic) -> u64 {
        let mut sequences = self
            .sequences
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let sequence = sequences.entry((partition, topic)).or_default();
        *sequence += 1;
        *sequence
    }
}
