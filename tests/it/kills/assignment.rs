//! Row 13: assignment dies under load. No exposure of an answer is lost, none counts twice, and what is served never goes back.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use assay_client::Client;
use assay_core::key::Namespace;
use assay_proto::{
    assignment::v1::{AssignRequest, Reason},
    common::v1::Unit,
};
use assay_tests::{eventually, processes::Processes, story};
use tokio::sync::Mutex;
use tonic::Status;

use super::at_each_point;
use crate::cluster::stores;

const DEADLINE: Duration = Duration::from_secs(60);
/// How soon a process is gone whose call has failed.
const DEATH: Duration = Duration::from_secs(10);
/// An answer that could not wait for the spool may be lost with the process, and says so in a count; on a busy machine 2 ms are short.
const PATIENT: (&str, &str) = ("ASSAY__ASSIGNMENT__EXPOSURES__SPOOL_WAIT", "1s");
const UNITS: usize = 600;
/// Callers at the same time.
const CALLERS: usize = 6;
/// Of the units one in so many comes after a change of the configuration.
const CHANGES: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e3_a6_assignment_is_killed_at_each_point_under_load_and_no_exposure_is_lost() -> Result<()> {
    at_each_point("assignment", 3, told).await
}

/// Tells the story with assignment armed to die; whether it did.
async fn told(armed: &str) -> Result<bool> {
    let mut cluster = Processes::start(stores().await?).await?;
    let client = cluster.client()?;
    let generation = story::begin(&client).await?;
    let fenced = client
        .wait_for_generation("default", generation, DEADLINE)
        .await?;
    ensure!(fenced.fence_time.is_some(), "{fenced:?}");
    // Armed now: before, there is nothing to lose.
    cluster.stop("assignment").await?;
    let begun = cluster
        .begin_with("assignment", &[("ASSAY_FAILPOINT", armed), PATIENT])
        .await;
    let load = Load {
        client: client.clone(),
        cluster: Mutex::new(cluster),
        next: AtomicUsize::new(0),
        died: AtomicBool::new(false),
    };
    if begun.is_err() {
        load.revive().await?;
        ensure!(load.died.load(Ordering::Relaxed), "{begun:?}");
    }
    let given = futures::future::try_join_all((0..CALLERS).map(|_| load.ask())).await?;
    let mut variants: BTreeMap<String, i64> = BTreeMap::new();
    for variant in given.into_iter().flatten() {
        *variants.entry(variant).or_default() += 1;
    }
    eventually(DEADLINE, async || {
        load.revive().await?;
        let result = client.results(&Namespace::default(), "checkout-test").await?;
        let counted: BTreeMap<_, _> = result
            .variants
            .iter()
            .map(|variant| (variant.variant_key.clone(), variant.units))
            .collect();
        ensure!(counted == variants, "{counted:?} are counted of {variants:?}");
        let aside: i64 = result
            .variants
            .iter()
            .map(|variant| variant.set_aside_units)
            .sum();
        ensure!(aside == 0, "{aside} are set aside");
        Ok(())
    })
    .await?;
    let Load { cluster, died, .. } = load;
    cluster.into_inner().stop_all().await?;
    Ok(died.into_inner())
}

/// Many callers of one replica, which may die.
struct Load {
    client: Client,
    cluster: Mutex<Processes>,
    next: AtomicUsize,
    died: AtomicBool,
}

impl Load {
    /// One caller: asks for units until all had their turn, each until it is answered. The variants that it got.
    async fn ask(&self) -> Result<Vec<String>> {
        let mut given = Vec::new();
        let mut newest = 0;
        loop {
            let unit = self.next.fetch_add(1, Ordering::Relaxed);
            if unit >= UNITS {
                return Ok(given);
            }
            if unit % CHANGES == CHANGES - 1 {
                self.change().await?;
            }
            let id = format!("loaded-{unit}");
            let (variant, generation) = eventually(DEADLINE, async || match self.asked(&id).await? {
                Ok(answer) => Ok(answer),
                Err(status) => {
                    self.revive().await?;
                    Err(anyhow::Error::from(status))
                }
            })
            .await
            .with_context(|| id.clone())?;
            ensure!(generation >= newest, "generation {generation} after {newest}");
            newest = generation;
            given.push(variant);
        }
    }

    /// Variant and generation of an answer that exposes.
    async fn asked(&self, id: &str) -> Result<Result<(String, u64), Status>> {
        let request = AssignRequest {
            unit: Some(Unit {
                kind: String::new(),
                id: id.to_owned(),
            }),
            flag_keys: vec![story::FLAG.to_owned()],
            ..Default::default()
        };
        let answer = match self.client.assignments().assign(request).await {
            Ok(answer) => answer.into_inner().assignments,
            Err(status) => return Ok(Err(status)),
        };
        let answer = answer.into_iter().next().context("an answer")?;
        ensure!(answer.reason() == Reason::Split, "{id}: {answer:?}");
        Ok(Ok((answer.variant_key, answer.generation)))
    }

    /// Another generation, for the snapshot file; two callers may meet here.
    async fn change(&self) -> Result<()> {
        eventually(DEADLINE, async || story::touch(&self.client).await).await
    }

    /// Starts assignment again if it has died.
    async fn revive(&self) -> Result<()> {
        let mut cluster = self.cluster.lock().await;
        let Some(status) = cluster.ended("assignment")? else {
            return Ok(());
        };
        ensure!(status.code().is_none(), "assignment ended by itself: {status}");
        ensure!(!self.died.swap(true, Ordering::Relaxed), "assignment died twice");
        tokio::time::timeout(DEATH, cluster.begin("assignment")).await?
    }
}
