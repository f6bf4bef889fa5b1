//! `Explain`: decode → call → encode.

use std::slice;

use assay_platform::{Failure, Principal};
use assay_proto::{
    assignment::v1 as pb,
    convert::{explained, namespace_from},
    field::FieldErrors,
};

use super::request::{Question, Subject, check_keys, known, subject};
use crate::{
    Assignments,
    assign::{Sitting, Use},
    error::Refusal,
};

/// Why a unit gets what it gets from what is served now. Nothing is recorded, and nothing remembered.
pub(super) async fn answer(
    assignments: &Assignments,
    caller: &Principal,
    request: pb::ExplainRequest,
) -> Result<pb::ExplainResponse, Failure> {
    let wanted = request.generation;
    let (question, subject) = asked(request).map_err(Refusal::from)?;
    let namespace = question.namespace.as_str();
    caller.check_namespace(namespace)?;
    let mut sitting = Sitting::begin(assignments, namespace, question.used)?;
    let served = sitting.generation();
    if wanted != 0 && wanted != served {
        let asked = wanted;
        return Err(Refusal::GenerationNotServed { asked, served }.into());
    }
    sitting.recall(&question.keys, &known([&subject])).await;
    let key = question.keys.first().map_or("", String::as_str);
    let found = sitting.explain(key, subject.unit.as_ref(), &subject.attributes);
    Ok(explained(key, &found))
}

fn asked(request: pb::ExplainRequest) -> Result<(Question, Subject), FieldErrors> {
    let mut errors = FieldErrors::default();
    let namespace = errors.keep(namespace_from(request.namespace, "namespace"));
    errors.keep(check_key(&request.flag_key));
    let subject = errors.keep(subject(request.unit, request.attributes));
    let question = namespace.map(|namespace| Question {
        namespace,
        keys: vec![request.flag_key],
        used: Use::default(),
    });
    errors.finish(question.zip(subject))
}

fn check_key(key: &String) -> Result<(), FieldErrors> {
    check_keys(slice::from_ref(key)).map_err(|mut errors| {
        for error in &mut errors.0 {
            error.field = "flag_key".to_owned();
        }
        errors
    })
}
