//! Says on the bus what this replica serves, so that config knows when a change has taken hold everywhere.
//!
//! A task of its own: nothing that answers or swaps waits for it. What it cannot say it says again; whoever hears nothing for a lease
//! takes the replica for gone.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use assay_core::key::Namespace;
use assay_platform::{Backoff, Shutdown, error::chain};
use assay_storage::{
    Error,
    config_bus::{ConfigBus, LEASE, Replica, Served},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// How often the same is said again: a lease outlasts two that are lost.
const BEAT: Duration = LEASE.checked_div(4).expect("4 is not 0");
/// Longest wait for the bus to take what is said.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// Longest wait for the bus at the end.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// What is served, by namespace.
pub(crate) type Serves = BTreeMap<Namespace, Served>;

/// The name of this process among replicas: that of its machine, and a number of its own.
pub(crate) fn new_id() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut name: String = machine
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        .take(64)
        .collect();
    if name.is_empty() {
        "assignment".clone_into(&mut name);
    }
    format!("{name}-{:08x}", rand::random::<u32>())
}

/// Says what is `served` as replica `id`: at each change, and again and again. Silent until anything is served; with `stop` it leaves.
pub(crate) async fn acknowledge(
    bus: Arc<dyn ConfigBus>,
    id: String,
    mut served: watch::Receiver<Serves>,
    stop: Shutdown,
) {
    tracing::info!(replica = id, "this replica acknowledges what it serves");
    let mut delays = Backoff::new(FIRST_DELAY, BEAT);
    let mut outage = false;
    while !stop.is_triggered() {
        let replica = Replica {
            id: id.clone(),
            served: served.borrow_and_update().clone(),
        };
        let delay = match stop.or_done(say(&*bus, &replica)).await {
            None => break,
            Some(Ok(())) => {
                outage = false;
                delays.reset();
                BEAT
            }
            Some(Err(error)) => {
                if !std::mem::replace(&mut outage, true) {
                    tracing::warn!(
                        replica = id,
                        error = chain(&error),
                        "what is served cannot be acknowledged; it is said again"
                    );
                }
                delays.next_delay()
            }
        };
        let more = async {
            tokio::select! {
                changed = served.changed() => changed.is_ok(),
                () = sleep(delay) => true,
            }
        };
        if stop.or_done(more).await != Some(true) {
            break;
        }
    }
    // Who cannot leave is gone when its lease ends.
    let _ = timeout(LEAVE_TIMEOUT, bus.leave(&id)).await;
}

async fn say(bus: &dyn ConfigBus, replica: &Replica) -> Result<(), Error> {
    if replica.served.is_empty() {
        return Ok(());
    }
    match timeout(CALL_TIMEOUT, bus.acknowledge(replica)).await {
        Ok(said) => said,
        Err(elapsed) => Err(Error::Unavailable {
            store: "configuration bus",
            source: elapsed.into(),
        }),
    }
}
