//! Sufficient statistics as exact integers: order, batching, merging and retracting never change a bit.

use crate::estimate::Estimate;

/// A sum left the range of 128-bit integers; the cell is no longer exact and must be marked as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sum exceeds 128 bits")]
pub struct Overflow;

/// How many stored integers make one unit of a metric: a power of ten.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale(f64);

impl Scale {
    /// Values are stored as they are: conversions, counts.
    pub const ONE: Scale = Scale(1.0);
    /// Values are stored in millionths, the default of decimal values.
    pub const MICRO: Scale = Scale(1e6);

    /// `10^exponent`; `None` above `10^9`.
    pub fn power_of_ten(exponent: u8) -> Option<Scale> {
        (exponent <= 9).then(|| Scale((0..exponent).fold(1.0, |scale, _| scale * 10.0)))
    }

    /// The number of stored integers per unit of the metric.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// Count and power sums of the scaled integer values of units, `|y| <= 2^53` each.
///
/// A cell is a point of a group: [`merge`](Self::merge) adds, [`retract`](Self::retract) subtracts, so a part of a total may
/// hold negative sums. Figures are defined for totals, in which every sum is that of a set of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moments {
    pub n: i128,
    /// Units with a value other than 0.
    pub nonzero: i128,
    pub sum_y: i128,
    pub sum_yy: i128,
}

impl Moments {
    /// The cell of one unit with value `y`.
    pub fn of(y: i64) -> Moments {
        let y = i128::from(y);
        Moments {
            n: 1,
            nonzero: i128::from(y != 0),
            sum_y: y,
            sum_yy: y * y,
        }
    }

    /// The cell of both sets of units.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits, which takes at least `2^21` units of the largest value.
    pub fn merge(self, other: Moments) -> Result<Moments, Overflow> {
        self.combine(other, i128::checked_add)
    }

    /// The cell without the units of `other`.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn retract(self, other: Moments) -> Result<Moments, Overflow> {
        self.combine(other, i128::checked_sub)
    }

    /// The cell in which one unit's value changed from `old` to `new`.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn replace(self, old: i64, new: i64) -> Result<Moments, Overflow> {
        self.retract(Moments::of(old))?.merge(Moments::of(new))
    }

    fn combine(self, other: Moments, op: fn(i128, i128) -> Option<i128>) -> Result<Moments, Overflow> {
        let sum = |a, b| op(a, b).ok_or(Overflow);
        Ok(Moments {
            n: sum(self.n, other.n)?,
            nonzero: sum(self.nonzero, other.nonzero)?,
            sum_y: sum(self.sum_y, other.sum_y)?,
            sum_yy: sum(self.sum_yy, other.sum_yy)?,
        })
    }

    /// Mean in units of the metric; `None` without units.
    pub fn mean(&self, scale: Scale) -> Option<f64> {
        mean(self.n, self.sum_y, scale)
    }

    /// Sample variance of one unit's value, in squared units of the metric; `None` below two units.
    ///
    /// Checked against exact rational arithmetic in `testdata/stats_golden/moments.json`.
    pub fn variance(&self, scale: Scale) -> Option<f64> {
        covariance(self.n, self.sum_y, self.sum_y, self.sum_yy, scale)
    }

    /// Counts, mean and variance of the mean.
    pub fn estimate(&self, scale: Scale) -> Estimate {
        Estimate {
            n: count(self.n),
            nonzero: count(self.nonzero),
            mean: self.mean(scale),
            v: self.variance(scale).map(|s2| s2 / self.n as f64),
        }
    }
}

/// A count of units for people and formulas: a cell that is not a total counts none.
pub(crate) fn count(n: i128) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// Mean of `n` scaled integers with sum `sum`, in units of the metric; `None` without units.
pub fn mean(n: i128, sum: i128, scale: Scale) -> Option<f64> {
    (n > 0).then(|| sum as f64 / n as f64 / scale.get())
}

/// Sample covariance of two scaled integer values of the same `n` units, from their sums and the sum of products.
///
/// With both values the same it is the sample variance. In squared units of the metric; `None` below two units.
pub fn covariance(n: i128, sum_a: i128, sum_b: i128, sum_ab: i128, scale: Scale) -> Option<f64> {
    if n < 2 {
        return None;
    }
    let centered = centered_product(n, sum_a, sum_b, sum_ab)?;
    Some(centered / (n - 1) as f64 / (scale.get() * scale.get()))
}

/// `Σab − Σa·Σb/n` without cancellation.
///
/// With `Σa = q_a·n + r_a` and `Σb = q_b·n + r_b` (floored), it equals
/// `Σab − q_a·q_b·n − q_a·r_b − q_b·r_a − r_a·r_b/n`, in which only the fraction of the last term is rounded.
/// `None` if the integers overflow, which no sums of units do that fit 128 bits themselves.
fn centered_product(n: i128, sum_a: i128, sum_b: i128, sum_ab: i128) -> Option<f64> {
    let (q_a, r_a) = (sum_a.div_euclid(n), sum_a.rem_euclid(n));
    let (q_b, r_b) = (sum_b.div_euclid(n), sum_b.rem_euclid(n));
    let rest = r_a.checked_mul(r_b)?;
    let whole = sum_ab
        .checked_sub(q_a.checked_mul(q_b)?.checked_mul(n)?)?
        .checked_sub(q_a.checked_mul(r_b)?)?
        .checked_sub(q_b.checked_mul(r_a)?)?
        .checked_sub(rest / n)?;
    Some(whole as f64 - (rest % n) as f64 / n as f64)
}
