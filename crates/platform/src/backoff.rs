//! Waiting longer after each failure, so that a fleet does not hammer what has just come back.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Exponential backoff with jitter: an endless iterator of delays.
///
/// The n-th delay is drawn between half of and the whole `first × 2ⁿ`, capped at `max`.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    n_failures: u32,
    seed: u64,
}

impl Backoff {
    /// Delays from about `first` up to `max`, with jitter that differs between processes.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        // RandomState is seeded by the operating system: as good a seed as jitter needs.
        Self::with_seed(first, max, RandomState::new().hash_one(first))
    }

    /// As [`Backoff::new`], but reproducible.
    #[must_use]
    pub fn with_seed(first: Duration, max: Duration, seed: u64) -> Self {
        Self {
            first,
            max,
            n_failures: 0,
            seed,
        }
    }

    /// The delay to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.n_failures).unwrap_or(u32::MAX);
        let ceiling = self.first.saturating_mul(factor).min(self.max);
        self.n_failures = self.n_failures.saturating_add(1);
        (ceiling / 2).saturating_add((ceiling / 2).mul_f64(self.fraction()))
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.n_failures = 0;
    }

    /// A number in 0..1 from the next step of `SplitMix64`.
    fn fraction(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.next_delay())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn every_delay_is_between_half_and_whole_of_its_ceiling() {
        for seed in 0..200 {
            let delays: Vec<_> = Backoff::with_seed(FIRST, MAX, seed).take(70).collect();
            for (n, delay) in delays.iter().enumerate() {
                let ceiling = FIRST.saturating_mul(2_u32.saturating_pow(n as u32)).min(MAX);
                assert!(*delay >= ceiling / 2 && *delay <= ceiling, "delay {n}: {delay:?}");
            }
        }
    }

    #[test]
    fn reset_starts_over_and_seeds_differ() {
        let mut backoff = Backoff::with_seed(FIRST, MAX, 1);
        backoff.by_ref().take(10).for_each(drop);
        backoff.reset();
        assert!(backoff.next_delay() <= FIRST);
        assert_ne!(
            Backoff::new(FIRST, MAX).next_delay(),
            Backoff::new(FIRST, MAX).next_delay()
        );
    }
}
