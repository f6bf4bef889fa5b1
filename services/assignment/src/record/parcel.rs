//! The exposures of one request, encoded and sorted by partition.

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

/// The parcels of one request while they are packed.
#[derive(Debug, Default)]
pub(crate) struct Parcels(Vec<Parcel>);

impl Parcels {
    /// Adds an exposure of `partition`, which `encode` appends as an `exposures` of a batch.
    pub(crate) fn add(&mut self, partition: u32, encode: impl FnOnce(&mut Vec<u8>)) {
        let has_room =
            |parcel: &Parcel| parcel.partition == partition && (parcel.records as usize) < MAX_RECORDS;
        let at = self.0.iter().rposition(has_room).unwrap_or_else(|| {
            self.0.push(Parcel {
                partition,
                records: 0,
                bytes: Vec::with_capacity(256),
            });
            self.0.len() - 1
        });
        encode(&mut self.0[at].bytes);
        self.0[at].records += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order in which they began.
    pub(crate) fn into_vec(self) -> Vec<Parcel> {
        self.0
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
    use crate::record::tests::{encoded, exposure};

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
        let parcels: Vec<_> = exposures.chunks(2).map(encoded).collect();
        let joined = batch("p".into(), 7, 3, "00-1-2-01", parcels.iter().map(Vec::as_slice));
        assert_eq!(joined, stream::encode(&whole));
    }

    #[test]
    fn every_exposure_is_in_a_parcel_of_its_partition_and_none_is_too_large() {
        let mut parcels = Parcels::default();
        for n in 0..2_000 {
            let bytes = encoded(&[exposure(&format!("u{}", n % 2))]);
            parcels.add(n % 2, |out| out.extend(bytes));
        }
        let parcels = parcels.into_vec();
        assert_eq!(parcels.iter().map(|parcel| parcel.records).sum::<u32>(), 2_000);
        for parcel in parcels {
            assert!(parcel.records as usize <= MAX_RECORDS);
            let Records::Exposures(found) = stream::decode(&parcel.bytes).unwrap().records else {
                panic!("exposures")
            };
            assert_eq!(found.len(), parcel.records as usize);
            let id = format!("u{}", parcel.partition);
            assert!(found.iter().all(|exposure| exposure.unit.id() == id));
        }
    }
}
