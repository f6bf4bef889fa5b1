//! Covariate adjustment (CUPED): what was known of a unit before its exposure explains part of its value.

use crate::estimate::Estimate;
use crate::moments::{Moments, Overflow, Scale, count, covariance, mean};

/// Exact sums of values `y` and of covariates `x_i` of units; the default is that of no units.
///
/// Sums that are missing at the end of a list count as 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CupedMoments {
    pub y: Moments,
    pub sum_x: Vec<i128>,
    /// `Σ x_i x_j` for `j <= i`, row by row.
    pub sum_xx: Vec<i128>,
    pub sum_xy: Vec<i128>,
}

impl CupedMoments {
    /// The cell of one unit.
    pub fn of(y: i64, x: &[i64]) -> CupedMoments {
        let x: Vec<i128> = x.iter().copied().map(i128::from).collect();
        let products = x
            .iter()
            .enumerate()
            .flat_map(|(i, a)| x[..=i].iter().map(move |b| a * b));
        CupedMoments {
            y: Moments::of(y),
            sum_xx: products.collect(),
            sum_xy: x.iter().map(|x| x * i128::from(y)).collect(),
            sum_x: x,
        }
    }

    /// The cell of both sets of units, of which those with fewer covariates count as having 0 for the others.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn merge(&self, other: &CupedMoments) -> Result<CupedMoments, Overflow> {
        self.combine(other, self.y.merge(other.y)?, i128::checked_add)
    }

    /// The cell without the units of `other`.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub fn retract(&self, other: &CupedMoments) -> Result<CupedMoments, Overflow> {
        self.combine(other, self.y.retract(other.y)?, i128::checked_sub)
    }

    fn combine(
        &self,
        other: &CupedMoments,
        y: Moments,
        op: fn(i128, i128) -> Option<i128>,
    ) -> Result<CupedMoments, Overflow> {
        let at = |sums: &[i128], i: usize| sums.get(i).copied().unwrap_or(0);
        let all = |a: &[i128], b: &[i128]| -> Result<Vec<i128>, Overflow> {
            (0..a.len().max(b.len()))
                .map(|i| op(at(a, i), at(b, i)).ok_or(Overflow))
                .collect()
        };
        Ok(CupedMoments {
            y,
            sum_x: all(&self.sum_x, &other.sum_x)?,
            sum_xx: all(&self.sum_xx, &other.sum_xx)?,
            sum_xy: all(&self.sum_xy, &other.sum_xy)?,
        })
    }

    /// The cell of the same units with all values `y` replaced by `value`.
    ///
    /// # Errors
    /// [`Overflow`] if a sum leaves 128 bits.
    pub(crate) fn with_value(&self, value: i64) -> Result<CupedMoments, Overflow> {
        let times = |sum: &i128| sum.checked_mul(i128::from(value)).ok_or(Overflow);
        let (n, one) = (self.y.n, Moments::of(value));
        Ok(CupedMoments {
            y: Moments {
                n,
                nonzero: n * one.nonzero,
                sum_y: times(&n)?,
                sum_yy: n.checked_mul(one.sum_yy).ok_or(Overflow)?,
            },
            sum_xy: self.sum_x.iter().map(times).collect::<Result<_, _>>()?,
            ..self.clone()
        })
    }

    /// Whether it is the cell of no units.
    pub(crate) fn is_empty(&self) -> bool {
        let mut sums = self.sum_x.iter().chain(&self.sum_xx).chain(&self.sum_xy);
        self.y == Moments::default() && sums.all(|sum| *sum == 0)
    }

    /// Means and sample covariances; `None` below two units.
    pub fn summary(&self, scale: Scale) -> Option<CupedSummary> {
        let (n, k) = (self.y.n, self.sum_x.len());
        let xx = |i: usize, j: usize| {
            let (row, column) = (i.max(j), i.min(j));
            let product = *self.sum_xx.get(row * (row + 1) / 2 + column)?;
            covariance(n, self.sum_x[i], self.sum_x[j], product, scale)
        };
        let xy = |i: usize| covariance(n, self.sum_x[i], self.y.sum_y, *self.sum_xy.get(i)?, scale);
        Some(CupedSummary {
            n: count(n),
            nonzero: count(self.y.nonzero),
            mean_y: self.y.mean(scale)?,
            mean_x: self
                .sum_x
                .iter()
                .map(|sum| mean(n, *sum, scale))
                .collect::<Option<_>>()?,
            var_y: self.y.variance(scale)?,
            cov_xy: (0..k).map(xy).collect::<Option<_>>()?,
            cov_xx: (0..k)
                .map(|i| (0..k).map(|j| xx(i, j)).collect())
                .collect::<Option<_>>()?,
        })
    }
}

/// Means and sample covariances of one variant's units, in the metric's unit; `n >= 2`.
#[derive(Debug, Clone, PartialEq)]
pub struct CupedSummary {
    pub n: u64,
    /// Units with a value `y` other than 0: the gates look at raw values.
    pub nonzero: u64,
    pub mean_y: f64,
    pub mean_x: Vec<f64>,
    pub var_y: f64,
    pub cov_xy: Vec<f64>,
    /// Symmetric.
    pub cov_xx: Vec<Vec<f64>>,
}

impl CupedSummary {
    /// Covariate `i` as if it were a metric: before exposure, variants may differ only by chance.
    pub fn covariate(&self, i: usize) -> Option<Estimate> {
        Some(Estimate::of_mean(
            self.n,
            self.n,
            *self.mean_x.get(i)?,
            *self.cov_xx.get(i)?.get(i)?,
        ))
    }
}

/// Adjusted estimates.
#[derive(Debug, Clone, PartialEq)]
pub struct Cuped {
    /// The change of `y` per unit of each covariate, common to all variants; 0 where no adjustment is made.
    pub theta: Vec<f64>,
    /// Whether an adjustment is made: not without covariates, nor if they are constant or collinear.
    pub adjusted: bool,
    /// Per variant: adjusted mean and its variance.
    pub estimates: Vec<Estimate>,
    /// The variance of the adjustment common to all variants. It cancels in differences, not in the lift.
    pub v0: f64,
    /// The share of the summed variances that the adjustment removes, in 0..1; 0 if there was none.
    pub variance_reduction: f64,
}

/// Adjusts the means of all variants with the one `θ` that minimizes the sum of their variances.
///
/// `None` without variants. All have the same covariates, measured before exposure.
/// Sources: Deng, Xu, Kohavi, Walker (2013); Lin (2013). Checked against statsmodels `WLS` in
/// `testdata/stats_golden/cuped.json`.
pub fn cuped(variants: &[CupedSummary]) -> Option<Cuped> {
    let covariates = variants.first()?.mean_x.len();
    let solution = solve(&pooled_xx(variants, |v| 1.0 / v.n as f64), &pooled_xy(variants));
    let theta = solution.clone().unwrap_or_else(|| vec![0.0; covariates]);
    let units: f64 = variants.iter().map(|v| v.n as f64).sum();
    let center = |i: usize| variants.iter().map(|v| v.n as f64 * v.mean_x[i]).sum::<f64>() / units;
    let centers: Vec<f64> = (0..covariates).map(center).collect();
    let estimates: Vec<Estimate> = variants.iter().map(|v| adjust(v, &theta, &centers)).collect();
    let freedom = units - variants.len() as f64;
    let pooled = pooled_xx(variants, |v| (v.n as f64 - 1.0) / freedom);
    let raw: f64 = variants.iter().map(|v| v.var_y / v.n as f64).sum();
    let left: f64 = estimates.iter().filter_map(|e| e.v).sum();
    Some(Cuped {
        adjusted: solution.is_some(),
        v0: quadratic(&pooled, &theta) / units,
        variance_reduction: if raw > 0.0 { 1.0 - left / raw } else { 0.0 },
        theta,
        estimates,
    })
}

/// `ȳ − θᵀ(x̄ − center)` and `(s_yy − 2θᵀs_xy + θᵀS_xx θ)/n`.
fn adjust(v: &CupedSummary, theta: &[f64], centers: &[f64]) -> Estimate {
    let shift: f64 = theta
        .iter()
        .zip(&v.mean_x)
        .zip(centers)
        .map(|((t, x), center)| t * (x - center))
        .sum();
    let explained = 2.0 * dot(theta, &v.cov_xy) - quadratic(&v.cov_xx, theta);
    Estimate::of_mean(v.n, v.nonzero, v.mean_y - shift, (v.var_y - explained).max(0.0))
}

fn pooled_xx(variants: &[CupedSummary], weight: impl Fn(&CupedSummary) -> f64) -> Vec<Vec<f64>> {
    let covariates = variants[0].mean_x.len();
    let entry = |i: usize, j: usize| variants.iter().map(|v| weight(v) * v.cov_xx[i][j]).sum();
    (0..covariates)
        .map(|i| (0..covariates).map(|j| entry(i, j)).collect())
        .collect()
}

fn pooled_xy(variants: &[CupedSummary]) -> Vec<f64> {
    let entry = |i: usize| variants.iter().map(|v| v.cov_xy[i] / v.n as f64).sum();
    (0..variants[0].mean_x.len()).map(entry).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `θᵀ A θ`.
fn quadratic(a: &[Vec<f64>], theta: &[f64]) -> f64 {
    a.iter().zip(theta).map(|(row, t)| t * dot(row, theta)).sum()
}

/// The solution of `A θ = b` by Cholesky's decomposition; `None` if `A` is empty or singular.
fn solve(a: &[Vec<f64>], b: &[f64]) -> Option<Vec<f64>> {
    let lower = cholesky(a).filter(|l| !l.is_empty())?;
    let mut theta = b.to_vec();
    for i in 0..b.len() {
        theta[i] = (theta[i] - dot(&lower[i][..i], &theta[..i])) / lower[i][i];
    }
    for i in (0..b.len()).rev() {
        let known: f64 = (i + 1..b.len()).map(|j| lower[j][i] * theta[j]).sum();
        theta[i] = (theta[i] - known) / lower[i][i];
    }
    Some(theta)
}

/// A pivot at most this share of its diagonal element is rounding, not variance.
const SINGULAR: f64 = 1e-12;

/// The rows, up to the diagonal, of the `L` with `A = L Lᵀ`; `None` if `A` is singular.
fn cholesky(a: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let mut lower: Vec<Vec<f64>> = Vec::new();
    for (i, a_i) in a.iter().enumerate() {
        let mut row: Vec<f64> = Vec::new();
        for j in 0..i {
            row.push((a_i[j] - dot(&row, &lower[j][..j])) / lower[j][j]);
        }
        let pivot = a_i[i] - dot(&row, &row);
        if pivot.is_nan() || pivot <= SINGULAR * a_i[i] {
            return None;
        }
        row.push(pivot.sqrt());
        lower.push(row);
    }
    Some(lower)
}
