//! Ratios of two sums over the same units, such as clicks per visit.

use crate::estimate::{Estimate, finite};
use crate::moments::{Moments, Overflow, Scale, count, covariance, mean};

/// Exact sums of numerators `y` and denominators `d` of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RatioMoments {
    /// The numerators.
    pub y: Moments,
    /// The denominators; its `n` is that of `y`.
    pub d: Moments,
    pub sum_yd: i128,
}

impl RatioMoments {
    /// The cell of one unit.
    pub fn of(y: i64, d: i64) -> RatioMoments {
        RatioMoments {
            y: Moments::of(y),
            d: Moments::of(d),
            sum_yd: i128::from(y) * i128::from(d),
        }
    }

    /// The cell of both sets of units.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn merge(self, other: RatioMoments) -> Result<RatioMoments, Overflow> {
        Ok(RatioMoments {
            y: self.y.merge(other.y)?,
            d: self.d.merge(other.d)?,
            sum_yd: self.sum_yd.checked_add(other.sum_yd).ok_or(Overflow)?,
        })
    }

    /// The cell without the units of `other`.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn retract(self, other: RatioMoments) -> Result<RatioMoments, Overflow> {
        Ok(RatioMoments {
            y: self.y.retract(other.y)?,
            d: self.d.retract(other.d)?,
            sum_yd: self.sum_yd.checked_sub(other.sum_yd).ok_or(Overflow)?,
        })
    }

    /// The ratio of the sums, its variance by the delta method, and the counts of the numerator.
    ///
    /// Both values have the same scale. The ratio is undefined when the denominators sum to 0.
    /// Source: Deng, Knoblich, Lu (2018). Checked against gbstats `RatioStatistic` in `testdata/stats_golden/ratio.json`.
    pub fn estimate(&self, scale: Scale) -> Estimate {
        let n = self.y.n;
        let ratio = (n > 0 && self.d.sum_y != 0).then(|| self.y.sum_y as f64 / self.d.sum_y as f64);
        Estimate {
            n: count(n),
            nonzero: count(self.y.nonzero),
            mean: ratio,
            v: ratio.and_then(|r| self.variance_of_ratio(r, scale)),
        }
    }

    fn variance_of_ratio(&self, r: f64, scale: Scale) -> Option<f64> {
        let n = self.y.n;
        let s_yd = covariance(n, self.y.sum_y, self.d.sum_y, self.sum_yd, scale)?;
        let spread = self.y.variance(scale)? - 2.0 * r * s_yd + r * r * self.d.variance(scale)?;
        let d = mean(n, self.d.sum_y, scale)?;
        finite(spread.max(0.0) / (n as f64 * d * d))
    }
}
