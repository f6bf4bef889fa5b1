//! Experiments and their lifecycle.

use std::path::PathBuf;

use assay_client::{
    command::{Command, Done},
    resource::Resource,
    retry,
};
use assay_proto::config::v1 as pb;
use serde::Serialize;

use super::{Context, replicas, resource};
use crate::{
    args::{self, Commanded, Common, ExperimentFields, ExperimentVerb, Named, Waiting, Written},
    error::Error,
    output::{self, Format},
    view::{
        View,
        experiment::{Experiment, Finding},
        share::{self, Share},
        text,
    },
};

/// Does what is asked of experiments.
pub(super) async fn run(context: &Context, verb: ExperimentVerb) -> Result<(), Error> {
    match verb {
        ExperimentVerb::Common(Common::Create(written)) => create(context, written).await,
        ExperimentVerb::Common(Common::Show { key }) => resource::show::<Experiment>(context, &key).await,
        ExperimentVerb::Common(Common::Update(written)) if written.fields.starts() => Err(Error::Usage(
            "--start is for create; start a stored one with `assay experiment start`".to_owned(),
        )),
        ExperimentVerb::Common(Common::Update(written)) => {
            resource::update::<Experiment, _>(context, written).await
        }
        ExperimentVerb::Common(Common::Delete(named)) => resource::delete::<Experiment>(context, named).await,
        ExperimentVerb::List {
            states,
            flag,
            owner,
            tags,
            text,
        } => {
            let filter = pb::ListExperimentsRequest {
                flag_key: flag,
                owner,
                tags,
                text,
                ..Default::default()
            };
            list(context, &states, filter).await
        }
        ExperimentVerb::Validate { key, file } => validate(context, key, file).await,
        ExperimentVerb::Start { named, waiting } => command(context, named, waiting, Command::Start).await,
        ExperimentVerb::Unschedule(c) => {
            command(
                context,
                c.named,
                c.waiting,
                Command::Unschedule { reason: c.reason },
            )
            .await
        }
        ExperimentVerb::Pause { commanded, mode } => {
            let mode = text::named::<pb::PauseMode>(&mode, "--mode")?;
            command(
                context,
                commanded.named,
                commanded.waiting,
                Command::Pause {
                    mode,
                    reason: commanded.reason,
                },
            )
            .await
        }
        ExperimentVerb::Resume(c) => {
            command(context, c.named, c.waiting, Command::Resume { reason: c.reason }).await
        }
        ExperimentVerb::AddCohort {
            commanded,
            weights,
            close,
        } => add_cohort(context, commanded, &weights, close).await,
        ExperimentVerb::Stop(c) => {
            command(context, c.named, c.waiting, Command::Stop { reason: c.reason }).await
        }
        ExperimentVerb::DeclareWinner {
            named,
            waiting,
            variant,
            reason,
            force,
        } => {
            command(
                context,
                named,
                waiting,
                Command::DeclareWinner {
                    variant,
                    reason,
                    force,
                },
            )
            .await
        }
        ExperimentVerb::Undo(c) => {
            command(context, c.named, c.waiting, Command::Undo { reason: c.reason }).await
        }
        ExperimentVerb::End { commanded: c, force } => {
            let reason = c.reason;
            command(context, c.named, c.waiting, Command::End { reason, force }).await
        }
        ExperimentVerb::Archive(c) => {
            command(context, c.named, c.waiting, Command::Archive { reason: c.reason }).await
        }
        ExperimentVerb::Unarchive(c) => {
            command(
                context,
                c.named,
                c.waiting,
                Command::Unarchive { reason: c.reason },
            )
            .await
        }
        ExperimentVerb::Duplicate { key, new_key } => {
            let done = context
                .client
                .duplicate(context.namespace(), &key, &new_key)
                .await?;
            warn(done.warnings);
            resource::print(context, Experiment::of(done.experiment))
        }
    }
}

/// Weights may name the variations of the flag, which are the variants when none are given.
async fn create(context: &Context, mut written: Written<ExperimentFields>) -> Result<(), Error> {
    if let (Some(flag), None) = (written.fields.weighs_flag(), &written.file) {
        let flag = pb::Flag::get(&context.client, context.namespace(), flag).await?;
        written.fields.set_variants(
            flag.variations
                .into_iter()
                .map(|variation| variation.key)
                .collect(),
        );
    }
    let wait = text::parse_duration(written.fields.wait().unwrap_or_default(), "--wait")?;
    if !written.fields.starts() {
        if wait.is_some() {
            return Err(Error::Usage(
                "--wait goes with --start: a draft is served nowhere".to_owned(),
            ));
        }
        return resource::create::<Experiment, _>(context, written).await;
    }
    let experiment = resource::new::<Experiment, _>(context, written)?;
    let done = context.client.create_experiment(experiment, true).await?;
    let generation = done.experiment.generation;
    report(context, done)?;
    match wait {
        Some(wait) => replicas::wait(context, generation, wait).await,
        None => Ok(()),
    }
}

async fn command(context: &Context, named: Named, waiting: Waiting, command: Command) -> Result<(), Error> {
    let wait = text::parse_duration(waiting.wait.as_deref().unwrap_or_default(), "--wait")?;
    let target = resource::target::<pb::Experiment>(context, named).await?;
    let done = context.client.command(&target, command).await?;
    let generation = done.experiment.generation;
    report(context, done)?;
    match wait {
        Some(wait) => replicas::wait(context, generation, wait).await,
        None => Ok(()),
    }
}

/// Adds a cohort; with `--wait` it is open afterwards, if it opens in time.
async fn add_cohort(
    context: &Context,
    commanded: Commanded,
    weights: &[String],
    closed: String,
) -> Result<(), Error> {
    let Commanded {
        named,
        waiting,
        reason,
    } = commanded;
    let wait = text::parse_duration(waiting.wait.as_deref().unwrap_or_default(), "--wait")?;
    let weights = match weights {
        [] => Vec::new(),
        written => {
            let stored = pb::Experiment::get(&context.client, context.namespace(), &named.key).await?;
            let variants: Vec<_> = stored.variants.into_iter().map(|variant| variant.key).collect();
            weights_of(&variants, written)?
        }
    };
    let add = Command::AddCohort {
        weights,
        closed,
        reason,
        wait,
    };
    command(context, named, waiting, add).await
}

/// One weight for each of `variants`, as `written`.
fn weights_of(variants: &[String], written: &[String]) -> Result<Vec<u32>, Error> {
    let mut given = vec![None; variants.len()];
    for weight in written {
        let (key, share) = args::split_weight(weight)?;
        let at = variants.iter().position(|variant| variant == key);
        let Some(place) = at.and_then(|at| given.get_mut(at)) else {
            return Err(args::no_such_variant(key));
        };
        *place = Some(share.parse::<Share>().map_err(Error::Usage)?);
    }
    share::weights(&given).map_err(Error::Usage)
}

/// Says what became of it.
fn report(context: &Context, done: Done) -> Result<(), Error> {
    warn(done.warnings);
    let view = Experiment::of(done.experiment);
    match context.format {
        Format::Table => {
            if view.cohort_opening.is_some() {
                let next = view.cohorts.len() + 1;
                output::note(format!(
                    "cohort {next} opens as soon as every replica has stored what it gave before"
                ));
            }
            output::lines(format!("experiment {} is {}", view.key, view.standing()))
        }
        Format::Json | Format::Yaml => resource::print(context, view),
    }
}

fn warn(warnings: Vec<pb::Finding>) {
    for warning in warnings {
        output::note(format!("warning: {}", Finding::of(warning).line()));
    }
}

async fn list(context: &Context, states: &[String], filter: pb::ListExperimentsRequest) -> Result<(), Error> {
    let states = states
        .iter()
        .map(|state| text::named::<pb::ExperimentState>(state, "--state").map(i32::from));
    let states = states.collect::<Result<Vec<_>, _>>()?;
    let mut request = pb::ListExperimentsRequest {
        namespace: context.namespace().to_owned(),
        page_size: 1000,
        states,
        ..filter
    };
    let mut found = Vec::new();
    loop {
        let page = retry(|| {
            let (mut service, request) = (context.client.experiments(), request.clone());
            async move { service.list_experiments(request).await }
        });
        let page = page.await?;
        found.extend(page.experiments);
        if page.next_page_token.is_empty() {
            return resource::print_list::<Experiment>(context, found);
        }
        request.page_token = page.next_page_token;
    }
}

/// What validation found.
#[derive(Serialize)]
struct Findings {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

async fn validate(context: &Context, key: Option<String>, file: Option<PathBuf>) -> Result<(), Error> {
    let experiment = file.map(resource::message_of_file::<Experiment>).transpose()?;
    let request = pb::ValidateExperimentRequest {
        namespace: context.namespace().to_owned(),
        key: key.unwrap_or_default(),
        experiment,
    };
    let found = context.client.validate(request).await?;
    let found = Findings {
        errors: found.errors.into_iter().map(Finding::of).collect(),
        warnings: found.warnings.into_iter().map(Finding::of).collect(),
    };
    output::document(context.format, &found, || {
        let errors = found
            .errors
            .iter()
            .map(|finding| format!("error    {}", finding.line()));
        let warnings = found
            .warnings
            .iter()
            .map(|finding| format!("warning  {}", finding.line()));
        let verdict = found.errors.is_empty().then(|| "ready to start".to_owned());
        errors
            .chain(warnings)
            .chain(verdict)
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    match found.errors.len() {
        0 => Ok(()),
        n => Err(Error::Refused(format!("not ready to start: {n} to mend"))),
    }
}
