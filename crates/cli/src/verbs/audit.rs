//! The audit trail.

use assay_client::retry;
use assay_proto::config::v1 as pb;
use serde::Serialize;

use super::Context;
use crate::{
    args::{AuditVerb, TrailArgs},
    error::Error,
    output,
    view::text,
};

/// Largest page of changes.
const PAGE: usize = 1_000;

/// One change as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: u64,
    generation: u64,
    time: String,
    actor: String,
    peer: String,
    action: String,
    resource: String,
    reason: String,
    request_id: String,
    changes: Vec<Change>,
}

/// One field of it.
#[derive(Serialize)]
struct Change {
    resource: String,
    path: String,
    before: String,
    after: String,
}

/// What a verification has found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    intact: bool,
    rows: u64,
    head: String,
}

/// Does a verb of the trail.
pub(super) async fn run(context: &Context, verb: AuditVerb) -> Result<(), Error> {
    match verb {
        AuditVerb::List(args) => list(context, args).await,
        AuditVerb::Verify { head } => verify(context, head).await,
    }
}

async fn list(context: &Context, args: TrailArgs) -> Result<(), Error> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut request = pb::ListAuditRequest {
        namespace: context.namespace().to_owned(),
        resource: args.resource,
        actor: args.actor,
        start_time: text::parse_time(&args.since, "--since")?,
        end_time: text::parse_time(&args.until, "--until")?,
        ..Default::default()
    };
    loop {
        let wanted = args.limit.saturating_sub(entries.len()).clamp(1, PAGE);
        request.page_size = i32::try_from(wanted).unwrap_or_default();
        let page = retry(|| {
            let (mut service, request) = (context.client.audit(), request.clone());
            async move { service.list_audit(request).await }
        });
        let page = page.await?;
        entries.extend(page.entries.into_iter().map(entry));
        if page.next_page_token.is_empty() || entries.len() >= args.limit {
            break;
        }
        // A token goes on with the pages of its own size.
        request.page_token = page.next_page_token;
    }
    output::document(context.format, &entries, || match entries.as_slice() {
        [] => format!("no changes in namespace {}", context.namespace()),
        entries => {
            let header = ["time", "actor", "from", "action", "resource", "changed", "reason"];
            output::table(&header, entries.iter().map(Entry::row), &[])
        }
    })
}

impl Entry {
    fn row(&self) -> Vec<String> {
        vec![
            self.time.clone(),
            self.actor.clone(),
            self.peer.clone(),
            self.action.clone(),
            self.resource.clone(),
            self.changed(),
            self.reason.clone(),
        ]
    }

    /// The first three paths, and how many more there are.
    fn changed(&self) -> String {
        let whole = |change: &Change| match (change.before.is_empty(), change.path.is_empty()) {
            (_, false) => change.path.clone(),
            (true, true) => "created".to_owned(),
            (false, true) => "removed".to_owned(),
        };
        let mut shown: Vec<_> = self.changes.iter().take(3).map(whole).collect();
        if let more @ 1.. = self.changes.len().saturating_sub(3) {
            shown.push(format!("+{more}"));
        }
        shown.join(" ")
    }
}

fn entry(entry: pb::AuditEntry) -> Entry {
    let change = |change: pb::AuditFieldChange| Change {
        resource: change.resource,
        path: change.path,
        before: change.before,
        after: change.after,
    };
    Entry {
        id: entry.id,
        generation: entry.generation,
        time: text::time(entry.time),
        actor: entry.actor,
        peer: entry.peer,
        action: entry.action,
        resource: entry.resource,
        reason: entry.reason,
        request_id: entry.request_id,
        changes: entry.changes.into_iter().map(change).collect(),
    }
}

async fn verify(context: &Context, head: Option<String>) -> Result<(), Error> {
    let request = pb::VerifyAuditRequest {
        namespace: context.namespace().to_owned(),
    };
    let answer = retry(|| {
        let (mut service, request) = (context.client.audit(), request.clone());
        async move { service.verify_audit(request).await }
    });
    let answer = answer.await?;
    if !answer.intact {
        return Err(Error::Refused(format!(
            "the audit trail of namespace {} was changed: row {} does not fit the one before it",
            context.namespace(),
            answer.first_broken_id
        )));
    }
    if let Some(expected) = head.filter(|expected| *expected != answer.head) {
        return Err(Error::Refused(format!(
            "the audit trail ends with {}, not with {expected}: rows were added since, or cut off",
            answer.head
        )));
    }
    let verified = Verified {
        intact: answer.intact,
        rows: answer.rows,
        head: answer.head,
    };
    output::document(context.format, &verified, || {
        format!(
            "{} rows, each as it was written; head {}",
            verified.rows, verified.head
        )
    })
}
