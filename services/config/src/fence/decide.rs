//! What is known of one generation's fence: a pure function of who answered, who is there, and the time.

use std::collections::{BTreeMap, BTreeSet};

use assay_core::time::Timestamp;
use assay_storage::{
    config_bus::{LEASE, Replica},
    config_store::{Fence, Publishing},
};

/// Since when each replica that has answered serves the generation or a later one, by id.
pub(super) type Answered = BTreeMap<String, Timestamp>;

/// Where a fence stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is known.
    Known(Fence),
    /// It is waited for, by these.
    Awaits(Vec<String>),
}

/// Adds to `answered` which of `live` serve what `publishing` published. The first answer of a replica stands.
pub(super) fn hear(publishing: &Publishing, answered: &mut Answered, live: &[Replica]) {
    for replica in live {
        if let Some(served) = replica.served.get(&publishing.namespace)
            && served.generation >= publishing.generation
        {
            answered.entry(replica.id.clone()).or_insert(served.since);
        }
    }
}

/// Where the fence stands at `now`, when `answered` have answered and `live` are there; nothing is known of them while the bus is away.
///
/// It is the time of the last answer once all that are there have given theirs. Who was to answer and is gone, is waited for no longer and
/// named. One lease after publishing the waiting ends.
pub(super) fn decide(
    publishing: &Publishing,
    answered: &Answered,
    live: Option<&[Replica]>,
    now: Timestamp,
) -> Standing {
    let last = answered.values().max().copied();
    let end = publishing.published_at.plus(LEASE);
    let silent = |ids: BTreeSet<&String>| -> Vec<String> {
        ids.into_iter()
            .filter(|id| !answered.contains_key(*id))
            .cloned()
            .collect()
    };
    let expected = publishing.expected.iter();
    let known = |at: Timestamp, unconfirmed| {
        Standing::Known(Fence {
            at: at.min(end),
            replicas: u32::try_from(answered.len()).unwrap_or(u32::MAX),
            slowest: last.unwrap_or(at).min(end).since(publishing.published_at),
            unconfirmed,
        })
    };
    let awaited = match live {
        Some(live) => silent(live.iter().map(|replica| &replica.id).collect()),
        None => silent(expected.clone().collect()),
    };
    let there = live.unwrap_or_default().iter().map(|replica| &replica.id);
    match (awaited.is_empty() && live.is_some(), now >= end) {
        (true, _) => known(
            last.unwrap_or(publishing.published_at),
            silent(expected.collect()),
        ),
        (false, true) => known(end, silent(expected.chain(there).collect())),
        (false, false) => Standing::Awaits(awaited),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use assay_core::key::Namespace;
    use assay_storage::config_bus::Served;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000).plus(Duration::from_millis(millis))
    }

    fn publishing(expected: &[&str]) -> Publishing {
        Publishing {
            namespace: Namespace::default(),
            generation: 7,
            published_at: at(0),
            expected: expected.iter().map(ToString::to_string).collect(),
        }
    }

    fn replica(id: &str, generation: u64, since: Timestamp) -> Replica {
        let served = Served {
            generation,
            since,
            settled: 0,
        };
        Replica {
            id: id.to_owned(),
            served: BTreeMap::from([(Namespace::default(), served)]),
        }
    }

    fn stands(expected: &[&str], looks: &[(u64, Option<&[Replica]>)]) -> Standing {
        let publishing = publishing(expected);
        let mut answered = Answered::new();
        let mut standing = Standing::Awaits(vec![]);
        for (millis, live) in looks {
            hear(&publishing, &mut answered, live.unwrap_or_default());
            standing = decide(&publishing, &answered, *live, at(*millis));
        }
        standing
    }

    fn known(millis: u64, replicas: u32, slowest: u64, unconfirmed: &[&str]) -> Standing {
        Standing::Known(Fence {
            at: at(millis),
            replicas,
            slowest: Duration::from_millis(slowest),
            unconfirmed: unconfirmed.iter().map(ToString::to_string).collect(),
        })
    }

    #[test]
    fn the_last_answer_of_those_that_are_there_is_the_fence() {
        let behind = [replica("a", 7, at(3)), replica("b", 6, at(0))];
        assert_eq!(
            stands(&["a", "b"], &[(5, Some(&behind))]),
            Standing::Awaits(vec!["b".into()])
        );
        let all = [replica("a", 9, at(40)), replica("b", 7, at(20))];
        assert_eq!(
            stands(&["a", "b"], &[(5, Some(&behind)), (50, Some(&all))]),
            known(20, 2, 20, &[])
        );
        assert_eq!(
            stands(&["a", "b"], &[(50, Some(&all))]),
            known(40, 2, 40, &[]),
            "seen late, it is late"
        );
    }

    #[test]
    fn with_nobody_there_it_is_the_time_of_publishing() {
        assert_eq!(stands(&[], &[(5, Some(&[]))]), known(0, 0, 0, &[]));
    }

    #[test]
    fn a_replica_that_joins_is_waited_for() {
        let joined = [replica("new", 6, at(1))];
        assert_eq!(
            stands(&[], &[(5, Some(&joined))]),
            Standing::Awaits(vec!["new".into()])
        );
        let elsewhere = Replica {
            served: BTreeMap::new(),
            ..replica("new", 0, at(0))
        };
        assert_eq!(
            stands(&[], &[(5, Some(&[elsewhere]))]),
            Standing::Awaits(vec!["new".into()])
        );
    }

    #[test]
    fn a_replica_whose_lease_ends_is_named_and_waited_for_no_longer() {
        let (both, one) = (
            [replica("a", 7, at(3)), replica("b", 6, at(0))],
            [replica("a", 7, at(3))],
        );
        assert_eq!(
            stands(&["a", "b"], &[(5, Some(&both)), (4_000, Some(&one))]),
            known(3, 1, 3, &["b"])
        );
        let (answered, rest) = (
            [replica("a", 7, at(3)), replica("b", 6, at(0))],
            [replica("b", 7, at(90))],
        );
        assert_eq!(
            stands(&["a", "b"], &[(5, Some(&answered)), (95, Some(&rest))]),
            known(90, 2, 90, &[]),
            "who has answered may go"
        );
    }

    #[test]
    fn after_one_lease_the_waiting_ends() {
        let lease = u64::try_from(LEASE.as_millis()).unwrap();
        let behind = [replica("a", 7, at(3)), replica("b", 6, at(0))];
        assert_eq!(
            stands(&["a"], &[(lease - 1, Some(&behind))]),
            Standing::Awaits(vec!["b".into()])
        );
        assert_eq!(
            stands(&["a"], &[(lease, Some(&behind))]),
            known(lease, 1, 3, &["b"])
        );
        assert_eq!(stands(&["a"], &[(5, None)]), Standing::Awaits(vec!["a".into()]));
        assert_eq!(
            stands(&["a"], &[(lease + 9, None)]),
            known(lease, 0, lease, &["a"]),
            "the bus is away"
        );
        let ahead = [replica("a", 7, at(3_600_000))];
        assert_eq!(
            stands(&["a"], &[(9, Some(&ahead))]),
            known(lease, 1, lease, &[]),
            "a clock that is wrong"
        );
    }
}
