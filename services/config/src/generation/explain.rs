//! Compiles a generation of the past, to ask it again.

use assay_core::snapshot::{Configuration, Rejected, Snapshot};
use assay_storage::config_store::{Published, Resource};

use crate::{
    error::Error,
    truth::{Call, Truth},
};

/// What was served at `generation`, and what of it cannot be read or compiled.
pub(crate) async fn compiled(
    truth: &Truth,
    call: &Call,
    generation: u64,
) -> Result<(Snapshot, Vec<String>), Error> {
    let published = truth.published_at(&call.namespace, generation).await?;
    let unreadable = published.unreadable.iter();
    let mut left_out: Vec<_> = unreadable
        .map(|broken| format!("{} {}", broken.kind.name(), broken.key))
        .collect();
    let (snapshot, rejected) = Snapshot::compile(&configuration(published));
    left_out.extend(rejected.into_iter().map(|Rejected { resource, .. }| resource));
    Ok((snapshot, left_out))
}

fn configuration(published: Published) -> Configuration {
    let mut configuration = Configuration {
        namespace: published.namespace,
        generation: published.generation,
        ..Configuration::default()
    };
    for resource in published.resources {
        match resource {
            Resource::Flag(flag) => configuration.flags.push(flag),
            Resource::Segment(segment) => configuration.segments.push(segment),
            Resource::Holdout(holdout) => configuration.holdouts.push(holdout),
            Resource::Experiment(experiment) => configuration.experiments.push(experiment),
            // Neither is published: a layer's buckets stand in its experiments, and metrics are for analysis.
            Resource::Layer(_) | Resource::Metric(_) => {}
        }
    }
    configuration
}
