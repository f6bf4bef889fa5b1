//! Shares in ten-thousandths: integers, so that nothing rounds.

use crate::bucketing::BUCKETS;

/// One whole, in the unit of [`Weights`] and [`Coverage`].
pub const WHOLE: u32 = 10_000;

/// Why shares are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// They do not sum to 10,000.
    #[error("weights sum to {sum} of {WHOLE}; change them so that they sum to 100 %")]
    Sum {
        /// What they sum to, in ten-thousandths.
        sum: u64,
    },
    /// There are none.
    #[error("no weights are given; give one for each variant")]
    Empty,
    /// A coverage above 100 %.
    #[error("coverage is {share} of {WHOLE}; at most 100 % is possible")]
    Coverage {
        /// The refused share, in ten-thousandths.
        share: u32,
    },
}

/// How assigned units are divided among variants: one share for each, in declared order, summing to exactly 100 %.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights(Vec<u32>);

impl Weights {
    /// Shares in ten-thousandths.
    ///
    /// # Errors
    /// [`WeightError`] unless there is at least one and they sum to [`WHOLE`].
    pub fn new(shares: Vec<u32>) -> Result<Self, WeightError> {
        if shares.is_empty() {
            return Err(WeightError::Empty);
        }
        let sum: u64 = shares.iter().map(|&s| u64::from(s)).sum();
        if sum == u64::from(WHOLE) {
            Ok(Self(shares))
        } else {
            Err(WeightError::Sum { sum })
        }
    }

    /// Equal shares for `variants` ≥ 1 variants; what does not divide goes to the control.
    #[expect(clippy::arithmetic_side_effects, reason = "each * (n - 1) ≤ WHOLE, and n ≥ 1")]
    pub fn even(variants: usize) -> Self {
        let n = u32::try_from(variants.max(1)).unwrap_or(u32::MAX);
        let each = WHOLE / n;
        let mut shares = vec![each; variants.max(1)];
        if let Some(control) = shares.first_mut() {
            *control = WHOLE - each * (n - 1);
        }
        Self(shares)
    }

    /// These weights with nothing for the variant at `closed`: the others share what it had in proportion to what they have, and what
    /// does not divide goes to the first of them. None when no other has any.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "others is above 0 and at most WHOLE, and the parts sum to at most WHOLE"
    )]
    pub fn without(&self, closed: usize) -> Option<Self> {
        let mut shares = self.0.clone();
        *shares.get_mut(closed)? = 0;
        let others: u32 = shares.iter().sum();
        if others == 0 {
            return None;
        }
        for share in &mut shares {
            *share = *share * WHOLE / others;
        }
        let rest = WHOLE - shares.iter().sum::<u32>();
        if let Some(first) = shares.iter_mut().find(|share| **share > 0) {
            *first += rest;
        }
        Some(Self(shares))
    }

    /// The shares, in ten-thousandths, control first.
    pub fn shares(&self) -> &[u32] {
        &self.0
    }
}

/// The share of eligible units that an experiment admits, in ten-thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coverage(u32);

impl Coverage {
    /// All eligible units.
    pub const FULL: Self = Self(WHOLE);

    /// A share in ten-thousandths, 0 to 10,000.
    ///
    /// # Errors
    /// [`WeightError::Coverage`] above 10,000.
    pub fn new(share: u32) -> Result<Self, WeightError> {
        if share <= WHOLE {
            Ok(Self(share))
        } else {
            Err(WeightError::Coverage { share })
        }
    }

    /// The share in ten-thousandths.
    pub fn share(self) -> u32 {
        self.0
    }

    /// How many of the [`BUCKETS`] are admitted: those below this number, so that a larger coverage keeps all of a smaller one.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a share is at most WHOLE, so this is at most BUCKETS"
    )]
    pub fn buckets(self) -> u32 {
        self.0 * (BUCKETS / WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_the_whole() {
        assert!(Weights::new(vec![3334, 3333, 3333]).is_ok());
        assert_eq!(
            Weights::new(vec![5000, 4999]),
            Err(WeightError::Sum { sum: 9999 })
        );
        assert_eq!(Weights::new(vec![]), Err(WeightError::Empty));
    }

    #[test]
    fn a_coverage_is_so_many_buckets() {
        assert_eq!(Coverage::new(1).unwrap().buckets(), 100);
        assert_eq!(Coverage::FULL.buckets(), BUCKETS);
    }

    #[test]
    fn a_closed_variant_leaves_its_share_to_the_others() {
        let without = |shares: &[u32], closed| {
            let weights = Weights::new(shares.to_vec()).unwrap().without(closed);
            weights.map(|weights| weights.shares().to_vec())
        };
        assert_eq!(without(&[5_000, 2_500, 2_500], 2), Some(vec![6_667, 3_333, 0]));
        assert_eq!(without(&[3_334, 3_333, 3_333], 1), Some(vec![5_001, 0, 4_999]));
        assert_eq!(without(&[0, 1, 9_999], 2), Some(vec![0, WHOLE, 0]));
        assert_eq!(without(&[0, WHOLE], 1), None);
        assert_eq!(without(&[WHOLE], 7), None);
    }

    #[test]
    fn even_split_gives_the_odd_units_to_control() {
        for n in 1..=100 {
            let even = Weights::even(n);
            assert_eq!(even.shares().iter().sum::<u32>(), WHOLE);
            assert!(even.shares().iter().all(|s| even.shares()[0] >= *s));
        }
        assert_eq!(Weights::even(3).shares(), [3334, 3333, 3333]);
    }
}
