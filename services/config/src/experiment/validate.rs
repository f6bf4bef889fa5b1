//! Says what Start would refuse, without writing.

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    lifecycle::State,
    validate::{self, Findings, Step, Violation},
};

use super::{references::Found, sketch::Sketch};
use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// What is to be checked.
pub(crate) enum Subject {
    /// A stored experiment of this key.
    Stored(String),
    /// One that is not stored.
    Sketch(Sketch),
}

/// The findings on `subject` in order of step.
pub(crate) async fn validate(truth: &Truth, call: &Call, subject: Subject) -> Result<Findings, Error> {
    let (experiment, flag) = match subject {
        Subject::Stored(key) => {
            let experiment: Experiment = truth.get(&call.namespace, &key).await?;
            let flag: Option<Flag> = truth.find(&call.namespace, experiment.flag.as_str()).await?;
            (experiment, flag)
        }
        Subject::Sketch(sketch) => {
            let draft = sketch.complete(truth, call).await?;
            (draft.experiment, draft.flag)
        }
    };
    let found = Found::read(truth, call, &experiment, flag).await?;
    let mut findings = validate::start(&experiment, &found.as_core(), truth.now());
    if experiment.state != State::Draft {
        findings.errors.push(Violation {
            step: Step::Review,
            field: "state".to_owned(),
            rule: "NOT_A_DRAFT",
            message: format!(
                "is {}; only a draft can be started: duplicate the experiment to run it again",
                experiment.state
            ),
        });
    }
    findings.errors.sort_by_key(|violation| violation.step);
    findings.warnings.sort_by_key(|violation| violation.step);
    Ok(findings)
}
