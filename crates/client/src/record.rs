//! What happened: events, and exposures that were decided elsewhere.

use assay_core::{key::Namespace, time::Timestamp};
use assay_proto::{
    convert::timestamp_from,
    ingest::v1::{Event, Exposure, RecordEventsRequest, RecordExposuresRequest, RecordResult, RecordStatus},
};

use crate::{Client, Error, retry};

/// What became of the records of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// In the order of the records.
    pub results: Vec<RecordResult>,
    /// A result with `data_through` at or after it has counted what was accepted.
    pub received_at: Timestamp,
}

impl Receipt {
    /// How many records were accepted.
    pub fn n_accepted(&self) -> usize {
        self.results
            .iter()
            .filter(|result| result.status() == RecordStatus::Accepted)
            .count()
    }

    /// The records that were not accepted, by their place in the call.
    pub fn not_accepted(&self) -> impl Iterator<Item = (usize, &RecordResult)> {
        self.results
            .iter()
            .enumerate()
            .filter(|(_, result)| result.status() != RecordStatus::Accepted)
    }
}

impl Client {
    /// Records 1 to 1,000 events. `imported` keeps the times they give, however old.
    ///
    /// # Errors
    /// [`Error::Call`]. A record that is refused is no error: see [`Receipt::not_accepted`].
    pub async fn record_events(
        &self,
        namespace: &Namespace,
        events: Vec<Event>,
        imported: bool,
    ) -> Result<Receipt, Error> {
        let request = RecordEventsRequest {
            namespace: namespace.to_string(),
            events,
            imported,
        };
        let response = retry(|| {
            let (mut service, request) = (self.ingest(), request.clone());
            async move { service.record_events(request).await }
        });
        let response = response.await?;
        receipt(response.results, response.received_at)
    }

    /// Records 1 to 1,000 exposures that were decided elsewhere.
    ///
    /// # Errors
    /// As [`Client::record_events`].
    pub async fn record_exposures(
        &self,
        namespace: &Namespace,
        exposures: Vec<Exposure>,
    ) -> Result<Receipt, Error> {
        let request = RecordExposuresRequest {
            namespace: namespace.to_string(),
            exposures,
        };
        let response = retry(|| {
            let (mut service, request) = (self.ingest(), request.clone());
            async move { service.record_exposures(request).await }
        });
        let response = response.await?;
        receipt(response.results, response.received_at)
    }
}

fn receipt(
    results: Vec<RecordResult>,
    received_at: Option<assay_proto::Timestamp>,
) -> Result<Receipt, Error> {
    let received_at = timestamp_from(received_at, "received_at").map_err(|_| Error::Incomplete {
        what: "time of receipt",
    })?;
    Ok(Receipt { results, received_at })
}
