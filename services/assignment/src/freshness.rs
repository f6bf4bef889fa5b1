//! Whether the configuration bus is heard, and when it was heard last.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Written by who follows the bus, read by who says how old an answer may be.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    /// In microseconds since 1970.
    heard_at: AtomicI64,
    is_lost: AtomicBool,
}

impl Freshness {
    /// The bus was heard at `now`, in microseconds since 1970.
    pub(crate) fn heard(&self, now: i64) {
        self.heard_at.store(now, Ordering::Relaxed);
        self.is_lost.store(false, Ordering::Release);
    }

    /// It is not heard any more.
    pub(crate) fn lost(&self) {
        self.is_lost.store(true, Ordering::Release);
    }

    /// While it is not heard: the whole seconds at `now` since it was.
    pub(crate) fn stale_secs(&self, now: i64) -> Option<u64> {
        let is_lost = self.is_lost.load(Ordering::Acquire);
        let age = now.saturating_sub(self.heard_at.load(Ordering::Relaxed));
        is_lost.then(|| u64::try_from(age).unwrap_or_default() / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_stale_while_the_bus_is_lost_and_as_old_as_its_last_sign() {
        let freshness = Freshness::default();
        freshness.heard(5_000_000);
        assert_eq!(freshness.stale_secs(60_000_000), None);
        freshness.lost();
        assert_eq!(freshness.stale_secs(12_900_000), Some(7));
        assert_eq!(freshness.stale_secs(1_000_000), Some(0), "a clock that goes back");
        freshness.heard(13_000_000);
        assert_eq!(freshness.stale_secs(14_000_000), None);
    }
}
