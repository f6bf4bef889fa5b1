//! What segments must keep besides their own rules: what they nest exists, none nests itself, and a version means the same units for ever.
//!
//! An experiment pins the version of its segment at Start, and every version is kept, so a segment that is in use may be edited: live
//! experiments go on with what they have pinned, and the answer names them. Segments that nest the edited one in its latest version are
//! revised in the same change, because the version that they stand for changes, too.

mod graph;
pub(crate) mod test_segment;

use std::collections::BTreeSet;

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    key::SegmentKey,
    segment::{NestingError, Segment, nesters},
    validate::{self, Findings, Step, Violation},
};
use assay_storage::config_store::Filter;

use crate::{
    error::{Error, some},
    simple::{Changed, Simple, experiments, names},
    truth::{Call, Truth, Writes},
};
use graph::Graph;

#[tonic::async_trait]
impl Simple for Segment {
    fn check(&self) -> Findings {
        validate::segment(self)
    }

    /// Sets the version of each segment that it nests in the latest one.
    async fn resolve(mut self, truth: &Truth, call: &Call) -> Result<Self, Error> {
        graph::resolve(&mut self, truth, call).await?;
        Ok(self)
    }

    async fn check_references(
        &self,
        truth: &Truth,
        call: &Call,
        mut writes: Writes,
    ) -> Result<Writes, Error> {
        let mut graph = Graph::default();
        graph.load(self, truth, call).await?;
        graph.check(self)?;
        for (_, nested) in self.references() {
            if nested.pinned.is_none() {
                writes = writes.check(graph.get(nested));
            }
        }
        Ok(writes)
    }

    async fn check_change(
        truth: &Truth,
        call: &Call,
        current: &Self,
        updated: &Self,
        generation: u64,
        mut writes: Writes,
    ) -> Result<Changed, Error> {
        if updated.rules == current.rules {
            return Ok(writes.into());
        }
        let mut coming = updated.clone();
        coming.meta.version = current.meta.version.saturating_add(1);
        let latest: Vec<Self> = truth.all(&call.namespace, &Filter::default()).await?;
        let revised = nesters(&coming, &latest).map_err(|error| nesting("rules", &error))?;
        let mut affected = BTreeSet::from([coming.key.clone()]);
        affected.extend(revised.iter().map(|nester| nester.key.clone()));
        still_fit(coming, &revised, truth, call).await?;
        for nester in revised {
            if let Some(old) = latest.iter().find(|old| old.key == nester.key) {
                writes = writes.replace(old, nester);
            }
        }
        Ok(Changed {
            writes: writes.at(generation),
            warnings: in_use(&affected, truth, call).await?,
        })
    }

    async fn users(&self, truth: &Truth, call: &Call) -> Result<Vec<String>, Error> {
        let mut users = names(&experiments(truth, call, |e| e.segment.as_ref() == Some(&self.key)).await?);
        let mut flags: Vec<Flag> = truth.all(&call.namespace, &Filter::default()).await?;
        flags.retain(|flag| flag.segment_overrides.iter().any(|hit| hit.segment == self.key));
        users.extend(names(&flags));
        let mut segments: Vec<Self> = truth.all(&call.namespace, &Filter::default()).await?;
        segments.retain(|other| {
            other
                .references()
                .iter()
                .any(|(_, nested)| nested.key == self.key)
        });
        users.extend(names(&segments));
        Ok(users)
    }
}

/// Refuses a change by which one of the `revised` segments, which nest what is changed, would become too deep or too large.
async fn still_fit(coming: Segment, revised: &[Segment], truth: &Truth, call: &Call) -> Result<(), Error> {
    let mut graph = Graph::default();
    graph.load(&coming, truth, call).await?;
    graph.add(coming);
    for nester in revised {
        let mut coming = nester.clone();
        coming.meta.version = nester.meta.version.saturating_add(1);
        graph.add(coming);
    }
    for nester in revised {
        graph.load(nester, truth, call).await?;
        graph.check(nester).map_err(|_| {
            let message = format!(
                "would make segment `{}`, which nests this one, too deep or too large; test it there first, or let it pin a version",
                nester.key
            );
            Error::field("rules", "NESTER_TOO_LARGE", message)
        })?;
    }
    Ok(())
}

/// Who uses one of the `affected` segments, and what the change means to them.
async fn in_use(
    affected: &BTreeSet<SegmentKey>,
    truth: &Truth,
    call: &Call,
) -> Result<Vec<Violation>, Error> {
    let mut warnings = Vec::new();
    let mut warn = |users: Vec<String>, what: &str| {
        if !users.is_empty() {
            warnings.push(Violation {
                step: Step::SegmentAndTraffic,
                field: "rules".to_owned(),
                rule: "SEGMENT_IN_USE",
                message: format!("{what}: {}", some(&users)),
            });
        }
    };
    let live = Filter {
        states: ["SCHEDULED", "RUNNING", "PAUSED"].map(str::to_owned).to_vec(),
        ..Filter::default()
    };
    let mut pinning: Vec<Experiment> = truth.all(&call.namespace, &live).await?;
    pinning.retain(|e| e.segment.as_ref().is_some_and(|key| affected.contains(key)));
    warn(
        names(&pinning),
        "is in use; these experiments go on with the version that they have pinned",
    );
    let mut flags: Vec<Flag> = truth.all(&call.namespace, &Filter::default()).await?;
    flags.retain(|flag| {
        flag.segment_overrides
            .iter()
            .any(|hit| affected.contains(&hit.segment))
    });
    warn(
        names(&flags),
        "is in use; the overrides of these flags follow the new rules at once",
    );
    Ok(warnings)
}

/// What is wrong with what a segment nests, at `field`.
fn nesting(field: &str, error: &NestingError) -> Error {
    let rule = match error {
        NestingError::Cycle { .. } => "SEGMENT_CYCLE",
        NestingError::Missing { .. } => "SEGMENT_NOT_FOUND",
        NestingError::TooDeep { .. } => "TOO_DEEP",
        NestingError::TooLarge { .. } => "TOO_MANY",
        NestingError::TooManyNesters { .. } => "TOO_MANY_NESTERS",
    };
    Error::field(field, rule, error.to_string())
}
