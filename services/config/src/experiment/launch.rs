//! What Start makes of an experiment, whoever starts it: a person, the clock, or its own creation.

use assay_core::{
    experiment::{AssignmentSource, Experiment},
    flag::Flag,
    lifecycle::{Command, State},
    segment::Segment,
    time::Timestamp,
    validate::{self, Violation},
};

use super::{apply, references::Found};
use crate::{
    error::{Error, fields},
    truth::{Call, Stored, Truth, name},
};

/// A start that is ready to be stored.
pub(super) struct Launch {
    pub(super) started: Experiment,
    /// What the decision was made on: it must still be the same when the start is stored.
    pub(super) found: Found,
    pub(super) warnings: Vec<Violation>,
}

/// `current` started at `now`, or scheduled while its start time lies ahead. All that a start needs must be there: all that is missing is
/// told at once.
pub(super) async fn launch(
    truth: &Truth,
    call: &Call,
    current: &Experiment,
    flag: Option<Flag>,
    now: Timestamp,
) -> Result<Launch, Error> {
    let is_served = current.source == AssignmentSource::Assay;
    let later = is_served && current.start_time.is_some_and(|start| start > now);
    let mut started = apply(current, &Command::Start { later }, now)?;
    let mut found = Found::read(truth, call, current, flag).await?;
    let findings = validate::start(current, &found.as_core(), now);
    if !findings.is_ok() {
        let what = name::<Experiment>(current.key());
        return Err(Error::ValidationFailed {
            what,
            violations: fields(findings.errors),
        });
    }
    // What scheduling has pinned stays pinned.
    let present = found
        .segment
        .as_ref()
        .map(|segment: &Segment| segment.meta().version);
    started.segment_version = current.segment_version.or(present);
    found.settle(current, &mut started, now)?;
    if started.state == State::Running {
        open_cohort(truth, call, &mut started).await?;
    }
    Ok(Launch {
        started,
        found,
        warnings: findings.warnings,
    })
}

/// The store numbers a change when it commits it, and other changes may come first, so this is a lower bound of the generation that begins
/// the cohort. It is a sound one: no generation from here to that one has this experiment running, so none can give a variant.
async fn open_cohort(truth: &Truth, call: &Call, started: &mut Experiment) -> Result<(), Error> {
    let generation = truth.next_generation(&call.namespace).await?;
    if let Some(cohort) = started.cohorts.first_mut() {
        cohort.generation = generation;
    }
    Ok(())
}
