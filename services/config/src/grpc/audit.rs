//! `AuditService`.

use std::sync::Arc;

use assay_proto::{
    config::v1::{self as pb, audit_service_server::AuditService},
    convert::{optional_timestamp_from, timestamp},
    field::FieldErrors,
};
use assay_storage::{
    access_store::{AccessStore, AuditFilter},
    config_store::AuditEntry,
};
use tonic::{Request, Response, Status};

use super::request::open;
use crate::{
    audit::{FieldChange, changes, list_audit, verify_audit},
    error::Error,
    list::PageRequest,
};

/// The service on the wire.
pub(super) struct AuditGrpc {
    pub(super) store: Arc<dyn AccessStore>,
}

#[tonic::async_trait]
impl AuditService for AuditGrpc {
    async fn list_audit(
        &self,
        request: Request<pb::ListAuditRequest>,
    ) -> Result<Response<pb::ListAuditResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let page = PageRequest {
            size: request.page_size,
            token: request.page_token.clone(),
        };
        let filter = filter(request).map_err(Error::from)?;
        let (entries, next_page_token) = list_audit(&self.store, &call, &filter, &page).await?;
        Ok(Response::new(pb::ListAuditResponse {
            entries: entries.into_iter().map(entry).collect(),
            next_page_token,
        }))
    }

    async fn verify_audit(
        &self,
        request: Request<pb::VerifyAuditRequest>,
    ) -> Result<Response<pb::VerifyAuditResponse>, Status> {
        let (caller, request) = open(request);
        let chain = verify_audit(&self.store, &caller.to(&request.namespace)?).await?;
        let head = chain.head.unwrap_or_default();
        Ok(Response::new(pb::VerifyAuditResponse {
            intact: chain.first_broken.is_none(),
            rows: chain.n_rows,
            first_broken_id: chain.first_broken.unwrap_or_default(),
            head: match chain.head {
                Some(_) => head.iter().map(|byte| format!("{byte:02x}")).collect(),
                None => String::new(),
            },
        }))
    }
}

fn filter(request: pb::ListAuditRequest) -> Result<AuditFilter, FieldErrors> {
    let mut errors = FieldErrors::default();
    let from = errors.keep(optional_timestamp_from(request.start_time, "start_time"));
    let until = errors.keep(optional_timestamp_from(request.end_time, "end_time"));
    let some = |text: String| (!text.is_empty()).then_some(text);
    let (subject, actor) = (some(request.resource), some(request.actor));
    errors.finish(from.zip(until).map(|(from, until)| AuditFilter {
        subject,
        actor,
        from,
        until,
    }))
}

fn entry(entry: AuditEntry) -> pb::AuditEntry {
    let changes = changes(&entry.before, &entry.after);
    // `00-<trace id>-<span id>-<flags>`
    let request_id = entry.audit.traceparent.split('-').nth(1).unwrap_or_default();
    pb::AuditEntry {
        id: entry.id,
        generation: entry.generation,
        time: Some(timestamp(entry.at)),
        request_id: request_id.to_owned(),
        actor: entry.audit.actor,
        peer: entry.audit.peer,
        action: entry.audit.action,
        resource: entry.audit.subject,
        reason: entry.audit.reason,
        changes: changes.into_iter().map(change).collect(),
    }
}

fn change(change: FieldChange) -> pb::AuditFieldChange {
    pb::AuditFieldChange {
        resource: change.resource,
        path: change.path,
        before: change.before.unwrap_or_default(),
        after: change.after.unwrap_or_default(),
    }
}
