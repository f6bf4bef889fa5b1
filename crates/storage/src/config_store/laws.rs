//! What every [`ConfigStore`] must do. A law panics when it is broken.
//!
//! Each law works in namespaces of its own, so all of them can run on one store; the store must be fresh.

mod fences;
mod finding;
mod generations;
mod history;
mod live;
mod reading;
pub mod samples;
mod segments;
mod writing;

use std::sync::Arc;

use assay_core::{key::Namespace, time::Timestamp};

use super::{Audit, Change, Committed, ConfigStore, Expect, Resource, Write};
use crate::Error;

pub use fences::{
    an_experiment_counts_from_the_fence_of_its_start, of_concurrent_fences_one_stands, the_first_fence_stands,
};
pub use finding::{
    experiments_are_found_by_owner_tags_and_words, many_are_read_by_key, what_is_due_is_found_in_order,
};
pub use generations::{
    a_generation_can_be_raised, changes_are_those_since, generations_grow_by_one,
    marks_remove_what_was_published,
};
pub use history::{
    a_generation_that_never_was_is_not_found, every_generation_can_be_read_again_whole,
    generations_name_the_changes_that_made_them,
};
pub use live::{
    a_flag_has_one_live_experiment, a_live_experiment_can_be_replaced,
    of_concurrent_live_experiments_one_wins,
};
pub use reading::{
    a_committed_change_is_read_at_once, audit_pages_from_the_latest, lists_filter_experiments,
    namespaces_include_the_default, paging_covers_everything_once, published_leaves_out_drafts_and_metrics,
    published_sees_changes_whole,
};
pub use segments::{
    a_change_can_name_its_generation, every_version_of_a_segment_is_kept,
    published_has_every_version_that_is_needed,
};
pub use writing::{
    a_change_happens_whole_or_not_at_all, checks_guard_a_change, foreign_resources_are_refused,
    of_concurrent_writers_one_wins, stale_writers_lose,
};

/// Every law, on a fresh store.
pub async fn all(store: Arc<dyn ConfigStore>) {
    a_committed_change_is_read_at_once(&*store).await;
    a_change_happens_whole_or_not_at_all(&*store).await;
    stale_writers_lose(&*store).await;
    checks_guard_a_change(&*store).await;
    foreign_resources_are_refused(&*store).await;
    of_concurrent_writers_one_wins(&store).await;
    generations_grow_by_one(&store).await;
    a_flag_has_one_live_experiment(&*store).await;
    a_live_experiment_can_be_replaced(&*store).await;
    of_concurrent_live_experiments_one_wins(&store).await;
    paging_covers_everything_once(&*store).await;
    lists_filter_experiments(&*store).await;
    experiments_are_found_by_owner_tags_and_words(&*store).await;
    many_are_read_by_key(&*store).await;
    what_is_due_is_found_in_order(&*store).await;
    audit_pages_from_the_latest(&*store).await;
    published_leaves_out_drafts_and_metrics(&*store).await;
    published_sees_changes_whole(&store).await;
    marks_remove_what_was_published(&*store).await;
    a_generation_can_be_raised(&*store).await;
    changes_are_those_since(&*store).await;
    the_first_fence_stands(&*store).await;
    an_experiment_counts_from_the_fence_of_its_start(&*store).await;
    of_concurrent_fences_one_stands(&store).await;
    every_generation_can_be_read_again_whole(&*store).await;
    a_generation_that_never_was_is_not_found(&*store).await;
    generations_name_the_changes_that_made_them(&*store).await;
    namespaces_include_the_default(&*store).await;
    every_version_of_a_segment_is_kept(&*store).await;
    published_has_every_version_that_is_needed(&*store).await;
    a_change_can_name_its_generation(&*store).await;
}

/// A namespace of a law's own.
fn namespace(name: &str) -> Namespace {
    Namespace::new(name).expect("laws name their namespaces well")
}

/// A change of `writes` by `tester` at `at` microseconds.
fn change(namespace: &Namespace, at: i64, writes: Vec<Write>) -> Change {
    let audit = Audit {
        actor: "tester".into(),
        action: "law.check".into(),
        subject: "law/check".into(),
        reason: "because \"it\" must\u{0}".into(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        peer: "10.0.0.7".into(),
    };
    Change {
        namespace: namespace.clone(),
        writes,
        audit,
        claim: None,
        now: Timestamp::from_micros(at),
    }
}

fn create(resource: Resource) -> Write {
    Write::Put {
        resource,
        expect: Expect::Absent,
    }
}

fn update(resource: Resource, version: u64) -> Write {
    Write::Put {
        resource,
        expect: Expect::Version(version),
    }
}

async fn commit(
    store: &dyn ConfigStore,
    namespace: &Namespace,
    writes: Vec<Write>,
) -> Result<Committed, Error> {
    store.commit(change(namespace, 1_000, writes)).await
}

async fn committed(store: &dyn ConfigStore, namespace: &Namespace, writes: Vec<Write>) -> Committed {
    commit(store, namespace, writes).await.expect("the change fits")
}

async fn generation(store: &dyn ConfigStore, namespace: &Namespace) -> u64 {
    let all = store.namespaces().await.expect("namespaces");
    all.into_iter()
        .find(|(name, _)| name == namespace)
        .map_or(0, |(_, generation)| generation)
}
