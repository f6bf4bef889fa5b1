//! Whole namespaces: export, import, and apply, which plans first.

mod documents;
mod plan;

use assay_proto::config::v1 as pb;

use super::{Context, replicas};
use crate::{
    args::{ApplyArgs, Applying, Foreign, ImportArgs},
    error::Error,
    foreign::{Translation, flagd, growthbook},
    output::{self, Format},
    view::text,
};
use documents::Documents;
use plan::Plan;

/// Prints the definitions of all that there is.
pub(super) async fn export(context: &Context) -> Result<(), Error> {
    let (_, contents) = context.client.export(context.namespace()).await?;
    let documents = Documents::of(contents)?;
    match context.format {
        Format::Json => output::lines(documents.json()?),
        Format::Yaml | Format::Table => output::lines(documents.yaml()?),
    }
}

/// Makes the namespace as the files say; what a document leaves out stays as it is.
pub(super) async fn apply(context: &Context, args: ApplyArgs) -> Result<(), Error> {
    let given = documents::read(&args.files, context.namespace())?;
    let (generation, contents) = context.client.export(context.namespace()).await?;
    let stored = Documents::of(contents)?;
    let given = given.over(&stored);
    make(context, generation, &stored, &given, args.how, None).await
}

/// Puts the files into the namespace as they are, or what the file of another system becomes.
pub(super) async fn import(context: &Context, args: ImportArgs) -> Result<(), Error> {
    let (file, how, translation) = match args.from {
        None => {
            let given = documents::read(&args.files, context.namespace())?;
            return put(context, &given, args.how, None).await;
        }
        Some(Foreign::Growthbook(args)) => {
            let translation = documents::read_foreign(&args.file, growthbook::translate)?;
            (args.file, args.how, translation)
        }
        Some(Foreign::Flagd { args, fractional }) => {
            let form = fractional.to_ascii_uppercase();
            let translation = documents::read_foreign(&args.file, |file| flagd::translate(file, &form))?;
            (args.file, args.how, translation)
        }
    };
    let given = Documents::translated(&translation, &file)?;
    put(context, &given, how, Some(translation)).await
}

async fn put(
    context: &Context,
    given: &Documents,
    how: Applying,
    from: Option<Translation>,
) -> Result<(), Error> {
    let (generation, contents) = context.client.export(context.namespace()).await?;
    make(context, generation, &Documents::of(contents)?, given, how, from).await
}

/// Changes the namespace, or plans to, and prints what changes from `stored`, which it had at `generation`, with what is to be said of
/// the translation that it comes from.
async fn make(
    context: &Context,
    generation: u64,
    stored: &Documents,
    given: &Documents,
    how: Applying,
    from: Option<Translation>,
) -> Result<(), Error> {
    let wait = text::parse_duration(how.waiting.wait.as_deref().unwrap_or_default(), "--wait")?;
    let (contents, places) = given.contents()?;
    let request = pb::ImportNamespaceRequest {
        namespace: context.namespace().to_owned(),
        contents: Some(contents),
        prune: how.prune,
        dry_run: how.dry_run,
        expected_generation: Some(generation),
        reason: how.reason,
    };
    let answer = context.client.import(request).await;
    let answer = answer.map_err(|error| places.name(error))?;
    let plan = Plan::new(generation, &answer, stored, given, &places).from(from);
    plan.warn();
    output::document(context.format, &plan, || plan.words())?;
    let n_changes = plan.n_changes();
    match (wait, plan.made()) {
        (Some(wait), Some(generation)) => replicas::wait(context, generation, wait).await,
        _ if how.exit_code && n_changes > 0 => Err(Error::Changes(n_changes)),
        _ => Ok(()),
    }
}
