//! Replicas in etcd: one key each, under a lease of its own.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use etcd_client::{GetOptions, PutOptions};
use tokio::time::Instant;

use super::{
    EtcdConfigBus, QUORUM_LIMIT,
    classify::{bounded, classify, is_lease_gone, unavailable},
    end_of,
    frame::{decode_replica, encode_replica},
    member::Member,
    understood,
};
use crate::{
    Error,
    config_bus::{LEASE, Replica},
};

/// How often a lease that has ended under our hands is replaced before the call fails.
const ATTEMPTS: usize = 3;

/// The leases that this process holds, by replica.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<String, Held>>);

/// A lease, and when it was last renewed at the earliest.
#[derive(Clone, Copy)]
struct Held {
    id: i64,
    renewed: Instant,
}

impl Leases {
    /// Each change is one call of the map, which a panic cannot leave half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what `replica` says unless it stands there already, and renews its lease when that is due.
pub(super) async fn acknowledge(bus: &EtcdConfigBus, replica: &Replica) -> Result<(), Error> {
    replica.check()?;
    let (key, value) = (bus.keys.replica(&replica.id), encode_replica(replica));
    let (found, member) = bus
        .first(QUORUM_LIMIT, key.as_bytes(), &GetOptions::new())
        .await?;
    for _ in 0..ATTEMPTS {
        let lease = lease(bus, member, &replica.id).await?;
        if let Some(kv) = found.kvs().first()
            && (kv.value(), kv.lease()) == (&value[..], lease)
        {
            return Ok(());
        }
        let options = PutOptions::new().with_lease(lease);
        let mut kv = member.clients().await?.kv.clone();
        let put = kv.put(key.as_str(), value.clone(), Some(options));
        match tokio::time::timeout(QUORUM_LIMIT, put).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if is_lease_gone(&error) => {
                bus.leases.lock().remove(&replica.id);
            }
            Ok(Err(error)) => return Err(classify(error)),
            Err(_) => return Err(unavailable(format!("no answer within {QUORUM_LIMIT:?}"))),
        }
    }
    Err(unavailable("leases end faster than they can be made"))
}

/// The lease of the replica, renewed if that is due; a new one if it has none or has lost it.
async fn lease(bus: &EtcdConfigBus, member: &Member, replica: &str) -> Result<i64, Error> {
    let held = bus.leases.lock().get(replica).copied();
    let now = Instant::now();
    if let Some(held) = held {
        if now.duration_since(held.renewed) < LEASE / 4 {
            return Ok(held.id);
        }
        let mut leases = member.clients().await?.leases.clone();
        match tokio::time::timeout(QUORUM_LIMIT, leases.keep_alive(held.id)).await {
            Ok(Ok(_)) => return Ok(keep(bus, replica, held.id, now)),
            Ok(Err(error)) if is_lease_gone(&error) => {}
            Ok(Err(error)) => return Err(classify(error)),
            Err(_) => return Err(unavailable(format!("no answer within {QUORUM_LIMIT:?}"))),
        }
    }
    let mut leases = member.clients().await?.leases.clone();
    let seconds = i64::try_from(LEASE.as_secs()).unwrap_or(i64::MAX);
    let granted = bounded(QUORUM_LIMIT, leases.grant(seconds, None)).await?;
    Ok(keep(bus, replica, granted.id(), now))
}

fn keep(bus: &EtcdConfigBus, replica: &str, id: i64, renewed: Instant) -> i64 {
    bus.leases.lock().insert(replica.to_owned(), Held { id, renewed });
    id
}

/// Ends the lease of the replica, if this process holds it; its key goes with it.
pub(super) async fn leave(bus: &EtcdConfigBus, replica: &str) -> Result<(), Error> {
    let Some(held) = bus.leases.lock().remove(replica) else {
        return Ok(());
    };
    let options = GetOptions::new().with_count_only();
    let (_, member) = bus
        .first(QUORUM_LIMIT, bus.keys.root().as_bytes(), &options)
        .await?;
    let mut leases = member.clients().await?.leases.clone();
    match tokio::time::timeout(QUORUM_LIMIT, leases.revoke(held.id)).await {
        Ok(Err(error)) if !is_lease_gone(&error) => Err(classify(error)),
        Ok(_) => Ok(()),
        Err(_) => Err(unavailable(format!("no answer within {QUORUM_LIMIT:?}"))),
    }
}

/// All replicas that can be understood.
pub(super) async fn list(bus: &EtcdConfigBus) -> Result<Vec<Replica>, Error> {
    let root = bus.keys.replicas();
    let options = GetOptions::new().with_range(end_of(root));
    let (answer, _) = bus.first(QUORUM_LIMIT, root.as_bytes(), &options).await?;
    let replicas = answer
        .kvs()
        .iter()
        .filter_map(|kv| understood(kv, decode_replica(&bus.keys, kv.key(), kv.value())));
    Ok(replicas.collect())
}
