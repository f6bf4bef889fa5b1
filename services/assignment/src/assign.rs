//! Use case: decide for units, from one generation, and record what is an exposure.

use assay_core::{
    assign::{Assignment, assign, exposure},
    key::{Namespace, Unit},
    record::Exposure,
    snapshot::Snapshot,
    time::Timestamp,
    value::Attributes,
};

use crate::{Assignments, error::Refusal};

/// What is asked.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) namespace: Namespace,
    /// Keys of flags, or of experiments.
    pub(crate) keys: Vec<String>,
    /// Whether answers are recorded as exposures.
    pub(crate) records: bool,
}

/// For whom.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) unit: Option<Unit>,
    pub(crate) attributes: Attributes,
}

/// Answers `question` for each of `subjects`, in the order of its keys, all from one snapshot. `encode` makes an answer of a key and
/// what was decided.
///
/// # Errors
/// [`Refusal::NoConfiguration`] until any was seen.
pub(crate) async fn answer<A>(
    assignments: &Assignments,
    question: &Question,
    subjects: impl IntoIterator<Item = &Subject>,
    encode: impl Fn(&str, &Assignment<'_>) -> A,
) -> Result<Vec<Vec<A>>, Refusal> {
    let snapshot = assignments.serving.snapshot(&question.namespace)?;
    let now = Timestamp::from_micros(assignments.clock.now_micros());
    let mut exposures = Vec::new();
    let answers = subjects.into_iter().map(|subject| {
        let decide = |key: &String| {
            let decided = assign(&snapshot, key, subject.unit.as_ref(), &subject.attributes, now);
            if question.records {
                exposures.extend(exposed(&snapshot, &decided, subject, now));
            }
            encode(key, &decided)
        };
        question.keys.iter().map(decide).collect()
    });
    let answers = answers.collect();
    assignments.recorder.record(exposures).await;
    Ok(answers)
}

fn exposed(
    snapshot: &Snapshot,
    decided: &Assignment<'_>,
    subject: &Subject,
    now: Timestamp,
) -> Option<Exposure> {
    exposure(
        snapshot,
        decided,
        subject.unit.as_ref()?,
        &subject.attributes,
        now,
    )
}
