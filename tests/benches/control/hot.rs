//! From a change to the replica that serves it.
//!
//! The least that it can take is what a bare put of the same size takes until it is seen on a watch. What is compared with that begins
//! when the publisher gives a small publication to the bus, which writes resource and manifest in one transaction, and ends
//! when the replica has heard of it, verified, compiled and swapped.

use anyhow::{Context as _, Result};
use assay_client::Client;
use assay_core::time::Timestamp;
use assay_platform::{Clock as _, SystemClock};

use super::{commands::Alternating, etcd::Bare, fill, quantiles, timed::Timed};
use crate::report;

const COMMANDS: usize = 200;
const WANTED: u32 = 2;

pub(crate) async fn measure(client: &Client, bus: &Timed, etcd: &Bare) -> Result<()> {
    let size = etcd.size(&format!("experiment/{}", fill::running(0))).await?;
    let mut experiment = Alternating::of(client, 0).await?;
    let (mut bare, mut ours, mut from_call) = (Vec::new(), Vec::new(), Vec::new());
    let mut puts = etcd.puts(size).await?;
    for _ in 0..COMMANDS {
        bare.push(puts.next().await?);
        let called = Timestamp::from_micros(SystemClock.now_micros());
        let activation = experiment.command(client, true).await?;
        let activation = activation.context("nobody knows how far the change has come")?;
        let fence = activation.fence_time.context("not served everywhere in time")?;
        let hot = Timestamp::from_micros(fence.seconds * 1_000_000 + i64::from(fence.nanos) / 1_000);
        let published = bus
            .published(activation.generation)
            .context("nobody has published it")?;
        ours.push(hot.since(published));
        from_call.push(hot.since(called));
    }
    let (bare_p50, bare_p99) = quantiles(bare);
    let (p50, p99) = quantiles(ours);
    report(&format!(
        "control: limit: bare etcd put to watch, {size} bytes: p50 {bare_p50:.2} ms, p99 {bare_p99:.2} ms"
    ));
    report(&format!(
        "control: manifest published to snapshot swapped: p50 {p50:.2} ms, p99 {p99:.2} ms, ratio {:.2}, wanted at most {WANTED}",
        p50 / bare_p50
    ));
    let (p50, p99) = quantiles(from_call);
    report(&format!(
        "control: command called to served everywhere: p50 {p50:.1} ms, p99 {p99:.1} ms"
    ));
    Ok(())
}
