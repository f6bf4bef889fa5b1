//! Making what a show needs; what is there already stays as it is, so that a second run resumes.

use assay_client::{
    command::Command,
    resource::{Resource, Target},
};
use assay_proto::{Value, config::v1 as pb, value::Kind};

use super::Stage;
use crate::{error::Error, view::text};

/// Creates `resource` unless there is one of its key.
pub(super) async fn ensure<R: Resource>(stage: &Stage, mut resource: R) -> Result<(), Error> {
    resource.set_namespace(stage.namespace.to_string());
    match resource.create(&stage.client).await.map_err(Error::from) {
        Err(error) if !error.already_exists() => Err(error),
        _ => Ok(()),
    }
}

/// Creates `experiment` unless there is one of its key, and starts it if it is a draft.
pub(super) async fn run(stage: &Stage, experiment: pb::Experiment) -> Result<(), Error> {
    let key = experiment.key.clone();
    ensure(stage, experiment).await?;
    let stored = pb::Experiment::get(&stage.client, stage.namespace.as_str(), &key).await?;
    match stored.state() {
        pb::ExperimentState::Draft => {
            let target = Target {
                namespace: stage.namespace.to_string(),
                key,
                version: stored.version,
            };
            stage.client.command(&target, Command::Start).await?;
            Ok(())
        }
        pb::ExperimentState::Running => Ok(()),
        state => stage.say(format!(
            "Experiment {key} is {} from an earlier run and stays so.",
            text::name(state)
        )),
    }
}

/// A number that a flag serves.
pub(super) fn number(number: f64) -> Option<Value> {
    Some(Value {
        kind: Some(Kind::NumberValue(number)),
    })
}

/// A text that a flag serves.
pub(super) fn words(words: &str) -> Option<Value> {
    Some(Value {
        kind: Some(Kind::StringValue(words.to_owned())),
    })
}

/// A named value of a flag.
pub(super) fn variation(key: &str, value: Option<Value>) -> pb::Variation {
    pb::Variation {
        key: key.to_owned(),
        value,
        ..Default::default()
    }
}

/// A metric of an experiment.
pub(super) fn measured(metric_key: &str, role: pb::MetricRole) -> pb::ExperimentMetric {
    pb::ExperimentMetric {
        metric_key: metric_key.to_owned(),
        role: role.into(),
        ..Default::default()
    }
}
