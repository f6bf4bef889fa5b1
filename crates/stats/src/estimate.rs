//! The few types that every formula shares.

/// An error probability, strictly between 0 and 1: one minus the confidence of an interval, or the level of a test.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Alpha(f64);

impl Alpha {
    /// 0.05, confidence 95 %.
    pub const DEFAULT: Alpha = Alpha(0.05);

    /// `None` unless `1e-100 <= value < 1`: below that, no logarithm or tail of it could be told from 0.
    pub fn new(value: f64) -> Option<Alpha> {
        (1e-100..1.0).contains(&value).then_some(Alpha(value))
    }

    /// The probability itself.
    pub fn get(self) -> f64 {
        self.0
    }

    /// This error budget divided evenly among `parts` (at least 1 is used).
    pub fn split(self, parts: u32) -> Alpha {
        Alpha(self.0 / f64::from(parts.max(1)))
    }

    /// The part `share` of this error budget; `0 < share <= 1`.
    pub(crate) fn times(self, share: f64) -> Alpha {
        Alpha(self.0 * share)
    }
}

/// A closed interval, `lower <= upper`, both finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub lower: f64,
    pub upper: f64,
}

impl Interval {
    /// `center ± half_width`.
    pub(crate) fn around(center: f64, half_width: f64) -> Interval {
        Interval {
            lower: center - half_width,
            upper: center + half_width,
        }
    }

    /// The interval between two ends given in any order.
    pub(crate) fn between(a: f64, b: f64) -> Interval {
        Interval {
            lower: a.min(b),
            upper: a.max(b),
        }
    }

    /// Whether `x` lies in the interval, ends included.
    pub fn contains(self, x: f64) -> bool {
        self.lower <= x && x <= self.upper
    }
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Larger is better.
    Increase,
    /// Smaller is better.
    Decrease,
}

impl Direction {
    /// +1 when larger is better, -1 when smaller is.
    pub fn sign(self) -> f64 {
        match self {
            Direction::Increase => 1.0,
            Direction::Decrease => -1.0,
        }
    }
}

/// What one unit's value is, and hence which gates and tests apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0 or 1: conversion, retention.
    Binary,
    /// A number: sum, count, maximum or last value.
    Scalar,
    /// A numerator and a denominator of the same unit.
    Ratio,
    /// A quantile over the units that have a value.
    Quantile,
}

/// What the units of one variant say about one metric.
///
/// `mean` is the estimate itself (mean, rate, ratio or quantile) in the metric's own unit, `v` the variance of that estimate.
/// Each is `None` where it is undefined: `mean` without units, `v` with fewer than two.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimate {
    /// Counted units.
    pub n: u64,
    /// Counted units whose value (of a ratio: whose numerator) is not 0.
    pub nonzero: u64,
    pub mean: Option<f64>,
    pub v: Option<f64>,
}

impl Estimate {
    /// The mean of `n` values with the sample variance `unit_variance` of one of them.
    pub fn of_mean(n: u64, nonzero: u64, mean: f64, unit_variance: f64) -> Estimate {
        Estimate {
            n,
            nonzero,
            mean: (n > 0).then_some(mean),
            v: (n > 1).then(|| unit_variance / n as f64),
        }
    }

    /// The estimate, if there is a unit and it is finite.
    pub fn finite_mean(&self) -> Option<f64> {
        self.mean.filter(|m| self.n > 0 && m.is_finite())
    }

    /// Mean and variance, if both are defined and finite and the variance is not negative.
    pub fn normal(&self) -> Option<Normal> {
        let mean = self.finite_mean()?;
        let v = self.v.filter(|v| v.is_finite() && *v >= 0.0)?;
        Some(Normal { mean, v })
    }
}

/// The normal approximation of an estimate: its value and its variance, `v >= 0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normal {
    pub mean: f64,
    pub v: f64,
}

/// `x` unless it is NaN or infinite: what cannot be represented is undefined.
pub(crate) fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}
