//! What segments must keep besides their own rules: whom a live experiment admits does not change.
//!
//! An experiment pins the version of its segment at Start. Only one version is stored, so the rules of a segment are locked while an
//! experiment that pins it is live, and every version that is pinned has the same rules. Texts may change.

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    segment::Segment,
    validate::{self, Findings},
};
use assay_storage::config_store::Filter;

use crate::{
    error::Error,
    simple::{Simple, experiments, live_and_drafts, names},
    truth::{Call, Stored, Truth, Writes, name},
};

#[tonic::async_trait]
impl Simple for Segment {
    fn check(&self) -> Findings {
        validate::segment(self)
    }

    async fn check_references(&self, _: &Truth, _: &Call, writes: Writes) -> Result<Writes, Error> {
        Ok(writes)
    }

    async fn check_change(
        truth: &Truth,
        call: &Call,
        current: &Self,
        updated: &Self,
        writes: Writes,
    ) -> Result<Writes, Error> {
        if updated.rules == current.rules {
            return Ok(writes);
        }
        let uses = |e: &Experiment| e.segment.as_ref() == Some(&current.key);
        let (live, drafts) = live_and_drafts(experiments(truth, call, uses).await?);
        if live.is_empty() {
            return Ok(writes.check(&drafts));
        }
        let remedy =
            "its rules are fixed until they have completed; create another segment for the new rules";
        Err(Error::InUse {
            what: name::<Self>(current.key()),
            by: names(&live),
            remedy,
        })
    }

    async fn users(&self, truth: &Truth, call: &Call) -> Result<Vec<String>, Error> {
        let mut users = names(&experiments(truth, call, |e| e.segment.as_ref() == Some(&self.key)).await?);
        let mut flags: Vec<Flag> = truth.all(&call.namespace, &Filter::default()).await?;
        flags.retain(|flag| flag.segment_overrides.iter().any(|hit| hit.segment == self.key));
        users.extend(names(&flags));
        Ok(users)
    }
}
