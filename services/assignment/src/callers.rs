//! Who asks for what: a capped record in memory, put on the log every minute, so that people know who still asks before they end an
//! experiment.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use assay_core::{
    assign::{Reason, assign},
    bucketing::partition,
    key::{FlagKey, MAX_KEY_BYTES, Namespace, Unit, UnitKind},
    record::Sighting,
    time::Timestamp,
    value::Attributes,
};
use assay_platform::{Principal, Shutdown, error::chain};
use assay_proto::stream::{Batch, Records, encode};
use assay_storage::event_log::{Append, EventLog, Topic};
use tokio::time::{MissedTickBehavior, interval};
use tonic::codegen::http::HeaderMap;

use crate::serving::Serving;

/// The header in which a caller says who it is.
const CALLER: &str = "x-assay-caller";

/// Parts of the record, so that threads seldom wait for each other.
const SHARDS: usize = 16;
/// Most entries of a part; beyond, new ones are counted and left out until the next report.
const SHARD_ENTRIES: usize = 64;

/// Who a call says it is from; else whose key it came with.
pub(crate) fn name_of<'a>(principal: &'a Principal, headers: &'a HeaderMap) -> &'a str {
    let named = headers.get(CALLER).and_then(|value| value.to_str().ok());
    let named = named.map(str::trim);
    named
        .filter(|name| !name.is_empty() && name.len() <= MAX_KEY_BYTES)
        .unwrap_or(&principal.name)
}

/// Who was seen since the last report.
#[derive(Default)]
pub(crate) struct Callers {
    shards: [Mutex<HashMap<u64, Sighting>>; SHARDS],
    hasher: RandomState,
    left_out: AtomicU64,
}

impl Callers {
    /// `caller` has asked for `key`.
    pub(crate) fn saw(&self, caller: &str, namespace: &str, key: &str, now: Timestamp) {
        let hash = self.hasher.hash_one((caller, namespace, key));
        let shard = &self.shards[usize::from(hash.to_le_bytes()[0]) % SHARDS];
        // What a panic has left here is whole.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = shard.get_mut(&hash) {
            seen.seen_at = now;
            return;
        }
        if shard.len() >= SHARD_ENTRIES {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let (Ok(namespace), Ok(key)) = (Namespace::new(namespace), FlagKey::new(key)) {
            let caller = caller.to_owned();
            let seen = Sighting {
                namespace,
                key,
                caller,
                seen_at: now,
            };
            shard.insert(hash, seen);
        }
    }

    /// Those seen since the last time, in order.
    fn take(&self) -> Vec<Sighting> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.drain().map(|(_, seen)| seen));
        }
        all.sort();
        all
    }
}

/// Puts what was seen on the log, again and again.
pub(crate) struct Reporter {
    pub(crate) callers: Arc<Callers>,
    pub(crate) serving: Arc<Serving>,
    pub(crate) log: Arc<dyn EventLog>,
    /// Begins anew with each life of the process.
    pub(crate) epoch: u64,
    pub(crate) interval: Duration,
}

impl Reporter {
    /// Reports until told to stop. What was seen since the last report is left to the next life: who still asks is seen again.
    pub(crate) async fn run(self, stop: Shutdown) {
        let producer = format!("callers-{}", uuid::Uuid::now_v7());
        let mut sequences: BTreeMap<u32, u64> = BTreeMap::new();
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.or_done(ticks.tick()).await.is_some() {
            let entries = self.entries(&producer, &mut sequences);
            if entries.is_empty() {
                continue;
            }
            let Some(appended) = stop.or_done(self.log.append(entries)).await else {
                return;
            };
            for error in appended.iter().filter_map(|result| result.as_ref().err()) {
                tracing::debug!(
                    error = chain(error),
                    "who asks cannot be put on the log; it is seen again"
                );
            }
        }
    }

    /// One entry for each partition of those who asked for what there is.
    fn entries(&self, producer: &str, sequences: &mut BTreeMap<u32, u64>) -> Vec<Append> {
        let left_out = self.callers.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            tracing::warn!(
                left_out,
                "more callers and keys than are recorded in one interval"
            );
        }
        let partitions = self.log.partitions();
        let mut by_partition: BTreeMap<u32, Vec<Sighting>> = BTreeMap::new();
        for seen in self.callers.take().into_iter().filter(|seen| self.exists(seen)) {
            if let Some(partition) = partition_of(&seen, partitions) {
                by_partition.entry(partition).or_default().push(seen);
            }
        }
        let entry = |(partition, callers)| {
            let sequence = sequences.entry(partition).or_default();
            *sequence += 1;
            let batch = Batch {
                producer: producer.to_owned(),
                epoch: self.epoch,
                sequence: *sequence,
                traceparent: String::new(),
                records: Records::Callers(callers),
            };
            Append {
                partition,
                topic: Topic::Events,
                payload: encode(&batch).into(),
            }
        };
        by_partition.into_iter().map(entry).collect()
    }

    /// Whether there is anything of this key: made-up keys are not recorded.
    fn exists(&self, seen: &Sighting) -> bool {
        let Ok(snapshot) = self.serving.snapshot(seen.namespace.as_str()) else {
            return false;
        };
        let decided = assign(
            &snapshot,
            seen.key.as_str(),
            None,
            &Attributes::default(),
            seen.seen_at,
        );
        decided.reason != Reason::UnknownFlag
    }
}

/// Where the record of this caller goes, always the same: a caller is like a unit of a kind of its own.
fn partition_of(seen: &Sighting, partitions: u32) -> Option<u32> {
    let caller = Unit::new(UnitKind::new("caller").ok()?, seen.caller.as_str()).ok()?;
    Some(partition(&seen.namespace, &caller, partitions))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn each_caller_and_key_is_one_entry_with_its_latest_time() {
        let callers = Callers::default();
        callers.saw("shop", "default", "gate", at(1));
        callers.saw("shop", "default", "gate", at(3));
        callers.saw("shop", "default", "lever", at(2));
        callers.saw("app", "default", "gate", at(2));
        callers.saw("app", "default", "no key", at(2));
        let seen = callers.take();
        let seen: Vec<_> = seen
            .iter()
            .map(|s| (s.key.as_str(), s.caller.as_str(), s.seen_at.micros()))
            .collect();
        assert_eq!(
            seen,
            [("gate", "app", 2), ("gate", "shop", 3), ("lever", "shop", 2)]
        );
        assert_eq!(callers.take(), []);
    }

    #[test]
    fn the_record_is_capped_and_counts_what_it_leaves_out() {
        let callers = Callers::default();
        for i in 0..10_000 {
            callers.saw(&format!("caller-{i}"), "default", "gate", at(i));
        }
        let seen = callers.take().len();
        assert!(seen <= SHARDS * SHARD_ENTRIES && seen > SHARD_ENTRIES, "{seen}");
        let left_out = callers.left_out.load(Ordering::Relaxed);
        assert_eq!(left_out + seen as u64, 10_000);
    }

    #[test]
    fn who_does_not_say_who_it_is_has_the_name_of_its_key() {
        let (principal, mut headers) = (Principal::local(), HeaderMap::new());
        assert_eq!(name_of(&principal, &headers), "local");
        headers.insert(CALLER, " shop ".parse().unwrap());
        assert_eq!(name_of(&principal, &headers), "shop");
        headers.insert(CALLER, "x".repeat(MAX_KEY_BYTES + 1).parse().unwrap());
        assert_eq!(name_of(&principal, &headers), "local");
    }
}
