//! Quantiles and caps from logarithmic bins, which merge and retract exactly.

use std::collections::BTreeMap;

use crate::compare::Status;
use crate::cuped::CupedMoments;
use crate::estimate::{Estimate, Interval, finite};
use crate::moments::{Overflow, Scale, count};
use crate::special::norm_upper;

/// The ratio of a bin's ends: any value within a bin is within 2.03 % of any other.
const GAMMA: f64 = 1.01 / 0.99;

/// The bin of a scaled integer value; bins are ordered as their values are.
///
/// Bin `i + 1` covers `(γ^(i-1), γ^i]` of positive values, bin 0 is zero, and bin `-(i + 1)` mirrors bin `i + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bin(i32);

impl Bin {
    /// The bin that holds `y`.
    pub fn of(y: i64) -> Bin {
        let exponent = (libm::log(y.unsigned_abs() as f64) / libm::log(GAMMA)).ceil();
        Bin(match y.signum() {
            0 => 0,
            sign => sign as i32 * (exponent as i32 + 1),
        })
    }

    /// The bin with a stored number.
    pub fn from_number(number: i32) -> Bin {
        Bin(number)
    }

    /// The number to store, between -1900 and 1900.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The scaled value at the fraction `f` in 0..=1 of the bin's units, in ascending order.
    fn value(self, f: f64) -> f64 {
        let exponent = f64::from(self.0.abs() - 1);
        match self.0.signum() {
            0 => 0.0,
            1 => power(exponent - 1.0 + f),
            _ => -power(exponent - f),
        }
    }

    /// The largest whole value of a positive bin.
    fn top(self) -> i64 {
        power(f64::from(self.0 - 1)).floor() as i64
    }
}

/// `γ^x`.
fn power(x: f64) -> f64 {
    libm::exp(x * libm::log(GAMMA))
}

/// The exact sums of the units of one variant, with covariates if there are any, by bin of their value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch {
    bins: BTreeMap<Bin, CupedMoments>,
}

/// A quantile of one variant with its 95 % interval, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// With the variance from the width of the interval; undefined where the interval is.
    pub estimate: Estimate,
    /// `None` if an end lies beyond the first or last unit: too few units for this quantile.
    pub interval: Option<Interval>,
}

impl Quantile {
    /// Whether there are enough units for this quantile, and whether they differ.
    pub fn status(&self) -> Status {
        match self.estimate.v {
            None => Status::LowData,
            Some(v) if v > 0.0 => Status::Ok,
            Some(_) => Status::NoVariance,
        }
    }
}

impl Sketch {
    /// Adds the cell `units`, all of which have values in `bin`.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn add(&mut self, bin: Bin, units: &CupedMoments) -> Result<(), Overflow> {
        self.change(bin, units, CupedMoments::merge)
    }

    /// Takes one unit with value `y` and covariates `x` into account.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn insert(&mut self, y: i64, x: &[i64]) -> Result<(), Overflow> {
        self.add(Bin::of(y), &CupedMoments::of(y, x))
    }

    /// Takes back one unit with value `y` and covariates `x`.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn retract(&mut self, y: i64, x: &[i64]) -> Result<(), Overflow> {
        self.change(Bin::of(y), &CupedMoments::of(y, x), CupedMoments::retract)
    }

    /// Adds the units of `other`.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn merge(&mut self, other: &Sketch) -> Result<(), Overflow> {
        other.bins().try_for_each(|(bin, units)| self.add(bin, units))
    }

    /// The bins with their sums, in ascending order of values; none is empty.
    pub fn bins(&self) -> impl Iterator<Item = (Bin, &CupedMoments)> {
        self.bins.iter().map(|(bin, units)| (*bin, units))
    }

    /// Empty bins go, so that equal sets of units are equal sketches.
    fn change(
        &mut self,
        bin: Bin,
        units: &CupedMoments,
        op: fn(&CupedMoments, &CupedMoments) -> Result<CupedMoments, Overflow>,
    ) -> Result<(), Overflow> {
        let changed = op(self.bins.get(&bin).unwrap_or(&CupedMoments::default()), units)?;
        if changed.is_empty() {
            self.bins.remove(&bin);
        } else {
            self.bins.insert(bin, changed);
        }
        Ok(())
    }

    /// The sums over all bins.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn total(&self) -> Result<CupedMoments, Overflow> {
        self.bins
            .values()
            .try_fold(CupedMoments::default(), |sum, units| sum.merge(units))
    }

    /// The `q`-quantile, `0 < q < 1`, with relative error of at most 2.03 %; `None` without units.
    ///
    /// The interval takes the quantiles at the ranks `qn ± z √(nq(1-q))`, and a normal estimate its width.
    /// Sources: Masson, Rim, Lee (2019); Yao, Li, Lu (2024). Checked against numpy `quantile` in
    /// `testdata/stats_golden/quantile.json`.
    pub fn quantile(&self, q: f64, scale: Scale) -> Option<Quantile> {
        let total = self
            .total()
            .ok()
            .filter(|total| total.y.n > 0 && q > 0.0 && q < 1.0)?;
        let n = total.y.n as f64;
        let z = norm_upper(0.025);
        let reach = z * (n * q * (1.0 - q)).sqrt();
        let (low, high) = (n * q - reach, n * q + reach);
        let at = |rank: f64| self.at_rank(rank).map(|value| value / scale.get());
        let interval = if low < 1.0 || high > n - 1.0 {
            None
        } else {
            at(low).zip(at(high))
        };
        let interval = interval.map(|(lower, upper)| Interval { lower, upper });
        let se = interval.map(|i| (i.upper - i.lower) / (2.0 * z));
        Some(Quantile {
            estimate: Estimate {
                n: count(total.y.n),
                nonzero: count(total.y.nonzero),
                mean: at(n * q),
                v: se.map(|se| se * se),
            },
            interval,
        })
    }

    /// The scaled value at rank `0 < h <= n`, interpolated within its bin.
    fn at_rank(&self, h: f64) -> Option<f64> {
        let mut before = 0.0;
        for (bin, cell) in &self.bins {
            let units = cell.y.n as f64;
            if before + units >= h {
                return finite(bin.value((h - before) / units));
            }
            before += units;
        }
        None
    }

    /// The sums as if every value above `cap` were `cap`, and the number of units above it.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn capped(&self, cap: Cap) -> Result<(CupedMoments, u64), Overflow> {
        let (mut sums, mut capped) = (CupedMoments::default(), 0);
        for (bin, units) in self.bins() {
            if bin <= cap.bin {
                sums = sums.merge(units)?;
            } else {
                sums = sums.merge(&units.with_value(cap.value)?)?;
                capped += units.y.n;
            }
        }
        Ok((sums, count(capped)))
    }
}

/// An upper limit of unit values at the end of a bin, so that capped sums need no units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    bin: Bin,
    value: i64,
}

impl Cap {
    /// The end of the first bin that reaches the share `percentile` (in 0..=1) of the positive values of all variants.
    ///
    /// `None` if there is no positive value. As data comes the cap may move, without touching units.
    /// Checked against numpy `minimum` in `testdata/stats_golden/winsorize.json`.
    pub fn at_percentile(variants: &[Sketch], percentile: f64) -> Option<Cap> {
        let mut units: BTreeMap<Bin, i128> = BTreeMap::new();
        for (bin, cell) in variants
            .iter()
            .flat_map(Sketch::bins)
            .filter(|(bin, _)| bin.0 > 0)
        {
            *units.entry(bin).or_default() += cell.y.n;
        }
        let total: i128 = units.values().sum();
        let wanted = (percentile * total as f64 - 1e-12).ceil();
        let mut seen = 0;
        for (bin, n) in units {
            seen += n;
            if seen as f64 >= wanted {
                return Some(Cap {
                    bin,
                    value: bin.top(),
                });
            }
        }
        None
    }

    /// The scaled value.
    pub fn value(self) -> i64 {
        self.value
    }
}
