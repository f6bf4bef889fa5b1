//! The exposures of one request, encoded and sorted by partition.

use std::collections::BTreeMap;

use assay_core::{bucketing, record::Exposure};
use assay_proto::stream::{self, Batch, Records};

/// Most records of one parcel, and of one entry of the log.
pub(crate) const MAX_RECORDS: usize = 512;

/// Exposures of one partition, encoded as the `exposures` of a batch that has nothing else.
///
/// Messages are concatenated by concatenating their bytes, so parcels behind the head of a batch are that batch: what a request has
/// encoded is never decoded again on its way to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) partition: u32,
    pub(crate) records: u32,
    pub(crate) bytes: Vec<u8>,
}

/// The parcels of `exposures`.
pub(super) fn pack(exposures: Vec<Exposure>, partitions: u32) -> Vec<Parcel> {
    if exposures.len() == 1 {
        let place = exposures
            .iter()
            .map(|exposure| partition(exposure, partitions))
            .next()
            .unwrap_or_default();
        return vec![parcel(place, exposures)];
    }
    let mut by_partition: BTreeMap<u32, Vec<Exposure>> = BTreeMap::new();
    for exposure in exposures {
        by_partition
            .entry(partition(&exposure, partitions))
            .or_default()
            .push(exposure);
    }
    let mut parcels = Vec::with_capacity(by_partition.len());
    for (partition, mut rest) in by_partition {
        while !rest.is_empty() {
            let tail = rest.split_off(rest.len().min(MAX_RECORDS));
            parcels.push(parcel(partition, std::mem::replace(&mut rest, tail)));
        }
    }
    parcels
}

fn partition(exposure: &Exposure, partitions: u32) -> u32 {
    bucketing::partition(&exposure.namespace, &exposure.unit, partitions)
}

fn parcel(partition: u32, exposures: Vec<Exposure>) -> Parcel {
    let records = u32::try_from(exposures.len()).unwrap_or(u32::MAX);
    let batch = Batch {
        producer: String::new(),
        epoch: 0,
        sequence: 0,
        traceparent: String::new(),
        records: Records::Exposures(exposures),
    };
    Parcel {
        partition,
        records,
        bytes: stream::encode(&batch),
    }
}

/// A batch of `parcels`, which are encoded records: its head, then those.
pub(crate) fn batch<'a>(
    producer: String,
    epoch: u64,
    sequence: u64,
    traceparent: &str,
    parcels: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let traceparent = traceparent.to_owned();
    let mut bytes = stream::encode(&Batch {
        producer,
        epoch,
        sequence,
        traceparent,
        records: Records::Exposures(Vec::new()),
    });
    for parcel in parcels {
        bytes.extend_from_slice(parcel);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::exposure;

    #[test]
    fn parcels_behind_a_head_are_the_batch() {
        let exposures: Vec<_> = (0..5).map(|n| exposure(&format!("u{n}"))).collect();
        let whole = Batch {
            producer: "p".into(),
            epoch: 7,
            sequence: 3,
            traceparent: "00-1-2-01".into(),
            records: Records::Exposures(exposures.clone()),
        };
        let parcels: Vec<_> = exposures
            .chunks(2)
            .map(|some| parcel(0, some.to_vec()).bytes)
            .collect();
        let joined = batch("p".into(), 7, 3, "00-1-2-01", parcels.iter().map(Vec::as_slice));
        assert_eq!(joined, stream::encode(&whole));
    }

    #[test]
    fn every_exposure_is_in_the_parcel_of_its_partition() {
        let exposures: Vec<_> = (0..2_000).map(|n| exposure(&format!("u{n}"))).collect();
        let parcels = pack(exposures, 2);
        assert_eq!(parcels.iter().map(|parcel| parcel.records).sum::<u32>(), 2_000);
        for parcel in parcels {
            assert!(parcel.records as usize <= MAX_RECORDS);
            let Records::Exposures(found) = stream::decode(&parcel.bytes).unwrap().records else {
                panic!("exposures")
            };
            assert_eq!(found.len(), parcel.records as usize);
            assert!(
                found
                    .iter()
                    .all(|exposure| partition(exposure, 2) == parcel.partition)
            );
        }
    }
}
