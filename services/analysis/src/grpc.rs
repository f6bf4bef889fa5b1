//! The wire: decode → call → encode, no rules.

use std::sync::Arc;

use assay_core::{
    key::{ExperimentKey, FlagKey, Namespace, Unit},
    record::Sighting,
    time::Timestamp,
};
use assay_platform::{Failure, Principal};
use assay_proto::{
    analysis::v1::{self as pb, analysis_service_server::AnalysisService},
    convert::{
        key_from, namespace_from, optional_timestamp_from, optional_unit_from, timestamp, unit,
        unit_kind_from,
    },
    field::FieldErrors,
};
use tonic::{Request, Response, Status};

use crate::{
    Analysis, encode,
    error::Error,
    list_assignments::{Query, UnitAssignment, list_assignments},
    list_callers::list_callers,
    results::get_results,
};

/// Most units on one page, and how many when nothing is said.
const MAX_PAGE: i32 = 10_000;
const DEFAULT_PAGE: i32 = 1_000;
/// Most keys of one request for callers.
const MAX_KEYS: usize = 10;

/// The service on the wire.
pub(crate) struct Grpc(pub(crate) Arc<Analysis>);

#[tonic::async_trait]
impl AnalysisService for Grpc {
    async fn get_results(
        &self,
        request: Request<pb::GetResultsRequest>,
    ) -> Result<Response<pb::GetResultsResponse>, Status> {
        let caller = Principal::of(request.extensions());
        let request = request.into_inner();
        let answer = async {
            let namespace = namespace_from(request.namespace, "namespace")?;
            caller.check_namespace(namespace.as_str())?;
            let experiment = key_from(request.experiment_key, "experiment_key", ExperimentKey::new)?;
            get_results(&self.0, &namespace, &experiment).await
        };
        let result = answer.await.map_err(Failure::from)?;
        Ok(Response::new(pb::GetResultsResponse {
            result: Some(encode::result(&result)),
        }))
    }

    async fn list_callers(
        &self,
        request: Request<pb::ListCallersRequest>,
    ) -> Result<Response<pb::ListCallersResponse>, Status> {
        let principal = Principal::of(request.extensions());
        let answer = async {
            let (namespace, keys, since) = callers_asked(request.into_inner())?;
            principal.check_namespace(namespace.as_str())?;
            list_callers(&self.0, &namespace, &keys, since).await
        };
        let callers = answer.await.map_err(Failure::from)?;
        let callers = callers.iter().map(caller).collect();
        Ok(Response::new(pb::ListCallersResponse { callers }))
    }

    async fn list_assignments(
        &self,
        request: Request<pb::ListAssignmentsRequest>,
    ) -> Result<Response<pb::ListAssignmentsResponse>, Status> {
        let caller = Principal::of(request.extensions());
        let answer = async {
            let query = query(request.into_inner())?;
            caller.check_namespace(query.namespace.as_str())?;
            list_assignments(&self.0, &query).await
        };
        let (assignments, more) = answer.await.map_err(Failure::from)?;
        let next_page_token = match assignments.last() {
            Some(last) if more => last.unit.to_string(),
            _ => String::new(),
        };
        let assignments = assignments.iter().map(unit_assignment).collect();
        Ok(Response::new(pb::ListAssignmentsResponse {
            assignments,
            next_page_token,
        }))
    }
}

/// Namespace, keys and least time of a request for callers.
fn callers_asked(
    request: pb::ListCallersRequest,
) -> Result<(Namespace, Vec<FlagKey>, Timestamp), FieldErrors> {
    let mut errors = FieldErrors::default();
    if request.keys.is_empty() || request.keys.len() > MAX_KEYS {
        let message = format!("has {} entries; give 1 to {MAX_KEYS}", request.keys.len());
        errors.push("keys", "COUNT", message);
    }
    let namespace = errors.keep(namespace_from(request.namespace, "namespace"));
    let mut keys = Vec::with_capacity(request.keys.len());
    for (i, key) in request.keys.into_iter().enumerate() {
        keys.extend(errors.keep(key_from(key, &format!("keys[{i}]"), FlagKey::new)));
    }
    let since = errors.keep(optional_timestamp_from(request.since, "since"));
    let made = namespace.zip(since);
    let made = made.map(|(namespace, since)| (namespace, keys, since.unwrap_or(Timestamp::MIN)));
    errors.finish(made)
}

fn caller(sighting: &Sighting) -> pb::Caller {
    pb::Caller {
        caller: sighting.caller.clone(),
        key: sighting.key.to_string(),
        last_seen_time: Some(timestamp(sighting.seen_at)),
    }
}

fn query(request: pb::ListAssignmentsRequest) -> Result<Query, Error> {
    let limit = match request.page_size {
        0 => DEFAULT_PAGE,
        size @ 1..=MAX_PAGE => size,
        size => {
            let message = format!("is {size}; give 1 to {MAX_PAGE}, or leave it out for {DEFAULT_PAGE}");
            return Err(FieldErrors::one("page_size", "RANGE", message).into());
        }
    };
    Ok(Query {
        namespace: namespace_from(request.namespace, "namespace")?,
        experiment: key_from(request.experiment_key, "experiment_key", ExperimentKey::new)?,
        unit: optional_unit_from(request.unit, "unit")?,
        after: page_token(&request.page_token)?,
        limit: limit.unsigned_abs().into(),
    })
}

/// The unit after which the page begins.
fn page_token(token: &str) -> Result<Option<Unit>, FieldErrors> {
    if token.is_empty() {
        return Ok(None);
    }
    let unknown = || {
        FieldErrors::one(
            "page_token",
            "UNKNOWN",
            "is not a token of ours; send `next_page_token` as it came",
        )
    };
    let (kind, id) = token.split_once('/').ok_or_else(unknown)?;
    let kind = unit_kind_from(kind, "page_token")?;
    Ok(Some(Unit::new(kind, id).map_err(|_| unknown())?))
}

fn unit_assignment(assignment: &UnitAssignment) -> pb::UnitAssignment {
    pb::UnitAssignment {
        unit: Some(unit(&assignment.unit)),
        variant_key: assignment.first.variant.to_string(),
        cohort: assignment.first.cohort,
        first_exposure_time: Some(timestamp(assignment.first.time)),
        set_aside: assignment.set_aside,
    }
}
