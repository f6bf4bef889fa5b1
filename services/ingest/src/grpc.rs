//! The wire: decode → call → encode, no rules.

use assay_core::{
    key::{ExperimentKey, VariantKey},
    time::Timestamp,
};
use assay_platform::{Failure, Principal, Role, SharedClock};
use assay_proto::{
    convert::{
        attributes, key_from, namespace_from, optional_timestamp_from, timestamp, timestamp_from, unit_from,
    },
    field::FieldError,
    ingest::v1::{self as pb, ingest_service_server::IngestService},
};
use tonic::{Request, Response, Status};

use crate::{
    Ingest,
    accept::{Receipt, SentEvent, SentExposure},
    error::Error,
    record::{Decoded, Fate},
    record_events::record_events,
    record_exposures::record_exposures,
};

/// Most records in one request.
const MAX_RECORDS: usize = 1_000;

/// The service on the wire.
pub(crate) struct Grpc {
    pub(crate) ingest: Ingest,
    pub(crate) clock: SharedClock,
}

impl Grpc {
    fn receipt(
        &self,
        caller: &Principal,
        namespace: String,
        imported: bool,
        records: usize,
        field: &'static str,
    ) -> Result<Receipt, Error> {
        if records == 0 || records > MAX_RECORDS {
            let message = format!("has {records} records; send 1 to {MAX_RECORDS}");
            return Err(FieldError::new(field, "COUNT", message).into());
        }
        let namespace = namespace_from(namespace, "namespace")?;
        caller.check_namespace(namespace.as_str())?;
        if imported {
            caller.check_role(Role::Importer, "an import")?;
        }
        Ok(Receipt {
            namespace,
            received_at: Timestamp::from_micros(self.clock.now_micros()),
            imported,
            lateness_allowance: self.ingest.lateness_allowance,
        })
    }
}

#[tonic::async_trait]
impl IngestService for Grpc {
    async fn record_events(
        &self,
        request: Request<pb::RecordEventsRequest>,
    ) -> Result<Response<pb::RecordEventsResponse>, Status> {
        let caller = Principal::of(request.extensions());
        let request = request.into_inner();
        let receipt = self
            .receipt(
                &caller,
                request.namespace,
                request.imported,
                request.events.len(),
                "events",
            )
            .map_err(Failure::from)?;
        let sent = request.events.into_iter().map(sent_event).collect();
        let fates = record_events(&self.ingest, &receipt, sent)
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(pb::RecordEventsResponse {
            results: fates.into_iter().map(result).collect(),
            received_at: Some(timestamp(receipt.received_at)),
        }))
    }

    async fn record_exposures(
        &self,
        request: Request<pb::RecordExposuresRequest>,
    ) -> Result<Response<pb::RecordExposuresResponse>, Status> {
        let caller = Principal::of(request.extensions());
        let request = request.into_inner();
        let receipt = self
            .receipt(
                &caller,
                request.namespace,
                true,
                request.exposures.len(),
                "exposures",
            )
            .map_err(Failure::from)?;
        let sent = request.exposures.into_iter().map(sent_exposure).collect();
        let fates = record_exposures(&self.ingest, &receipt, sent)
            .await
            .map_err(Failure::from)?;
        Ok(Response::new(pb::RecordExposuresResponse {
            results: fates.into_iter().map(result).collect(),
            received_at: Some(timestamp(receipt.received_at)),
        }))
    }
}

fn sent_event(event: pb::Event) -> Decoded<SentEvent> {
    Ok(SentEvent {
        event_id: event.event_id,
        unit: unit_from(event.unit, "unit")?,
        name: event.name,
        time: optional_timestamp_from(event.time, "time")?,
        value: event.value,
        properties: attributes(event.properties, "properties")?,
    })
}

fn sent_exposure(exposure: pb::Exposure) -> Decoded<SentExposure> {
    Ok(SentExposure {
        experiment: key_from(exposure.experiment_key, "experiment_key", ExperimentKey::new)?,
        variant: key_from(exposure.variant_key, "variant_key", VariantKey::new)?,
        unit: unit_from(exposure.unit, "unit")?,
        time: timestamp_from(exposure.time, "time")?,
        attributes: attributes(exposure.attributes, "attributes")?,
    })
}

fn result(fate: Fate) -> pb::RecordResult {
    match fate {
        Fate::Accepted => pb::RecordResult {
            status: pb::RecordStatus::Accepted.into(),
            ..Default::default()
        },
        Fate::Refused(error) => pb::RecordResult {
            status: pb::RecordStatus::Refused.into(),
            field: error.field,
            rule: error.rule.into(),
            message: error.message,
        },
        Fate::Retry(message) => pb::RecordResult {
            status: pb::RecordStatus::Retry.into(),
            rule: "LOG_UNAVAILABLE".into(),
            message: format!("{message}; send this record again"),
            ..Default::default()
        },
    }
}
