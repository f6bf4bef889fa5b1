//! Time as an argument, so that tests own it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that is handed from place to place.
pub type SharedClock = Arc<dyn Clock>;

/// The time of day. It may step backwards; measure intervals with [`std::time::Instant`].
pub trait Clock: Send + Sync {
    /// Microseconds since the Unix epoch, negative before it.
    fn now_micros(&self) -> i64;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock in the form services take it.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn now_micros(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => micros(after),
            Err(before) => -micros(before.duration()),
        }
    }
}

/// A clock that moves only when told to. Clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct MockClock(Arc<AtomicI64>);

impl MockClock {
    /// A clock that stands at `micros` since the Unix epoch.
    #[must_use]
    pub fn at(micros: i64) -> Self {
        Self(Arc::new(AtomicI64::new(micros)))
    }

    /// Sets the time, which may go backwards.
    pub fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(micros(by), Ordering::SeqCst);
    }

    /// This clock in the form services take it; it still moves with `self`.
    #[must_use]
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }
}

impl Clock for MockClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mock_moves_only_when_told_and_clones_share_it() {
        let clock = MockClock::at(5);
        let shared = clock.shared();
        assert_eq!(shared.now_micros(), 5);
        clock.advance(Duration::from_millis(2));
        assert_eq!(shared.now_micros(), 2_005);
        clock.set(-1);
        assert_eq!(shared.now_micros(), -1);
    }

    #[test]
    fn system_clock_is_past_2020() {
        assert!(SystemClock.now_micros() > 1_577_836_800_000_000);
    }
}
