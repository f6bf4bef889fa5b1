//! From a change to the replica that serves it.
//!
//! The least that it can take is what a bare put of the same size takes until it is seen on a watch. The manifest's write is seen by such
//! a watch, too: what the replica takes longer than that, to the swapped snapshot, is ours.

use anyhow::{Context as _, Result};
use assay_client::Client;
use assay_core::time::Timestamp;
use assay_platform::{Clock as _, SystemClock};

use super::{commands::Alternating, etcd::Bare, fill, quantiles};
use crate::report;

const COMMANDS: usize = 100;
const WANTED: u32 = 2;

pub(crate) async fn measure(client: &Client, etcd: &Bare) -> Result<()> {
    let size = etcd.size(&format!("experiment/{}", fill::running(0))).await?;
    let mut experiment = Alternating::of(client, 0).await?;
    let mut manifests = etcd.manifests().await?;
    let (mut bare, mut ours, mut from_call) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..COMMANDS {
        bare.extend(etcd.put_to_watch(size, 2).await?);
        let called = Timestamp::from_micros(SystemClock.now_micros());
        let (activation, seen) = tokio::join!(experiment.command(client, true), manifests.next());
        let activation = activation?.context("nobody knows how far the change has come")?;
        let fence = activation.fence_time.context("not served everywhere in time")?;
        let hot = Timestamp::from_micros(fence.seconds * 1_000_000 + i64::from(fence.nanos) / 1_000);
        let (mut generation, mut at) = seen?;
        while generation < activation.generation {
            (generation, at) = manifests.next().await?;
        }
        ours.push(hot.since(at));
        from_call.push(hot.since(called));
    }
    let (bare_p50, bare_p99) = quantiles(bare);
    let (beyond_p50, beyond_p99) = quantiles(ours);
    let ratio = (bare_p50 + beyond_p50) / bare_p50;
    report(&format!(
        "control: limit: bare etcd put to watch, {size} bytes: p50 {bare_p50:.2} ms, p99 {bare_p99:.2} ms"
    ));
    report(&format!(
        "control: manifest written to snapshot swapped: p50 {:.2} ms, ratio {ratio:.2}, wanted at most {WANTED}; \
         beyond a bare watch p50 {beyond_p50:.2} ms, p99 {beyond_p99:.2} ms",
        bare_p50 + beyond_p50
    ));
    let (p50, p99) = quantiles(from_call);
    report(&format!(
        "control: command called to served everywhere: p50 {p50:.1} ms, p99 {p99:.1} ms"
    ));
    Ok(())
}
