//! Generations: what was published, who changed it, and the way back.

use assay_proto::config::v1 as pb;
use serde::Serialize;

use super::{Context, replicas};
use crate::{
    args::GenerationVerb,
    error::Error,
    output,
    view::{
        View,
        experiment::Experiment,
        flag::Flag,
        holdout::Holdout,
        segment::Segment,
        text::{self, name_of},
    },
};

/// A generation as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Generation {
    generation: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    created_at: String,
    actor: String,
    action: String,
    subject: String,
    reason: String,
}

/// All that was published at one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole {
    generation: u64,
    flags: Vec<Flag>,
    segments: Vec<Segment>,
    holdouts: Vec<Holdout>,
    experiments: Vec<Experiment>,
    unreadable: Vec<String>,
}

/// How a resource differs.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    resource: String,
    kind: String,
    fields: Vec<String>,
}

/// What a rollback has come to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RolledBack {
    generation: u64,
    dry_run: bool,
    differences: Vec<Difference>,
}

/// Does what is asked of generations.
pub(super) async fn run(context: &Context, verb: GenerationVerb) -> Result<(), Error> {
    match verb {
        GenerationVerb::List { limit } => list(context, limit).await,
        GenerationVerb::Show { generation } => show(context, generation).await,
        GenerationVerb::Diff { from, to } => diff(context, from, to).await,
        GenerationVerb::Rollback {
            generation,
            reason,
            expected,
            dry_run,
            waiting,
        } => {
            let wait = text::parse_duration(waiting.wait.as_deref().unwrap_or_default(), "--wait")?;
            let expected_generation = match expected {
                Some(expected) => expected,
                None => newest(context).await?,
            };
            let request = pb::RollbackRequest {
                namespace: context.namespace().to_owned(),
                generation,
                expected_generation,
                reason,
                dry_run,
            };
            roll_back(context, request, wait).await
        }
    }
}

async fn list(context: &Context, limit: usize) -> Result<(), Error> {
    let found = context.client.generations_of(context.namespace(), limit).await?;
    let found: Vec<_> = found.into_iter().map(of).collect();
    output::document(context.format, &found, || match found.as_slice() {
        [] => format!("nothing was ever changed in namespace {}", context.namespace()),
        _ => {
            let row = |g: &Generation| {
                let number = g.generation.to_string();
                let texts = [&g.created_at, &g.actor, &g.action, &g.subject, &g.reason];
                [number].into_iter().chain(texts.map(String::clone)).collect()
            };
            let header = ["generation", "time", "actor", "action", "resource", "reason"];
            output::table(&header, found.iter().map(row), &[0])
        }
    })
}

fn of(found: pb::Generation) -> Generation {
    Generation {
        generation: found.generation,
        created_at: text::time(found.created_at),
        actor: found.actor,
        action: found.action,
        subject: found.subject,
        reason: found.reason,
    }
}

async fn show(context: &Context, generation: u64) -> Result<(), Error> {
    let found = context.client.generation(context.namespace(), generation).await?;
    let whole = Whole {
        generation: found.generation,
        flags: found.flags.into_iter().map(Flag::of).collect(),
        segments: found.segments.into_iter().map(Segment::of).collect(),
        holdouts: found.holdouts.into_iter().map(Holdout::of).collect(),
        experiments: found.experiments.into_iter().map(Experiment::of).collect(),
        unreadable: found.unreadable,
    };
    output::document(context.format, &whole, || {
        let row = |kind: &str, key: &str, version: u64, what: String| {
            vec![format!("{kind}/{key}"), version.to_string(), what]
        };
        let flags = whole
            .flags
            .iter()
            .map(|f| row("flag", &f.key, f.version, f.default_value.to_string()));
        let segments = whole
            .segments
            .iter()
            .map(|s| row("segment", &s.key, s.version, s.rules_text(" and ")));
        let holdouts = whole
            .holdouts
            .iter()
            .map(|h| row("holdout", &h.key, h.version, String::new()));
        let experiments = whole
            .experiments
            .iter()
            .map(|e| row("experiment", &e.key, e.version, e.standing()));
        let unreadable = whole.unreadable.iter();
        let unreadable =
            unreadable.map(|what| vec![what.clone(), String::new(), "cannot be read".to_owned()]);
        let rows = flags
            .chain(segments)
            .chain(holdouts)
            .chain(experiments)
            .chain(unreadable);
        output::table(&["resource", "version", "what"], rows, &[1])
    })
}

async fn newest(context: &Context) -> Result<u64, Error> {
    let found = context.client.generations_of(context.namespace(), 1).await?;
    Ok(found.first().map_or(0, |newest| newest.generation))
}

async fn diff(context: &Context, from: u64, to: Option<u64>) -> Result<(), Error> {
    let to = match to {
        Some(to) => to,
        None => newest(context).await?,
    };
    let found = context.client.diff(context.namespace(), from, to).await?;
    let found: Vec<_> = found.into_iter().map(Difference::of).collect();
    output::document(context.format, &found, || match found.as_slice() {
        [] => format!("generations {from} and {to} serve the same"),
        _ => lines(&found),
    })
}

async fn roll_back(
    context: &Context,
    request: pb::RollbackRequest,
    wait: Option<assay_proto::Duration>,
) -> Result<(), Error> {
    let (to, dry_run) = (request.generation, request.dry_run);
    let answer = context.client.roll_back(request).await?;
    let done = RolledBack {
        generation: answer.generation,
        dry_run,
        differences: answer.differences.into_iter().map(Difference::of).collect(),
    };
    output::document(context.format, &done, || {
        let last = match (done.differences.len(), dry_run) {
            (0, _) => format!("generation {} serves what {to} served", done.generation),
            (n, true) => format!("{n} to change; nothing is written"),
            (_, false) => format!("generation {} serves what {to} served", done.generation),
        };
        match done.differences.as_slice() {
            [] => last,
            found => format!("{}\n{last}", lines(found)),
        }
    })?;
    match wait.filter(|_| !dry_run) {
        Some(wait) => replicas::wait(context, done.generation, wait).await,
        None => Ok(()),
    }
}

impl Difference {
    pub(super) fn of(difference: pb::ResourceDifference) -> Self {
        Self {
            kind: name_of::<pb::DifferenceKind>(difference.kind),
            resource: difference.resource,
            fields: difference.fields,
        }
    }

    /// `~ flag/gate  default_value, variations`
    fn line(&self) -> String {
        let sign = match self.kind.as_str() {
            "ADDED" => '+',
            "REMOVED" => '-',
            _ => '~',
        };
        format!("{sign} {}  {}", self.resource, self.fields.join(", "))
            .trim_end()
            .to_owned()
    }
}

fn lines(found: &[Difference]) -> String {
    found.iter().map(Difference::line).collect::<Vec<_>>().join("\n")
}
