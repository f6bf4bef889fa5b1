//! What a server takes at most, so that a flood costs others little: calls at the same time, and calls of one caller in a second.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use serde::Deserialize;

use crate::access::Principal;
use crate::error::{Code, Failure};
use crate::settings::Check;

const MAX_CALLS: RangeInclusive<usize> = 1..=1_000_000;
const CALLS_PER_SECOND: RangeInclusive<u32> = 0..=1_000_000;
const CONNECTION_AGE: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 3_600);

/// When a call that was shed may come again: by then what was under way has gone.
const SHED_RETRY: Duration = Duration::from_millis(100);

/// Callers that are told apart; further ones share what one has.
const MAX_CALLERS: usize = 10_000;

/// One refusal in so many is logged, and the first.
const TELL_EVERY: u64 = 10_000;

/// The limits of a server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Calls under way at the same time, 1 to 1,000,000. One more is refused at once (`OVERLOADED`); health is not counted.
    pub max_calls: usize,
    /// Calls that one caller may begin in a second, up to 1,000,000, and as many at once after a pause; 0 for any number. One more is
    /// refused (`TOO_MANY_CALLS`). A caller is who its key says, or without keys an address.
    pub calls_per_second: u32,
    /// When a client is asked to connect anew, such as `5m`, in 10s to 24h, a tenth earlier or later: new replicas get their share.
    #[serde(deserialize_with = "crate::settings::duration")]
    pub max_connection_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_calls: 4_096,
            calls_per_second: 0,
            max_connection_age: Duration::from_secs(300),
        }
    }
}

impl Limits {
    /// What is wrong with the values, as those of section `of`, such as `ingest.limits`.
    pub fn check(&self, of: &str) -> Check {
        let mut check = Check::section(of);
        check.number("max_calls", self.max_calls, &MAX_CALLS);
        check.number("calls_per_second", self.calls_per_second, &CALLS_PER_SECOND);
        check.duration("max_connection_age", self.max_connection_age, &CONNECTION_AGE);
        check
    }
}

/// Who is limited together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Caller {
    Named(String),
    At(IpAddr),
    /// All beyond [`MAX_CALLERS`], and those of whom nothing is known.
    Others,
}

type Callers = RateLimiter<Caller, HashMapStateStore<Caller>, DefaultClock, NoOpMiddleware>;

/// Lets calls in, or not.
#[derive(Debug)]
pub(super) struct Gate {
    max_calls: usize,
    callers: Option<Callers>,
    clock: DefaultClock,
    refused: AtomicU64,
}

impl Gate {
    pub(super) fn new(limits: &Limits) -> Self {
        let quota = NonZeroU32::new(limits.calls_per_second).map(Quota::per_second);
        Self {
            max_calls: limits.max_calls,
            callers: quota.map(RateLimiter::hashmap),
            clock: DefaultClock::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// Whether there is room for one of `under_way` calls.
    pub(super) fn admit(&self, under_way: usize) -> Result<(), Failure> {
        if under_way <= self.max_calls {
            return Ok(());
        }
        self.count("OVERLOADED");
        let message = format!(
            "more than {} calls are under way; try again a little later, or ask another replica",
            self.max_calls
        );
        let failure = Failure::new(Code::ResourceExhausted, "OVERLOADED", message);
        Err(failure.with_retry_after(SHED_RETRY))
    }

    /// Whether this caller may begin another call.
    pub(super) fn admit_caller(
        &self,
        caller: Option<&Principal>,
        peer: Option<IpAddr>,
    ) -> Result<(), Failure> {
        let Some(callers) = &self.callers else {
            return Ok(());
        };
        let caller = match (caller, peer) {
            (Some(principal), _) => Caller::Named(principal.name.clone()),
            (None, Some(peer)) => Caller::At(peer),
            (None, None) => Caller::Others,
        };
        let Err(not_until) = callers.check_key(&known(callers, caller)) else {
            return Ok(());
        };
        self.count("TOO_MANY_CALLS");
        let message =
            "this caller makes more calls in a second than it may; make fewer, or more with one call";
        let failure = Failure::new(Code::ResourceExhausted, "TOO_MANY_CALLS", message);
        Err(failure.with_retry_after(not_until.wait_time_from(self.clock.now())))
    }

    fn count(&self, reason: &str) {
        let before = self.refused.fetch_add(1, Ordering::Relaxed);
        if before.is_multiple_of(TELL_EVERY) {
            tracing::warn!(
                reason,
                refused = before + 1,
                "calls are refused: there are too many"
            );
        }
    }
}

/// `caller`, or nobody in particular when too many are known. Who has not called for a while is forgotten.
fn known(callers: &Callers, caller: Caller) -> Caller {
    if callers.len() < MAX_CALLERS {
        return caller;
    }
    callers.retain_recent();
    if callers.len() < MAX_CALLERS {
        caller
    } else {
        Caller::Others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(max_calls: usize, calls_per_second: u32) -> Gate {
        Gate::new(&Limits {
            max_calls,
            calls_per_second,
            ..Limits::default()
        })
    }

    fn reason(admitted: Result<(), Failure>) -> Option<String> {
        let failure = admitted.err()?;
        assert_eq!(failure.code, Code::ResourceExhausted);
        let retry = failure.retry_after.unwrap();
        assert!(retry <= Duration::from_secs(1), "{retry:?}");
        Some(failure.reason.to_string())
    }

    #[test]
    fn the_limit_of_calls_is_a_good_number_of_them() {
        let gate = gate(2, 0);
        assert_eq!(reason(gate.admit(2)), None);
        assert_eq!(reason(gate.admit(3)).as_deref(), Some("OVERLOADED"));
        assert_eq!(gate.refused.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn callers_are_limited_one_by_one() {
        let gate = gate(1, 1);
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|ip| Some(ip.parse().unwrap()));
        assert_eq!(reason(gate.admit_caller(None, one)), None);
        assert_eq!(
            reason(gate.admit_caller(None, one)).as_deref(),
            Some("TOO_MANY_CALLS")
        );
        assert_eq!(reason(gate.admit_caller(None, other)), None);
    }

    #[test]
    fn without_a_limit_nobody_is_counted() {
        let gate = gate(1, 0);
        for _ in 0..1_000 {
            assert_eq!(reason(gate.admit_caller(None, None)), None);
        }
        assert_eq!(gate.refused.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn of_very_many_callers_the_last_share_a_limit() {
        let gate = gate(1, 1);
        let at = |i: u32| Some(IpAddr::from(i.to_be_bytes()));
        for i in 0..MAX_CALLERS as u32 {
            assert_eq!(reason(gate.admit_caller(None, at(i))), None);
        }
        let more: Vec<_> = (0..100)
            .map(|i| gate.admit_caller(None, at(u32::MAX - i)).is_ok())
            .collect();
        let admitted = more.iter().filter(|admitted| **admitted).count();
        // Some of the first may have been forgotten by now: a second is short on a busy machine.
        assert!(gate.callers.as_ref().unwrap().len() <= MAX_CALLERS + 1 && admitted >= 1);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let limits = Limits {
            max_calls: 0,
            calls_per_second: 1_000_001,
            max_connection_age: Duration::from_secs(1),
        };
        let check = limits.check("ingest.limits");
        let keys: Vec<_> = check.wrong().iter().map(|wrong| wrong.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "ingest.limits.max_calls",
                "ingest.limits.calls_per_second",
                "ingest.limits.max_connection_age"
            ]
        );
        assert!(Limits::default().check("x").wrong().is_empty());
    }
}
