//! The wire: decode → call → encode, no rules.

mod decisions;
mod explain;
mod request;
mod stream;

use std::sync::Arc;

use assay_core::{assign::Keep, key::Namespace};
use assay_platform::{
    Failure, Principal, Shutdown,
    server::{After, Unary},
};
use assay_proto::{
    assignment::v1::{self as pb, assignment_service_server::AssignmentService},
    convert::{assignment, namespace_from},
    hot,
};
use futures::{StreamExt, stream::BoxStream};
use tonic::{
    Request, Response, Status, Streaming,
    codegen::http::{self, HeaderMap},
    metadata::MetadataValue,
};

use crate::{Assignments, assign::Sitting, callers::name_of, error::Refusal, watch::Views};
use request::{MAX_KEYS, Question, Subject, asked, asked_batch, known, refused, use_of};

/// Says that what is served may be out of date: it comes from the snapshot file, or the bus has been silent for a minute.
const STALE: &str = "x-assay-stale";
/// For how many seconds, where that is known.
const CONFIG_AGE: &str = "x-assay-config-age-seconds";

const ASSIGN: &str = "/assay.assignment.v1.AssignmentService/Assign";

/// The namespace of a request that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// The service on the wire.
pub(crate) struct Grpc {
    pub(crate) assignments: Arc<Assignments>,
    pub(crate) views: Arc<Views>,
    /// Triggered when streams are to end.
    pub(crate) draining: Shutdown,
}

#[tonic::async_trait]
impl AssignmentService for Grpc {
    type AssignStreamStream = BoxStream<'static, Result<pb::AssignStreamResponse, Status>>;
    type WatchConfigStream = BoxStream<'static, Result<pb::WatchConfigResponse, Status>>;

    async fn assign(
        &self,
        request: Request<pb::AssignRequest>,
    ) -> Result<Response<pb::AssignResponse>, Status> {
        let (asker, request) = Asker::of(request);
        let answered = assigned(&self.assignments, &asker, request).await?;
        Ok(self.dated(answered))
    }

    async fn assign_batch(
        &self,
        request: Request<pb::AssignBatchRequest>,
    ) -> Result<Response<pb::AssignBatchResponse>, Status> {
        let (asker, request) = Asker::of(request);
        let answered = assigned_batch(&self.assignments, &asker, request).await?;
        Ok(self.dated(answered))
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        let (asker, request) = Asker::of(request);
        let explained = explain::answer(&self.assignments, &asker.principal, request).await;
        Ok(explained.map(Response::new)?)
    }

    async fn assign_stream(
        &self,
        request: Request<Streaming<pb::AssignStreamRequest>>,
    ) -> Result<Response<Self::AssignStreamStream>, Status> {
        let (asker, questions) = Asker::of(request);
        let (assignments, draining) = (self.assignments.clone(), self.draining.clone());
        Ok(Response::new(stream::answers(
            assignments,
            asker,
            questions,
            draining,
        )))
    }

    async fn watch_config(
        &self,
        request: Request<pb::WatchConfigRequest>,
    ) -> Result<Response<Self::WatchConfigStream>, Status> {
        let (asker, request) = Asker::of(request);
        let namespace = namespace_from(request.namespace, "namespace");
        let namespace = namespace.map_err(Refusal::from).map_err(Failure::from)?;
        asker.principal.check_namespace(namespace.as_str())?;
        // Until any configuration was seen there is nothing to hand over, not even that there is none.
        self.assignments
            .serving
            .snapshot(namespace.as_str())
            .map_err(Failure::from)?;
        let cursor = request.cursor.unwrap_or_default();
        let watch = self.views.watch(namespace, cursor, self.draining.clone());
        let watch = watch.map_err(Failure::from)?;
        Ok(Response::new(watch.map(Ok).boxed()))
    }

    async fn record_decisions(
        &self,
        request: Request<pb::RecordDecisionsRequest>,
    ) -> Result<Response<pb::RecordDecisionsResponse>, Status> {
        let (asker, request) = Asker::of(request);
        let recorded = decisions::answer(&self.assignments, &asker.principal, request).await;
        Ok(recorded.map(Response::new)?)
    }
}

impl Grpc {
    /// The answer, and that it may be out of date where it may.
    fn dated<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        let (serving, now) = (&self.assignments.serving, self.assignments.now());
        if serving.is_stale(now) {
            let metadata = response.metadata_mut();
            metadata.insert(STALE, MetadataValue::from_static("true"));
            if let Some(age) = serving.age(now) {
                metadata.insert(CONFIG_AGE, age.as_secs().into());
            }
        }
        response
    }
}

/// Who asks.
pub(crate) struct Asker {
    principal: Arc<Principal>,
    headers: HeaderMap,
}

impl Asker {
    fn of<T>(request: Request<T>) -> (Self, T) {
        let (metadata, extensions, message) = request.into_parts();
        let asker = Self {
            principal: Principal::of(&extensions),
            headers: metadata.into_headers(),
        };
        (asker, message)
    }

    /// Who makes a request that is no gRPC.
    pub(crate) fn of_http<B>(request: http::Request<B>) -> (Self, B) {
        let (head, body) = request.into_parts();
        let asker = Self {
            principal: Principal::of(&head.extensions),
            headers: head.headers,
        };
        (asker, body)
    }

    /// The headers of the request.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Keeps in mind who has asked for what.
    fn saw(&self, assignments: &Assignments, question: &Question) {
        let (name, now) = (name_of(&self.principal, &self.headers), assignments.now());
        for key in &question.keys {
            assignments
                .callers
                .saw(name, question.namespace.as_str(), key, now);
        }
    }
}

/// `Assign`: decode → call → encode.
pub(crate) async fn assigned(
    assignments: &Assignments,
    asker: &Asker,
    request: pb::AssignRequest,
) -> Result<pb::AssignResponse, Failure> {
    let (mut question, subject) = asked(request).map_err(Refusal::from)?;
    let mut sitting = sitting(assignments, asker, &mut question, 1)?;
    sitting.recall(&question.keys, &known([&subject])).await;
    let assignments = answer(&mut sitting, &question, &subject);
    if let Some(recorded) = sitting.end() {
        recorded.await;
    }
    Ok(pb::AssignResponse { assignments })
}

/// `AssignBatch`: decode → call → encode.
pub(crate) async fn assigned_batch(
    assignments: &Assignments,
    asker: &Asker,
    request: pb::AssignBatchRequest,
) -> Result<pb::AssignBatchResponse, Failure> {
    let (mut question, subjects) = asked_batch(request).map_err(Refusal::from)?;
    let mut sitting = sitting(assignments, asker, &mut question, subjects.len())?;
    sitting
        .recall(&question.keys, &known(subjects.iter().flatten()))
        .await;
    let results = subjects.into_iter().map(|subject| match subject {
        Ok(subject) => pb::AssignBatchResult {
            assignments: answer(&mut sitting, &question, &subject),
            ..Default::default()
        },
        Err(errors) => refused(errors),
    });
    let results = results.collect();
    if let Some(recorded) = sitting.end() {
        recorded.await;
    }
    Ok(pb::AssignBatchResponse { results })
}

/// Begins to answer `question`, completed, for `items` units, if `asker` may ask it.
fn sitting<'a>(
    assignments: &'a Assignments,
    asker: &Asker,
    question: &mut Question,
    items: usize,
) -> Result<Sitting<'a>, Failure> {
    let namespace = question.namespace.as_str();
    asker.principal.check_namespace(namespace)?;
    let sitting = Sitting::begin(assignments, namespace, question.used)?;
    question.complete(&sitting, items).map_err(Refusal::from)?;
    asker.saw(assignments, question);
    Ok(sitting)
}

/// Ordinary calls of `Assign`, read and written without generated types; all others go through [`Grpc`].
pub(crate) struct Hot(pub(crate) Arc<Assignments>);

impl Unary for Hot {
    fn path(&self) -> &'static str {
        ASSIGN
    }

    fn answer(
        &self,
        caller: &Principal,
        headers: &HeaderMap,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<After> {
        let asked = hot::asked(message)?;
        // All flags, and what is refused, are for the plain way.
        if asked.keys.is_empty() || asked.keys.len() > MAX_KEYS {
            return None;
        }
        let used = use_of(asked.exposure, asked.keys.len());
        let namespace = match asked.namespace {
            "" => DEFAULT_NAMESPACE,
            namespace if Namespace::new(namespace).is_ok() => namespace,
            _ => return None,
        };
        caller.check_namespace(namespace).ok()?;
        let (name, now) = (name_of(caller, headers), self.0.now());
        if self.0.serving.is_stale(now) {
            // The plain way says so.
            return None;
        }
        let mut sitting = Sitting::begin(&self.0, namespace, used).ok()?;
        for key in asked.keys {
            self.0.callers.saw(name, namespace, key, now);
            let decided = sitting.decide(key, Some(&asked.unit), &asked.attributes);
            if decided.needs.is_some() || decided.keep == Keep::First {
                // What waits for a store does so on the plain way.
                return None;
            }
            hot::assignment(out, key, &decided);
        }
        Some(sitting.end())
    }
}

/// The answers to `question` for `subject`, in the order of its keys.
fn answer(sitting: &mut Sitting<'_>, question: &Question, subject: &Subject) -> Vec<pb::Assignment> {
    let answer = |key: &String| {
        let decided = sitting.decide(key, subject.unit.as_ref(), &subject.attributes);
        assignment(key, &decided)
    };
    question.keys.iter().map(answer).collect()
}
