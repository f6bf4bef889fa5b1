//! What the log carries: batches of exposures, of events or of callers, in a form that is kept readable for ever.

/// `assay.stream.v1`: the messages themselves.
pub mod v1 {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::doc_markdown,
        clippy::unwrap_used,
        rustdoc::all,
        reason = "generated"
    )]
    tonic::include_proto!("assay.stream.v1");
}

mod record;

use assay_core::record::{Event, Exposure, Sighting};
use prost::Message;

use crate::{convert::each, field::FieldErrors};

/// The records of one producer that were packed together: one entry of a partition's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Who wrote it: a process's name, unique among those alive.
    pub producer: String,
    /// Begins anew with each life of the producer.
    pub epoch: u64,
    /// Number of this batch within (producer, epoch, partition, topic), from 1.
    pub sequence: u64,
    /// W3C trace context of a request that it comes from; may be empty.
    pub traceparent: String,
    /// At least one record.
    pub records: Records,
}

/// The records of a batch: of one kind, for exposures and events have logs of their own.
#[derive(Debug, Clone, PartialEq)]
pub enum Records {
    /// In a log of exposures.
    Exposures(Vec<Exposure>),
    /// In a log of events.
    Events(Vec<Event>),
    /// In a log of events.
    Callers(Vec<Sighting>),
}

/// Why bytes are no batch.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// They are no message.
    #[error("not a batch")]
    Encoding(#[source] prost::DecodeError),
    /// There is nothing in it.
    #[error("a batch without records")]
    Empty,
    /// A log has records of one kind.
    #[error(
        "a batch of {exposures} exposures, {events} events and {callers} callers; a batch has one kind of record"
    )]
    Mixed {
        /// Number of exposures.
        exposures: usize,
        /// Number of events.
        events: usize,
        /// Number of callers.
        callers: usize,
    },
    /// Some of its records cannot be understood; each is named, such as `events[3].unit.id`.
    #[error("records that cannot be understood")]
    Records(#[source] FieldErrors),
}

/// The bytes of a batch. Equal batches give equal bytes.
pub fn encode(batch: &Batch) -> Vec<u8> {
    let mut encoded = v1::Batch::default();
    match &batch.records {
        Records::Exposures(exposures) => {
            encoded.exposures = exposures.iter().map(v1::ExposureRecord::from).collect();
        }
        Records::Events(events) => encoded.events = events.iter().map(v1::EventRecord::from).collect(),
        Records::Callers(callers) => {
            encoded.callers = callers.iter().map(v1::CallerRecord::from).collect();
        }
    }
    let batch = v1::Batch {
        producer: batch.producer.clone(),
        epoch: batch.epoch,
        sequence: batch.sequence,
        traceparent: batch.traceparent.clone(),
        ..encoded
    };
    batch.encode_to_vec()
}

/// The batch that `bytes` are.
///
/// # Errors
/// [`DecodeError`] says what they are instead; of records that cannot be understood all are named.
pub fn decode(bytes: &[u8]) -> Result<Batch, DecodeError> {
    let batch = v1::Batch::decode(bytes).map_err(DecodeError::Encoding)?;
    let (exposures, events, callers) = (batch.exposures, batch.events, batch.callers);
    let records = match (exposures.len(), events.len(), callers.len()) {
        (0, 0, 0) => return Err(DecodeError::Empty),
        (_, 0, 0) => Records::Exposures(
            each(exposures, "exposures", Exposure::try_from).map_err(DecodeError::Records)?,
        ),
        (0, _, 0) => Records::Events(each(events, "events", Event::try_from).map_err(DecodeError::Records)?),
        (0, 0, _) => {
            Records::Callers(each(callers, "callers", Sighting::try_from).map_err(DecodeError::Records)?)
        }
        (exposures, events, callers) => {
            return Err(DecodeError::Mixed {
                exposures,
                events,
                callers,
            });
        }
    };
    Ok(Batch {
        producer: batch.producer,
        epoch: batch.epoch,
        sequence: batch.sequence,
        traceparent: batch.traceparent,
        records,
    })
}

#[cfg(test)]
mod tests;
