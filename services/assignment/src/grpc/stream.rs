//! `AssignStream`: questions come and answers go, in order.

use std::sync::Arc;

use assay_platform::{Failure, Shutdown};
use assay_proto::assignment::v1 as pb;
use futures::{Stream, StreamExt, stream::BoxStream};
use tonic::Status;

use super::{Asker, assigned};
use crate::Assignments;

/// How many questions of one stream are answered at once; further ones are not read until an answer has gone out.
const UNDER_WAY: usize = 64;

/// The answers to `questions`, each from one generation. When the server is `draining` no further question is read, and the stream ends
/// behind the answers to those that were.
pub(super) fn answers(
    assignments: Arc<Assignments>,
    asker: Asker,
    questions: impl Stream<Item = Result<pb::AssignStreamRequest, Status>> + Send + 'static,
    draining: Shutdown,
) -> BoxStream<'static, Result<pb::AssignStreamResponse, Status>> {
    let asker = Arc::new(asker);
    let end = async move { draining.triggered().await };
    let answers = questions.take_until(end).map(move |question| {
        let (assignments, asker) = (assignments.clone(), asker.clone());
        async move { Ok(answer(&assignments, &asker, question?).await) }
    });
    answers.buffered(UNDER_WAY).boxed()
}

async fn answer(
    assignments: &Assignments,
    asker: &Asker,
    question: pb::AssignStreamRequest,
) -> pb::AssignStreamResponse {
    use pb::assign_stream_response::Answer;
    let answer = match assigned(assignments, asker, question.request.unwrap_or_default()).await {
        Ok(response) => Answer::Response(response),
        Err(failure) => Answer::Error(error(&failure)),
    };
    pb::AssignStreamResponse {
        id: question.id,
        answer: Some(answer),
    }
}

fn error(failure: &Failure) -> pb::AssignStreamError {
    let first = failure.violations.first();
    pb::AssignStreamError {
        code: tonic::Code::from(failure.code).into(),
        reason: failure.reason.to_string(),
        message: failure.message.clone(),
        field: first.map(|violation| violation.field.clone()).unwrap_or_default(),
    }
}
